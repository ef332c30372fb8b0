"""Distances and scores of the reference, whose directions and weights are not what they seem."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from geospot_gpu.errors import GeospotError
from geospot_gpu.points.readers import read_table

log = logging.getLogger("geospot_gpu")

DISTANCE_COLUMNS = ("embedding_type", "src_domain_idx", "k", "distance", "tgt_domains_combined")
PAIR = re.compile(r"(?P<models>.+?)_(?:domains_)?src(?P<source>\d+)_tgt(?P<target>\d+)\.csv")
CHOICE = re.compile(
    r"(?P<models>.+)_subset(?:_B(?P<budget>\d+))?(?:_K(?P<k>\d+)_(?P<method>ot|global|random|"
    r"in_distribution|specific_domain))?(?:_(?P<space>.+))?_tgt(?P<target>\d+)\.csv"
)
_METHOD = re.compile(
    r"method_(?P<method>.+?)_reg_(?P<epsilon>[\d.e-]+)_iter_\d+_metric_.+?_norm_(?P<norm>.+)\.csv"
)
_LAMBDA = re.compile(r"lam(?:bda)?[_=-]?(?P<value>[01]?\.\d+|[01])(?![\d])")
_GEOGRAPHY = "geodesic"


def distances(tables: Sequence[tuple[Path, pd.DataFrame]]) -> pd.DataFrame:
    """Distances from the regions that one trains in to the region that one wants to do well in.

    The reference solves for each domain, which it calls the source, which union of others is
    nearest: its source is what a model is made for, our target, and its targets are what it is
    trained on, our source. A mixture has the name of two spaces, and lambda weighs the one that is
    first by the alphabet, whichever is written first.

    Returns:
        ``space``, ``source`` (numbers of domains, ``5+12`` for a union), ``target``, ``k`` (how
        many in the union), ``distance``, ``lambda`` (empty where no file says it), ``weights`` (of
        each space), ``geo_weight`` (the weight of geography), ``epsilon``, ``norm``, ``greedy``.

    Raises:
        GeospotError: a distance or a domain is no number.
    """
    parts = []
    for path, table in tables:
        try:
            sources = [_union(cell) for cell in table["tgt_domains_combined"]]
            part = pd.DataFrame(
                {
                    "space": table["embedding_type"].astype(str),
                    "source": sources,
                    "target": table["src_domain_idx"].astype(int).astype(str),
                    "k": [source.count("+") + 1 for source in sources],
                    "distance": table["distance"].astype(float),
                }
            )
        except (ValueError, TypeError) as error:
            raise GeospotError(f"{path}: a domain or distance is no number ({error})") from error
        named = _METHOD.search(path.name)
        part["lambda"] = _lambda(table, path)
        part["epsilon"] = float(named["epsilon"]) if named else np.nan
        part["norm"] = named["norm"] if named else None
        part["greedy"] = table.get("greedy_sequential", False)
        parts.append(part)
    found = pd.concat(parts, ignore_index=True)
    mixed = found["space"].str.contains("+", regex=False)
    found.loc[~mixed, "lambda"] = np.nan
    unknown = int((mixed & found["lambda"].isna()).sum())
    if unknown:
        log.warning(
            "lambda of %d distances of mixtures is in no column lambda and no name of a file or "
            "folder (as lambda_0.3): their weights are empty",
            unknown,
        )
    pairs = list(zip(found["space"], found["lambda"], strict=True))
    weights = [_weights(space, share) for space, share in pairs]
    found["weights"] = [
        " ".join(f"{name}:{weight:g}" for name, weight in one.items()) if one else None
        for one in weights
    ]
    found["geo_weight"] = [one.get(_GEOGRAPHY, 0.0) if one else np.nan for one in weights]
    return found


def scores(tables: Sequence[tuple[Path, pd.DataFrame]]) -> dict[str, pd.DataFrame]:
    """Accuracies of models of one domain in another, means over seeds, by task and model.

    Which domains they are, names of files alone say: ``..._src<number>_tgt<number>.csv``.

    Returns:
        For each task and model ``source``, ``target``, ``score`` and ``seeds`` (how many).
    """
    rows: dict[str, list[dict[str, object]]] = {}
    for path, table in tables:
        named = PAIR.fullmatch(path.name)
        if named is None:
            continue
        pair = {"source": named["source"], "target": named["target"]}
        rows.setdefault(named["models"], []).append(pair | _mean(table))
    return {name: pd.DataFrame(found) for name, found in rows.items()}


def choices(tables: Sequence[tuple[Path, pd.DataFrame]]) -> pd.DataFrame:
    """Accuracies of models that were trained on a choice of domains, means over seeds.

    Returns:
        ``models``, ``method``, ``space`` (of the distance that chose), ``k`` (how many domains),
        ``budget``, ``target``, ``score`` and ``seeds``.
    """
    rows: list[dict[str, object]] = []
    for path, table in tables:
        named = None if PAIR.fullmatch(path.name) else CHOICE.fullmatch(path.name)
        if named is not None:
            rows.append(named.groupdict() | _mean(table))
    order = ["models", "method", "space", "k", "budget", "target", "score", "seeds"]
    return pd.DataFrame(rows, columns=order)


def read_result(path: Path) -> tuple[str, pd.DataFrame]:
    """What a CSV file holds: ``distance``, ``score`` or ``other``, by its columns; and the table.

    Raises:
        GeospotError: the file cannot be read.
    """
    table = pd.DataFrame(read_table(path, ("tgt_domains_combined",)))
    if set(DISTANCE_COLUMNS) <= set(table.columns):
        return "distance", table
    known = PAIR.fullmatch(path.name) or CHOICE.fullmatch(path.name)
    return ("score" if "test_acc" in table and known else "other"), table


def _union(cell: object) -> str:
    """The domains of a union: text as 5+12, or a number."""
    if isinstance(cell, str):
        return "+".join(str(int(float(part))) for part in cell.split("+"))
    return str(int(cell))  # type: ignore[call-overload]


def _lambda(table: pd.DataFrame, path: Path) -> Any:
    for name in ("lambda", "lambda_param"):
        if name in table:
            return table[name].astype(float)
    named = _LAMBDA.search("/".join(path.parts[-3:]))
    return float(named["value"]) if named else np.nan


def _weights(space: str, share: float) -> dict[str, float] | None:
    names = sorted(space.split("+"))
    if len(names) == 1:
        return {space: 1.0}
    if len(names) != 2 or np.isnan(share):
        return None
    return dict(zip(names, (share, 1.0 - share), strict=True))


def _mean(table: pd.DataFrame) -> dict[str, object]:
    return {"score": table["test_acc"].astype(float).mean(), "seeds": len(table)}
