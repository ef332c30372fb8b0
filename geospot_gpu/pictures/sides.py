"""Colours for the two sides of a threshold, which colour-blind people tell apart, too."""

from __future__ import annotations

from geospot_gpu.transfer.threshold import ABOVE, BELOW, UNCLEAR, Threshold

_GOOD, _BAD, _UNCLEAR = "#0072B2", "#E69F00", "0.62"
"""Blue and orange of Okabe & Ito (2008, Color universal design), which differ in lightness, too."""


def side_colours(threshold: Threshold) -> dict[str, tuple[str, str]]:
    """Colour and words for each side, the good one first.

    >>> from geospot_gpu.transfer.threshold import Threshold
    >>> list(side_colours(Threshold(0.2, "error")).values())[1]
    ('#E69F00', 'error likely above 0.2')
    """
    good, bad = (ABOVE, BELOW) if threshold.worse == BELOW else (BELOW, ABOVE)
    words = f"{threshold.kind} likely {{}} {threshold.value:g}"
    return {
        good: (_GOOD, words.format(good)),
        bad: (_BAD, words.format(bad)),
        UNCLEAR: (_UNCLEAR, "cannot say"),
    }
