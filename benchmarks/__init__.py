"""Benchmarks, one command each: ``python -m benchmarks.NAME``."""

import os

# As the command does, before torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
