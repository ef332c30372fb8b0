"""Expected scores from distances, and how far to trust them."""
