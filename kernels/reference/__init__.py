"""Kernels of torch alone, on any device, in any precision: what others are tested against."""
