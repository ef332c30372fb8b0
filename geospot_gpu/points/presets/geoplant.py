"""GeoPlant: surveys of all plants on small plots in Europe, as GeoLifeCLEF 2024 has them.

Picek et al. 2024, https://www.kaggle.com/competitions/geolifeclef-2024
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from geospot_gpu.points.presets import files

FOLDERS = ("PresenceAbsenceSurveys",)
_PATCHES = "PA-{}-SatellitePatches", "PA_{}_SatellitePatches_RGB/pa_{}_patches_rgb"


def read(root: Path) -> pd.DataFrame:
    """Surveys, one row for each: a table of plants has a row for each species of a survey.

    So a plot with many species is one place, and counts as one.

    Returns:
        ``id`` (``surveyId``), ``lon``, ``lat``, ``region`` (the country), ``label`` (numbers of
        its species in order, with spaces between them; None for those of the test, of which they
        are not public), ``split``, ``bioregion`` (the biogeographic region), and ``image`` where
        patches of satellite images are there.

    Raises:
        GeospotError: there is no table of training surveys, or a column is missing.
    """
    names = {
        split: [f"GLC24_PA_metadata_{split}.csv", f"GLC24-PA-metadata-{split}.csv"]
        for split in ("train", "test")
    }
    train = files.found(root, names["train"], "the surveys of GeoPlant", FOLDERS)
    parts = [_surveys(train, "train", root)]
    test = files.first(root, names["test"], FOLDERS)
    if test is not None:
        parts.append(_surveys(test, "test", root))
    return pd.concat(parts, ignore_index=True)


def _surveys(path: Path, split: str, root: Path) -> pd.DataFrame:
    needed: list[str] = ["lon", "lat", "surveyId"]
    needed += ["country", "speciesId"] if split == "train" else []
    table = files.read(path, needed)
    table = files.kept(table, table["surveyId"].notna(), path, "they are of no survey")
    surveys = table.drop_duplicates("surveyId")
    points = pd.DataFrame(
        {
            "id": files.whole_text(surveys["surveyId"]),
            "lon": surveys["lon"],
            "lat": surveys["lat"],
            "region": surveys.get("country"),
            "label": None,
            "split": split,
        }
    )
    if "region" in surveys:
        points["bioregion"] = surveys["region"]
    if "speciesId" in table:
        species = table.dropna(subset=["speciesId"]).sort_values("speciesId")
        numbers = species["speciesId"].astype(int).astype(str)
        lists = numbers.groupby(species["surveyId"]).agg(lambda some: " ".join(some.unique()))
        points["label"] = surveys["surveyId"].map(lists)
    # 4242424 lies in 24/24: the last two digits, and the two before them.
    patches = [f"{one[-2:]}/{one[-4:-2]}/{one}.jpeg" for one in points["id"]]
    own = split.capitalize()
    folders = [folder.format(own, split) for folder in _PATCHES]
    paths = files.images(root, pd.Series(patches, points.index), folders)
    return points if paths.isna().all() else points.assign(image=paths)
