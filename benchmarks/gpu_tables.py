"""Tables of what is known of the GPU without one, before it was rewritten and now."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.gpu_checks.pretended import COPY, LAUNCH, TRITON
from benchmarks.gpu_checks.pretended_queue import EVENT, WAIT

Figures = Mapping[str, Any]

_SHOWN = (80, 90, 120)
"""Architectures; the others are in the results."""


def _table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [columns, ["---", *["---:"] * (len(columns) - 1)], *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def _sum(counts: Mapping[str, float], *kinds: str) -> float:
    return sum(counts.get(kind, 0.0) for kind in kinds)


def launches(now: Figures, before: Figures) -> str:
    """Of one iteration."""
    rows = []
    for case, counts in now["per iteration"].items():
        old = before["per iteration"].get(case, {}).get("counts")
        was = [
            f"{value:.4g}"
            for value in (
                (_sum(old, LAUNCH, TRITON), _sum(old, WAIT, EVENT, COPY)) if old is not None else ()
            )
        ]
        is_now = [f"{counts[name]:.4g}" for name in ("on the device", "by the host", "waits")]
        rows.append([case, *(was or ["", ""]), *is_now])
    columns = (
        "counted, of one iteration", "launches before", "waits before", "launches now",
        "calls of the host now", "waits now",
    )  # fmt: skip
    return _table(columns, rows)


def predicted(now: Figures, before: Figures) -> str:
    """Milliseconds of whole workloads."""

    def shown(value: Mapping[str, float] | None) -> str:
        if value is None:
            return "does not fit"
        return f"{1e3 * value['lower']:.0f} to {1e3 * value['upper']:.0f}"

    cards = [name for name in now if name != "kind"]
    columns = ["predicted, ms", *(f"{card} {when}" for card in cards for when in ("before", "now"))]
    rows = [
        [work, *(shown(side[card].get(work)) for card in cards for side in (before, now))]
        for work in now[cards[0]]
    ]
    return _table(columns, rows)


def compiled(now: Figures, before: Figures) -> str:
    """What passes need of a card."""

    def shown(row: Figures | None) -> str:
        if row is None:
            return ""
        per_cost = "" if row["per_cost"] is None else f", {row['per_cost']:g}"
        blocks = f"{row['blocks']} blocks" if row["fits"] else "no room"
        kilobytes = round(row["shared"] / 1024)
        return f"{row['registers']}, {row['spills']}, {kilobytes} KB{per_cost}, {blocks}"

    sides = [
        {(row["label"], row["architecture"]): row for row in figures["passes"]}
        for figures in (before, now)
    ]
    labels = dict.fromkeys(label for side in sides for label, _ in side)
    columns = ["pass", *(f"sm_{a} {when}" for a in _SHOWN for when in ("before", "now"))]
    rows = [
        [label, *(shown(side.get((label, a))) for a in _SHOWN for side in sides)]
        for label in sorted(labels)
        if not label.startswith("fold")
    ]
    return _table(columns, rows)


TABLES: dict[str, Callable[[Figures, Figures], str]] = {
    "gpu_launches": launches,
    "gpu_predicted": predicted,
    "gpu_compiled": compiled,
}
"""By the name of the results."""
