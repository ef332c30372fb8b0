"""What objects show of themselves in a notebook: small tables, and pictures."""
