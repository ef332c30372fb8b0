"""Colours for the two sides of a threshold, which colour-blind people tell apart, too."""

from __future__ import annotations

from geospot_gpu.transfer.threshold import ABOVE, BELOW, UNCLEAR

_GOOD, _BAD, _UNCLEAR = "#0072B2", "#E69F00", "0.62"
"""Blue and orange of Okabe & Ito (2008, Color universal design), which differ in lightness, too."""


def side_colours(threshold: float, kind: str) -> dict[str, tuple[str, str]]:
    """Colour and words for each side, the good one first.

    Args:
        threshold: a score that matters.
        kind: ``accuracy``, ``error`` or ``skill``.

    >>> list(side_colours(0.2, "error").values())[1]
    ('#E69F00', 'error likely above 0.2')
    """
    good, bad = (BELOW, ABOVE) if kind == "error" else (ABOVE, BELOW)
    words = f"{kind} likely {{}} {threshold:g}"
    return {
        good: (_GOOD, words.format(good)),
        bad: (_BAD, words.format(bad)),
        UNCLEAR: (_UNCLEAR, "cannot say"),
    }
