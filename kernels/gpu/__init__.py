"""Kernels in Triton, for float32 on a GPU."""
