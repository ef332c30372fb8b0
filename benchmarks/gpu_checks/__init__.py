"""Checks of the GPU's kernels that need no GPU: ``python -m benchmarks.gpu_checks.NAME``.

- ``aot`` compiles every pass ahead of time, for cards that are not here.
"""
