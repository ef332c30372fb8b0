"""Kernels compiled by Numba, for float32 on a CPU."""
