"""The part of a page on scores: do distances predict them, and how far to trust that."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from geospot_gpu.report.folders import Results
from geospot_gpu.report.html import Section, facts, listed, number, paragraph, picture, table
from geospot_gpu.report.packing import Packed, packed, rounded
from geospot_gpu.transfer.correlation.statistics import rank_rows

MOST_PAIRS = 20_000
"""Pairs that are drawn at most."""
_JUDGED = ("distance", "group", "value", "lower", "upper", "p", "p_family", "reason")
_OVERALL = ("scope", "statistic", "n_pairs", "n_regions")
_TITLES = {
    "value": "rho",
    "lower": "from",
    "upper": "to",
    "p_family": "family-wise p",
    "n_pairs": "pairs",
    "n_regions": "regions",
}
_SAID = ("score", "loss", "predicted", "lower", "upper")


def transferred(results: Results) -> Section:
    """What ``geospot transfer`` found."""
    summary = results.summary
    judged = results.needed("correlations.parquet", (*_JUDGED, *_OVERALL))
    overall = rank_rows(judged)
    shown = overall[overall["reason"].isna()].sort_values("value", ascending=False)
    columns = [*_JUDGED[:-1], "n_pairs", "n_regions"]
    text = paragraph(summary.get("text", ""), "verdict")
    text += listed(one["text"] for one in summary.get("spaces", []))
    text += predictor_facts(summary.get("predictor"))
    pairs = results.table("pairs.parquet", ("source", "target", *_SAID))
    data: dict[str, Any] = {}
    arrays: dict[str, Packed] = {}
    if pairs is None:
        text += paragraph(
            "the pairs are not drawn: run geospot transfer again, which keeps them since", "note"
        )
    else:
        drawn = _drawn(pairs)
        if len(drawn) < len(pairs):
            text += paragraph(
                f"{len(drawn):,} of {len(pairs):,} pairs are drawn, chosen at random", "note"
            )
        data, arrays = _scatter(drawn, summary)
        text += '<div data-part="transfer"></div>\n'
    text += "<h3>Distances and simple baselines: Spearman's rho with the loss</h3>\n"
    text += table("distances", shown[columns], _TITLES)
    left_out = summary.get("left_out", {})
    text += listed(f"{name} is left out: {reason}" for name, reason in left_out.items())
    text += picture(results.picture("transfer.png"), "correlations, and the loss over a distance")
    return Section("transfer", "Do distances predict transfer?", text, data, arrays)


def predictor_facts(found: dict[str, Any] | None) -> str:
    """What a predictor is worth for regions left out, as a list of facts."""
    if found is None:
        return paragraph("too few regions have scores to say what predictions are worth", "note")
    error, constant = found["error"], found["error_of_constant"]
    said = [
        ("mean absolute error for regions left out", number(error)),
        (
            f"that of always the {found['constant']}",
            f"{number(constant)} (p {found['p_over_constant']:.3f})",
        ),
    ]
    if found.get("error_of_best_single_distance") is not None:
        said.append(
            (
                f"that of {found['best_single_distance']} alone",
                f"{number(found['error_of_best_single_distance'])} "
                f"(p {found['p_over_best_single_distance']:.3f})",
            )
        )
    said += [
        ("90 % intervals hold", f"{100 * found['covered']:.0f} %"),
        ("in the worst target", f"{100 * found['worst_target_covered']:.0f} %"),
        ("their mean width", number(found["mean_width"])),
    ]
    text = ""
    if not found["gains"]:
        text = paragraph(
            f"Predictions are no better than always the {found['constant']}: which region is "
            "better they do not tell.",
            "verdict",
        )
    return text + facts(said)


def _drawn(pairs: pd.DataFrame) -> pd.DataFrame:
    if len(pairs) <= MOST_PAIRS:
        return pairs
    return pairs.sample(MOST_PAIRS, random_state=0).sort_index()


def _scatter(
    pairs: pd.DataFrame, summary: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Packed]]:
    """Pairs as a page draws them."""
    names = sorted({*pairs["source"], *pairs["target"]})
    position = {name: k for k, name in enumerate(names)}
    distances = [
        str(name) for name in pairs if name not in ("source", "target", *_SAID)
    ]  # in their order
    arrays = {
        f"transfer_{side}": packed(pairs[side].map(position).to_numpy(np.int32))
        for side in ("source", "target")
    }
    for name in _SAID:
        arrays[f"transfer_{name}"] = packed(rounded(pairs[name].to_numpy(float)))
    for k, name in enumerate(distances):
        arrays[f"transfer_distance_{k}"] = packed(rounded(pairs[name].to_numpy(float)))
    best = summary.get("best_distance") or summary.get("best_baseline")
    data = {
        "names": names,
        "distances": distances,
        "best": best if best in distances else distances[0],
        "kind": summary["scores"]["kind"],
        "predicted": bool(pairs["predicted"].notna().any()),
    }
    return data, arrays
