"""What distances say about models: how well they predict transfer, and where models will fail."""
