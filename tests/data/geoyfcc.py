"""GeoYFCC in each of the forms in which it is found: a few countries, photos, labels and words."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote_plus

import numpy as np
import pandas as pd

from tests.data import old_pickle

COUNTRIES = {
    "Norway": (0, 10.7, 59.9),
    "Finland": (12, 25.0, 60.2),
    "Kenya": (41, 36.8, -1.3),
    "Uganda": (57, 32.6, 0.3),
    "Peru": (34, -77.0, -12.0),
}
"""Number of a country, and where its photos are."""
WORDS = {0: "fjord ski", 1: "lake elk", 2: "market fruit"}
"""Of titles, by label; in countries of the south some words mean something else."""
SOUTH = {0: "fjord boat", 1: "market fruit", 2: "lake zebra"}


def photos(each: int = 12, seed: int = 0) -> pd.DataFrame:
    """Photos with one label or two, in the columns of the published pickle."""
    generator = np.random.default_rng(seed)
    rows = []
    for country, (number, lon, lat) in COUNTRIES.items():
        for k in range(each):
            label = k % 3
            place = generator.normal([lon, lat], 0.5)
            words = (WORDS if lat > 50 else SOUTH)[label]
            rows.append(
                {
                    "yfcc_row_id": 1000 * number + k,
                    "label_ids": [label] if k % 6 else [label, (label + 1) % 3],
                    "country": country,
                    "country_id": number,
                    "in_5k_label_ids": [3000 + label],
                    "is_train": k % 4 != 3,
                    "yfcc_metadata": "\t".join(_fields(number, k, place, words, country)),
                }
            )
    return pd.DataFrame(rows)


def _fields(number: int, k: int, place: np.ndarray, words: str, country: str) -> list[str]:
    """The 24 fields of a photo; texts are written as in a URL."""
    photo, page = f"{6_000_000_000 + 1000 * number + k}", "http://www.flickr.com/photos/x/1/"
    title, told = quote_plus(f"{words.title()} №7 Café"), quote_plus(f"See {page} {country}")
    start = [photo, "d41d8c", "39089491@N00", "guckxzs", "2012-02-16 09:56:37.0", "1331840483"]
    device = ["Canon+PowerShot", title, told, f"{country.lower()},{words.replace(' ', ',')}", ""]
    where = [f"{place[0]:.6f}", f"{place[1]:.6f}", "12", page, page + "a.jpg"]
    return [*start, *device, *where, "CC+BY", "http://cc.org/", "7205", "8", "a", "b", "jpg", "0"]


def write_pickle(root: Path, each: int = 12) -> None:
    """As it is published: a pickle of pandas 1.2."""
    root.mkdir(parents=True, exist_ok=True)
    old_pickle.write(photos(each), root / "GeoYFCC.pkl")


def write_expanded(root: Path, each: int = 12) -> None:
    """A table with a column for each field, lists as text: what the reference makes of it."""
    root.mkdir(parents=True, exist_ok=True)
    table = photos(each)
    fields = table.pop("yfcc_metadata").str.split("\t", expand=True)
    table["photoid"], table["longitude"], table["latitude"] = fields[0], fields[11], fields[12]
    table["title"], table["description"], table["usertags"] = fields[7], fields[8], fields[9]
    table.to_csv(root / "geoyfcc_all_metadata_before_cleaning.csv", index=False)


def write_cleaned(root: Path, each: int = 12, name: str = "metadata.csv") -> None:
    """The cleaned table, with numbers of photos as decimals, as one of them is missing."""
    root.mkdir(parents=True, exist_ok=True)
    table = photos(each)
    fields = table["yfcc_metadata"].str.split("\t", expand=True)
    cleaned = pd.DataFrame(
        {
            "photo_id": fields[0].astype(float),
            "lat": fields[12].astype(float),
            "lon": fields[11].astype(float),
            "country_id": table["country_id"],
            "country_name": table["country"],
            "label_id": [labels[0] for labels in table["label_ids"]],
            "label_name": "thing",
            "imagenet5k_id": 1,
            "split": np.where(table["is_train"], "train", "test"),
        }
    )
    path = root / name
    cleaned.to_parquet(path) if name.endswith(".parquet") else cleaned.to_csv(path, index=False)


def write_images(root: Path) -> None:
    """Images of some photos, as ``class_<label>/<photo>.<extension>``."""
    for label, photo, extension in ((0, 6_000_000_000, "jpg"), (1, 6_000_000_001, "png")):
        folder = root / f"class_{label}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{photo}.{extension}").write_bytes(b"image")
