"""What labels are worth: distances that know them, and class priors that are corrected."""
