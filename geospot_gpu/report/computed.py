"""The part of a page on how it was computed, and what was left out."""

from __future__ import annotations

import json
from typing import Any

from geospot_gpu.errors import GeospotError
from geospot_gpu.regions.counts import describe_counts
from geospot_gpu.report.html import Section, escaped, facts, listed, number, paragraph
from geospot_gpu.report.pairs import Pairs
from geospot_gpu.report.remade import sweep_command
from geospot_gpu.runs.run import Run

_LISTS = ("sources", "targets", "larger_samples")
"""Of the manifest, what stands elsewhere on the page, region by region."""


def computed(run: Run, pairs: Pairs, command: str) -> Section:
    """Settings, versions, seeds, counts and warnings, and the commands that make it again.

    Args:
        run: the run.
        pairs: what the page holds of its pairs.
        command: what makes the page again.
    """
    manifest = run.manifest
    text = "<h3>Warnings</h3>\n" + listed(_warnings(run, pairs))
    text += "<h3>Points</h3>\n" + listed(_accounts(run))
    text += "<h3>Settings</h3>\n" + facts(_settings(run))
    text += "<h3>Versions</h3>\n" + facts(sorted(manifest.get("versions", {}).items()))
    text += "<h3>Commands that make it again</h3>\n"
    try:
        sweep = sweep_command(manifest, str(run.folder))
    except GeospotError as error:
        sweep, reason = None, str(error)
    else:
        reason = "the sweep was made from Python: geospot_gpu.sweep with these regions"
    text += paragraph(reason, "note") if sweep is None else ""
    lines = [line for line in (sweep, command) if line]
    text += f'<pre data-testid="commands">{escaped_lines(lines)}</pre>\n'
    shown = {key: value for key, value in manifest.items() if key not in _LISTS}
    text += (
        "<details><summary>manifest</summary><pre>"
        f"{escaped_lines(json.dumps(shown, indent=2).splitlines())}</pre></details>\n"
    )
    return Section("computed", "How it was computed", text)


def escaped_lines(lines: list[str]) -> str:
    """Lines as markup."""
    return "\n".join(map(escaped, lines))


def _warnings(run: Run, pairs: Pairs) -> list[str]:
    found = []
    if pairs.missing:
        found.append(f"{pairs.missing:,} of {pairs.total:,} pairs are not computed yet")
    if pairs.unconverged:
        found.append(
            f"{pairs.unconverged:,} pairs did not converge: their intervals hold, and are wide; "
            f"raise {run.solver.remedy}"
        )
    if run.cost.scaling == "pair_max":
        found.append("every pair has a scale of its own: pairs do not compare")
    short = sum(
        entry.get("n_points", 0) < entry.get("n_available", 0) for entry in run.manifest["sources"]
    )
    if short:
        found.append(
            f"{short:,} of {len(run.names):,} regions are samples of their points: std_error and "
            "bias say what that leaves uncertain"
        )
    return found or ["none"]


def _accounts(run: Run) -> list[str]:
    """Where the points of each table went, as far as the run knows."""
    config: Any = run.manifest.get("config") or {}
    groups = [config.get(key) or {} for key in ("points", "against")]
    origins = [group.get("path") or group.get("source") or "points" for group in groups]
    counts = run.manifest.get("points") or []
    by = (config.get("regions") or {}).get("by", "column")
    return [
        describe_counts(count, str(origin), by)
        for count, origin in zip(counts, origins, strict=False)
        if count
    ] or ["the run does not say where points went"]


def _settings(run: Run) -> list[tuple[str, str]]:
    manifest, solver = run.manifest, run.solver
    found = [
        ("folder", str(run.folder)),
        ("regions", number(len(run.names))),
        ("encoder", str(manifest["identity"]["encoder"])),
        ("features", str(manifest["features"]) if manifest.get("features") else "–"),
        ("seed of samples", number(manifest["seed"])),
        ("points of a region at most", number(manifest.get("max_points"))),
        ("device", str(manifest.get("device", "–"))),
        ("distance", run.value),
        ("outputs", ", ".join(manifest.get("outputs") or [])),
    ]
    for name in ("cost", "solver"):
        found += [
            (f"{name}: {key}", number(value) if isinstance(value, int | float) else str(value))
            for key, value in manifest["identity"][name].items()
        ]
    if solver.epsilon and (km := run.cost.epsilon_km(solver.epsilon)) is not None:
        found.append(("epsilon blurs like", f"{km:,.0f} km of great circle"))
    return found
