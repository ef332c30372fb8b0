"""The scores of models at a few labelled points of targets."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from geospot_gpu.errors import GeospotError
from geospot_gpu.files.tables import RawTable, read_raw_table
from geospot_gpu.names import Names
from geospot_gpu.transfer.scores.aggregate import scores_by
from geospot_gpu.transfer.scores.membership import Among, members_of
from geospot_gpu.transfer.scores.samples import (
    Samples,
    has_sources,
    has_targets,
    is_samples,
    read_samples,
    refuse_samples,
)
from geospot_gpu.transfer.scores.scores import Kind, check_range
from geospot_gpu.transfer.scores.table import ROLES, Role, read_pairs
from geospot_gpu.transfer.scores.together import Unions, match_sources

log = logging.getLogger("geospot_gpu")

_SETTING = re.compile(r"\bscores\.(?=source|target|score|id|model|shots)")


def read_few(
    table: str | Path | pd.DataFrame,
    kind: Kind,
    sources: Mapping[str, Sequence[str]],
    regions: Sequence[str],
    among: Among,
    headers: Mapping[str, str | None],
) -> pd.DataFrame:
    """Scores of models that are asked about, at a few labelled points of each target.

    Args:
        table: as :func:`~geospot_gpu.read_scores` takes them, but for a matrix: a row per sample,
            or per source and target with ``n`` or a standard error. Where one model alone is asked
            about, the column ``source`` may be missing.
        kind: of the scores.
        sources: the models that are asked about, and the regions that each is of.
        regions: names of the regions of the sweep.
        among: the targets.
        headers: of columns, as :func:`~geospot_gpu.read_scores` has them.

    Returns:
        A row per model and target: ``source``, ``target``, ``score``, ``n``, how many labels, and
        ``std_error``; either of both NaN where it is not known.

    Raises:
        GeospotError: the table cannot be understood, no label is of a target, one sample has two
            values, or a score has neither.
    """
    where = str(table) if isinstance(table, str | Path) else "few"
    try:
        found, known = _read(table, where, kind, list(sources), regions, among, headers)
    except GeospotError as error:  # which names the settings of scores
        raise GeospotError(_SETTING.sub("few.", str(error))) from error
    asked = {frozenset(parts): name for name, parts in sources.items()}
    found["source"] = [asked.get(known[at]) for at in found["source"]]
    others = found["source"].isna()
    if others.all():
        raise GeospotError(
            f"{where}: its scores are of none of the models that are asked about: give those of "
            f"{', '.join(list(sources)[:5])}"
        )
    if others.any():
        log.warning(
            "%s: scores of %d pairs are of models that are not asked about, left out",
            *(where, int(others.sum())),
        )
    return found[~others].reset_index(drop=True)


def _read(
    table: object, where: str, kind: Kind, sources: Sequence[str], regions: Sequence[str],
    among: Among, headers: Mapping[str, str | None],
) -> tuple[pd.DataFrame, list[frozenset[str]]]:  # fmt: skip
    """Scores by positions of sources and names of targets, and the regions of each source."""
    raw = read_raw_table(table, "few")
    of_rows: dict[Role, Any] = {role: headers.get(role) for role in ROLES}
    given: Any = {key: headers.get(key) for key in ("id", "model", "shots")}
    samples = is_samples(raw, **of_rows, id=given["id"])
    if of_rows["source"] is None:
        raw = _with_source(raw, where, sources, samples=samples)
    if samples:
        return _of_samples(read_samples(raw, where, kind, **of_rows, **given), regions, among)
    refuse_samples(given, where)
    return _of_pairs(raw, where, kind, of_rows, regions, among)


def _with_source(raw: RawTable, where: str, sources: Sequence[str], *, samples: bool) -> RawTable:
    """The table with the one model that is asked about as its source, where it names none."""
    if has_sources(raw) or not (samples or has_targets(raw)):
        return raw
    if len(sources) > 1:
        raise GeospotError(
            f"{where}: has no column source, and {len(sources)} models are asked about: add it, or "
            "ask about one with source=REGION"
        )
    cells = raw.cells.assign(source=sources[0])
    cells.columns = pd.RangeIndex(len(cells.columns))
    return raw._replace(headers=[*raw.headers, "source"], cells=cells)


def _of_samples(
    samples: Samples, regions: Sequence[str], among: Among
) -> tuple[pd.DataFrame, list[frozenset[str]]]:
    """Of a table with a row per sample."""
    names = list(among.regions.names)
    found = members_of(samples, names, among)
    at, unions = match_sources(
        samples.names["source"], pd.Series(list(regions), dtype="string"), samples.where
    )
    lost = np.unique(found.sample[at[found.sample] < 0])
    if len(lost):
        unknown = sorted(set(samples.names["source"].iloc[lost].dropna()))
        raise GeospotError(
            f"{samples.where}: {len(lost)} samples are of sources that the sweep does not have"
            f"{': ' + ', '.join(unknown[:5]) if unknown else ''}; "
            f"{Names(regions).hint(unknown[0] if unknown else '')}"
        )
    _check_once(samples)
    table = pd.DataFrame({"source": at[found.sample], "target": found.region, "at": found.sample})
    scored = scores_by(samples, table, ["source", "target"]).rename(columns={"weight": "n"})
    scored["target"] = [names[k] for k in scored["target"]]
    log.warning(
        "%s: %d samples make the scores of %d pairs",
        *(samples.where, table["at"].nunique(), len(scored)),
    )
    return scored, _parts(regions, unions)


def _check_once(samples: Samples) -> None:
    """Raise where one sample has two values of one model."""
    if "id" not in samples.names:
        return
    by = ["source", "id", *(["seed"] if "seed" in samples.names else [])]
    table = pd.DataFrame({role: samples.names[role].to_numpy(object) for role in by})  # type: ignore[index]
    count = table.assign(value=samples.value).groupby(by)["value"].nunique()
    twice = count[count > 1]
    if len(twice):
        first = dict(zip(by, twice.index[0], strict=True))
        raise GeospotError(
            f"{samples.where}: {samples.headers['id']} {first['id']} has {twice.iloc[0]} different "
            f"values of the model of {first['source']}: keep one, or name runs in a column seed"
        )


def _of_pairs(
    raw: RawTable, where: str, kind: Kind, of_rows: Mapping[Role, str | None],
    regions: Sequence[str], among: Among,
) -> tuple[pd.DataFrame, list[frozenset[str]]]:  # fmt: skip
    """The same of a table of pairs."""
    names = list(dict.fromkeys([*regions, *among.regions.names]))
    pairs = read_pairs(raw, where, of_rows, names, "neither the sweep nor the targets")
    every = [*names, *pairs.unions]
    table = pairs.table.rename(columns={"weight": "n"})
    check_range(table["score"], where, kind)
    table["target"] = [every[k] for k in table["target"]]
    outside = ~table["target"].isin(list(among.regions.names))
    if outside.any():
        raise GeospotError(
            f"{where}: {table['target'][outside].iloc[0]} is no region of {among.whose}: "
            f"{Names(among.regions.names).hint(table['target'][outside].iloc[0])}"
        )
    known = _parts(names, pairs.unions)
    kept = table[["source", "target", "score", "n", "std_error"]].reset_index(drop=True)
    twice = kept.duplicated(["source", "target"])
    bare = ~(np.isfinite(kept["n"]) | (kept["std_error"] > 0.0))
    for wrong, text in (
        (twice, "has several scores: keep one"),
        (bare, "has a score without n, how many labels it rests on, or std_error: add one"),
    ):
        if wrong.any():
            row = kept[wrong].iloc[0]
            raise GeospotError(f"{where}: {every[int(row['source'])]} to {row['target']} {text}")
    return kept, known


def _parts(names: Sequence[str], unions: Unions) -> list[frozenset[str]]:
    """The regions of each source, unions after the others."""
    several = [frozenset(names[k] for k in members) for members in unions.values()]
    return [frozenset([name]) for name in names] + several
