"""Commands on scores that take no time, where what they find is not what is tested."""

from __future__ import annotations

import pytest

from geospot_gpu.transfer.correlation import correlate as correlation
from geospot_gpu.transfer.predictor import predictor
from geospot_gpu.transfer.predictor.candidates import Make, candidates


def hasty(signs: list[int], *, positive: bool) -> dict[str, Make]:
    """The models that take no time."""
    every = candidates(signs, positive=positive)
    return {name: every[name] for name in ("mean", "median", "linear")}


def hurry(patch: pytest.MonkeyPatch) -> None:
    """Let the predictor have few models and one grouping, and correlations few permutations."""
    patch.setattr(predictor, "candidates", hasty)
    patch.setattr(predictor, "GROUPINGS", 1)
    patch.setattr(correlation, "KENDALL", 9)
