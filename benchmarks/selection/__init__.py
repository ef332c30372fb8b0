"""What models score on targets whose training regions were chosen by different methods."""
