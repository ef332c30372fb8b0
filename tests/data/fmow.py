"""FMoW-WILDS: a table of images, with sequestered ones among them, and the codes of countries."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

HEADER = (
    "split,img_filename,img_path,spatial_reference,epsg,category,visible,img_width,img_height,"
    "country_code,cloud_cover,timestamp,lat,lon\n"
)
IMAGES = (
    ("train", "airport", "NAM", "2016-05-01T09:00:00Z", -22.6, 17.1),
    ("seq", "zoo", "USA", "2016-01-01T00:00:00Z", 40.7, -74.0),
    ("train", "zoo", "USA", "2017-08-01T16:00:00Z", 38.9, -77.0),
    ("val", "dam", "XKX", "2012-01-01T10:00:00Z", 42.6, 21.1),
    ("seq", "dam", "NAM", "2009-01-01T10:00:00Z", -22.0, 17.0),
    ("test", "dam", "USA", "2013-01-01T10:00:00Z", 36.0, -114.7),
)
MAPPING = (
    "name,alpha-2,alpha-3,country-code,iso_3166-2,region,sub-region\n"
    "Namibia,NA,NAM,516,ISO 3166-2:NA,Africa,Sub-Saharan Africa\n"
    "United States of America,US,USA,840,ISO 3166-2:US,Americas,Northern America\n"
)


def write(root: Path, folder: str = "fmow_v1.1") -> None:
    """As WILDS unpacks it; images of two rows are there."""
    base = root / folder
    (base / "images").mkdir(parents=True)
    rows = [
        f"{split},{kind}_{k}_rgb.jpg,{kind}/{kind}_{k}_rgb.jpg,x,4326,{kind},1,224,224,{code},0,"
        f"{time},{lat},{lon}\n"
        for k, (split, kind, code, time, lat, lon) in enumerate(IMAGES)
    ]
    (base / "rgb_metadata.csv").write_text(HEADER + "".join(rows))
    (base / "country_code_mapping.csv").write_text(MAPPING)
    for k in (2, 5):
        (base / "images" / f"rgb_img_{k}.png").write_bytes(b"image")


def write_cut(root: Path) -> None:
    """``metadata.csv`` as the reference reads it: cut, with the index, ``y``, years from 2002."""
    root.mkdir(parents=True, exist_ok=True)
    table = pd.DataFrame(IMAGES, columns=["split", "category", "country_code", "t", "lat", "lon"])
    table = table.assign(y=[0, 61, 61, 12, 12, 12], year=table["t"].str[:4].astype(float) - 2002)
    table.drop(columns=["category", "t"]).iloc[[2, 3, 5]].to_csv(root / "metadata.csv")


def write_countries(root: Path, each: int = 24) -> None:
    """More images of a few countries, for what compares countries."""
    places = {"USA": (-98.0, 39.0), "CAN": (-100.0, 52.0), "KEN": (37.0, 0.0), "UGA": (32.0, 1.0)}
    rows = [
        f"{split},a,b,x,4326,{kind},1,224,224,{code},0,{2016 + k % 2}-05-01T00:00:00Z,"
        f"{lat + (k % 5) * 0.3},{lon + (k % 7) * 0.3 + 2 * (kind == 'dam')}\n"
        for code, (lon, lat) in places.items()
        for k in range(each)
        for split, kind in [(("train", "train", "test")[k % 3], ("dam", "zoo")[k % 2])]
    ]
    root.mkdir(parents=True, exist_ok=True)
    (root / "rgb_metadata.csv").write_text(HEADER + "".join(rows))
    (root / "country_code_mapping.csv").write_text(MAPPING)
