"""Whether distances predict transfer, on real data with a measured gap between countries."""
