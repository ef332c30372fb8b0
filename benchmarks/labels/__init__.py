"""What labels are worth, a few of a target or all, on real data with a measured gap."""
