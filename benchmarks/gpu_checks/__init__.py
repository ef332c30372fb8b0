"""Checks of the GPU's code that need no GPU: ``make gpu-check`` runs all.

- ``aot`` compiles every pass ahead of time, for cards that are not here.
- ``pretend`` runs every path on a pretended GPU, ``commands`` every command, beside the CPU.
- ``per_iteration`` counts launches and waits of one iteration.
- ``variants`` counts what Triton would compile; ``budgets`` says how much of all this may be.
- ``memcheck`` looks for accesses out of bounds, unset memory, races, missing barriers and wrong
  values in Triton's interpreter.
- ``planted`` shows that these checks notice bugs.
- ``predicted`` predicts times by the model in ``roofline``, of ``iterations`` that a CPU takes.
"""
