"""PovertyMap-WILDS: clusters of households."""

from __future__ import annotations

from pathlib import Path


def write(root: Path) -> None:
    """As WILDS unpacks it, with one image."""
    base = root / "poverty_v1.1"
    (base / "images").mkdir(parents=True)
    (base / "dhs_metadata.csv").write_text(
        ",Unnamed: 0,country,year,lat,lon,wealthpooled,households,urban,nl_mean,nl_median\n"
        "0,0,angola,2011,-12.35,13.53,2.595618,36,True,6.1,4.0\n"
        "1,1,angola,2011,-12.36,13.55,2.209620,32,False,6.2,4.1\n"
        "2,2,mali,2012,12.65,-8.0,-0.512345,30,False,0.1,0.0\n"
    )
    (base / "images" / "landsat_poverty_img_1.npz").write_bytes(b"image")
