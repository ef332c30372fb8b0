"""The command ``geospot predict`` with the samples of one model: where it may be trusted."""

from __future__ import annotations

from geospot_gpu.commands.results import COLUMNS, open_sweep
from geospot_gpu.config import settings
from geospot_gpu.config.objects import make_cluster
from geospot_gpu.config.validation import refuse_unused
from geospot_gpu.errors import GeospotError
from geospot_gpu.files.outputs import write_summary
from geospot_gpu.files.tables import read_raw_table
from geospot_gpu.outcome import conclude, say
from geospot_gpu.pictures.applicability import applicability_map
from geospot_gpu.pictures.maps import save
from geospot_gpu.points.readers import read_points
from geospot_gpu.points.table import Points
from geospot_gpu.runs.run import Run
from geospot_gpu.transfer.applicability.applicability import applicability
from geospot_gpu.transfer.scores.samples import has_sources, is_samples

PLACES_FILES = ("places.parquet", "applicability.png", "summary.json")
_OTHER = ("predictions.parquet", "map.parquet", "map.png")


def of_one_model(typed: settings.PredictConfig) -> bool:
    """Whether scores are samples of one model: training points are given, or no source is."""
    if typed.training.path is not None:
        return True
    if typed.scores.path is None or typed.scores.source is not None:
        return False
    table = read_raw_table(typed.scores.path, "scores")
    return is_samples(table, typed.scores.score, id=typed.scores.id) and not has_sources(table)


def unused_of_targets(typed: settings.PredictConfig, *columns: str) -> dict[str, str]:
    """Settings of targets that are of no use, and what they would need."""
    if typed.targets.path is None:
        return {f"targets.{key}": "targets=FILE" for key in columns}
    return dict.fromkeys(("targets.degrees", "targets.points"), "a grid over the land")


def predict_places(typed: settings.PredictConfig) -> None:
    """Say of places how the model will do there, and where that is not known."""
    given = typed.scores
    if given.path is None:
        raise GeospotError("scores is needed: give scores=FILE")
    pairs = "scores of pairs of regions"
    unused = dict.fromkeys(
        (
            *("scores.source", "scores.change", "targets.region", "targets.weight"),
            *(f"few.{key}" for key in ("path", *COLUMNS)),
            "label_budget",
        ),
        pairs,
    )
    unused |= unused_of_targets(typed, "lon", "lat")
    if typed.training.path is None:
        unused |= {f"training.{key}": "training=FILE" for key in ("lon", "lat")}
    refuse_unused(typed, settings.PredictConfig(), unused)
    run, results = open_sweep(typed, PLACES_FILES, _OTHER, make_cluster(typed.engine))
    with run.engine.pool():
        found = applicability(
            run,
            given.path,
            kind=given.kind,  # type: ignore[arg-type]
            training=_points(typed.training, run),
            source=typed.source,
            targets=_points(typed.targets, run),
            target=given.target,
            score=given.score,
            id=given.id,
            model=given.model,
            shots=given.shots,
            degrees=typed.targets.degrees,
            points=typed.targets.points,
            threshold=typed.threshold,
            seed=typed.seed,
        )
    with results.replacing() as staged:
        found.places.to_parquet(staged / "places.parquet", index=False)
        if "lon" in found.places:
            figure = applicability_map(found.places, found.kind, found.score_threshold)
            save(figure, staged / "applicability.png")
        else:
            say("points have no coordinates: no map is drawn")
        write_summary(staged, found.summary)
    say(found.text, found.verdict)
    figures = {"places": len(found.places), "inside": int(found.places["inside"].sum())}
    conclude(results.place, {**figures, "unknown": found.unknown})


def _points(wanted: settings.TrainingConfig | settings.TargetsConfig, run: Run) -> Points | None:
    if wanted.path is None:
        return None
    return read_points(
        wanted.path,
        lon=wanted.lon,
        lat=wanted.lat,
        located=True if run.regions.located else None,
        text=run.encoder.ids,
    )
