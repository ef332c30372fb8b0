"""Who does the work of long computations: this process, or workers of a cluster."""
