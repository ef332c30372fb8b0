"""Commands that are killed, that race each other, and whose files are damaged."""
