"""What of a transfer's loss is due to labels, and what correcting class priors recovers."""
