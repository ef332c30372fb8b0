"""How many examples Hypothesis tries: a few here, many times as many by ``make thorough``."""

from __future__ import annotations

import os

TIMES = int(os.environ.get("EXAMPLES", "1"))
"""By how much more than in every run."""


def examples(count: int) -> int:
    """So many in every run."""
    return count * TIMES
