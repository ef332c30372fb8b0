"""The nearest regions by divergence, found and proved without solving all pairs."""
