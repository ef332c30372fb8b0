"""What ``geospot select`` says of the regions it chose."""

from __future__ import annotations

import pandas as pd

from geospot_gpu.selection.regions import Selection
from geospot_gpu.selection.steps import Estimate


def sentence(found: Selection, samples: int, method: str) -> str:
    """How much was chosen, and how far it improves."""
    until, count = found.improves_until, len(found.table)
    text = f"{samples} samples from {count} region{'s' if count > 1 else ''}"
    if method == "scatter":
        return f"{text}, by what a plan of coverage takes from each"
    text += "; "
    if until == count:
        text += "every step improves by more than its error"
    elif until == 0:
        text += "no step improves by more than its error"
    else:
        text += f"nothing improves by more than its error after step {until}"
    if found.guarantee is not None:
        text += f"; the gain is at least {100 * found.guarantee:.1f} % of the best possible"
    return text


def beside_scatter(found: Selection, method: str) -> str:
    """What the choice is worth beside the same budget scattered over all candidates."""
    beside = found.scatter
    text = f"coverage {_interval(beside.chosen)}"
    if method == "scatter":
        return text
    regions = f"{beside.regions} region{'s' if beside.regions > 1 else ''}"
    text += (
        f"; {beside.samples} samples scattered over {regions} (method=scatter) "
        f"reach {_interval(beside.scattered)}: choosing "
    )
    if beside.gain.lower > 0.0:
        return f"{text}lowers it by {_interval(beside.gain)}"
    if beside.gain.upper < 0.0:
        return f"{text}raises it by {_interval(beside.gain.negative)}, so scatter is nearer"
    return f"{text}changes it by {_interval(beside.gain.negative)}, which is no difference"


def _interval(found: Estimate) -> str:
    return f"{found.value:.4f} [{found.lower:.4f}, {found.upper:.4f}]"


def steps_of(table: pd.DataFrame) -> list[str]:
    """A line for each region, with the distance after it."""
    width = table["region"].str.len().max()
    return [
        f"  {row.order:3d}  {row.region:{width}}  {row.quota:6d} of {row.available:<6d}  "
        f"{row.distance:.4f}  [{row.lower:.4f}, {row.upper:.4f}]{'' if row.improves else '  ~'}"
        for row in table.itertuples()
    ]
