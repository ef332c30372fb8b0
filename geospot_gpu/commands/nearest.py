"""The command ``geospot nearest``: the regions most like one of them."""

from __future__ import annotations

import time

import pandas as pd
from omegaconf import DictConfig

from geospot_gpu.commands.results import borders_to_draw
from geospot_gpu.config import objects, settings
from geospot_gpu.config.composed import checked
from geospot_gpu.config.groupings import within
from geospot_gpu.files.outputs import write_csv, write_summary
from geospot_gpu.files.urls import outputs_in
from geospot_gpu.outcome import conclude, say
from geospot_gpu.pictures.maps import mapped, save
from geospot_gpu.pictures.selection import neighbour_map
from geospot_gpu.selection.neighbours import nearest_regions

_FILES = ("nearest.csv", "nearest.png", "summary.json")


def nearest(config: DictConfig) -> None:
    """Find the neighbours that ``config`` asks for, and say which they are."""
    typed = checked(config, settings.NearestConfig)
    results = outputs_in(
        typed.out, _FILES, inputs=settings.inputs(typed), overwrite=typed.overwrite
    )
    results.check_writable()
    cost, solver = objects.make_cost(typed), objects.make_solver(typed)
    engine, encoder = objects.make_engine(typed), objects.make_encoder(typed)
    regions, against = objects.make_regions(typed, encoder, str(engine.torch_device()))
    started = time.perf_counter()
    found = nearest_regions(
        regions, typed.target, typed.k, against=against, cost=cost, solver=solver, engine=engine
    )
    seconds = time.perf_counter() - started
    where = regions if against is None else against
    table, target = found.table, where.names[where.position(typed.target, "target")]
    share = found.solved / found.candidates
    unconverged, certain = int((~table["converged"]).sum()), _certain(table)
    text = (
        f"the {len(table)} regions nearest to {target} of {found.candidates}, "
        f"{found.solved} of which were solved ({share:.1%})"
    )
    summary = {
        "verdict": text,
        "target": target,
        "candidates": found.candidates,
        "half_steps": found.half_steps,
        "solved": found.solved,
        "unconverged": unconverged,
        "order_is_certain": certain,
        "seconds": round(seconds, 3),
    }
    shown = mapped(regions)
    around = shown if where is regions else mapped(where)
    with results.replacing() as staged:
        write_csv(table, staged / "nearest.csv", index=False, float_format="%.9g")
        if shown is not None and around is not None:
            polygons = borders_to_draw(typed.regions)
            save(neighbour_map(table, shown, around, target, polygons), staged / "nearest.png")
        write_summary(staged, summary)
    if len(table) < typed.k:
        say(f"k={typed.k}: there are only {found.candidates} other regions: all are listed")
    say(f"{text}:")
    say(*_report(table))
    if unconverged:
        say(f"{unconverged} of them did not converge: raise {solver.remedy}")
    if not certain:
        say("intervals of neighbours overlap: they may stand in another order")
    for side in (regions, against):
        if side is not None:
            say(side.account(within(typed.regions)))
    figures = {"nearest": len(table), "candidates": found.candidates, "solved": found.solved}
    conclude(results.place, {**figures, "unconverged": unconverged})


def _certain(table: pd.DataFrame) -> bool:
    """Whether the intervals of successive regions are disjoint."""
    return bool((table["upper"].to_numpy()[:-1] < table["lower"].to_numpy()[1:]).all())


def _report(table: pd.DataFrame) -> list[str]:
    width = table["region"].str.len().max()
    return [
        f"  {row.rank:3d}  {row.region:{width}}  {row.divergence:z.4f}  "
        f"in [{row.lower:z.5f}, {row.upper:z.5f}]"
        for row in table.itertuples()
    ]
