"""The engine: batches of pairs solved on one device."""
