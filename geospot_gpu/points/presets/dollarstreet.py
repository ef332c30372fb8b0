"""Dollar Street: photos of things in homes of 63 countries, by income.

Gaviria Rojas et al. 2022, https://mlcommons.org/datasets/dollar-street/
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from geospot_gpu.errors import GeospotError
from geospot_gpu.points.presets import files

FOLDER = "dataset_dollarstreet"


def read(root: Path) -> pd.DataFrame:
    """Photos, one row for each of their topics. They have no coordinates.

    Returns:
        ``id``, ``region`` (alpha-2 code of the country, in capitals), ``label`` (the topic),
        ``split`` (from the name of the table), ``imagenet`` (names of the classes of ImageNet that
        it has, with ``; `` between them), ``country``, ``world_region`` and ``income`` (US dollars
        a month) where they are there, and ``image`` where its files are.

    Raises:
        GeospotError: there is none of the tables, or a column is missing.
    """
    if not root.is_dir():
        files.found(root, (), "Dollar Street")
    tables = {
        split: files.first(root, [f"images_v2_imagenet_{split}.csv"], [FOLDER])
        for split in ("train", "test")
    }
    there = {split: path for split, path in tables.items() if path is not None}
    if not there:
        raise GeospotError(
            f"{root}: Dollar Street is expected as images_v2_imagenet_train.csv and "
            f"images_v2_imagenet_test.csv here, in {FOLDER}/"
        )
    points = pd.concat([_read(path, split) for split, path in there.items()], ignore_index=True)
    base = next(iter(there.values())).parent
    paths = files.images(base, points.pop("path"))
    return points if paths.isna().all() else points.assign(image=paths)


def _read(path: Path, split: str) -> pd.DataFrame:
    needed = ("id", "country.id", "topics", "imagenet_synonyms", "imageRelPath")
    table = files.read(path, needed, ("id", "country.id"))
    points = pd.DataFrame(
        {
            "id": files.whole_text(table["id"]),
            "region": table["country.id"].str.upper(),
            "label": table["topics"].map(files.texts),
            "split": split,
            "imagenet": table["imagenet_synonyms"].map(lambda cell: "; ".join(files.texts(cell))),
            "path": table["imageRelPath"],
        }
    )
    for name, other in (("country.name", "country"), ("region.id", "world_region")):
        if name in table:
            points[other] = table[name]
    if "income" in table:
        points["income"] = table["income"]
    points = files.kept(points, points["label"].map(len) > 0, path, "they have no topic")
    return points.explode("label")
