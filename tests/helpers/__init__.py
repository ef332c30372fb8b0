"""What several tests share: they import from here, never from each other."""
