"""Checks of the GPU's kernels that need no GPU: ``python -m benchmarks.gpu_checks.NAME``.

- ``aot`` compiles every pass ahead of time, for cards that are not here.
- ``pretend`` runs every path on a pretended GPU, and counts launches and waits.
- ``per_iteration`` counts those of one iteration.
- ``memcheck`` looks for accesses out of bounds, unset memory, races, missing barriers and wrong
  values in Triton's interpreter.
- ``planted`` shows that these checks notice bugs.
- ``roofline`` predicts times from what was compiled and counted.
"""
