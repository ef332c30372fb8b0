"""GeoDE: a list of photos, without coordinates."""

from __future__ import annotations

from pathlib import Path

PHOTOS = (
    ("Africa", "Nigeria", "bag"),
    ("Africa", "Nigeria", "car"),
    ("Europe", "Italy", "bag"),
    ("Europe", "Italy", "car"),
    ("EastAsia", "South Korea", "bag"),
    ("EastAsia", "South Korea", "bag"),
)


def write(root: Path, name: str = "geode_paths.csv") -> None:
    """The list, and the file of one photo."""
    root.mkdir(parents=True, exist_ok=True)
    rows = [
        f"{k},{country.replace(' ', '_')}_{kind}_{k}.jpg,"
        f"{world}/{country.replace(' ', '_')}/{country.replace(' ', '_')}_{kind}_{k}.jpg,"
        f"{kind},{country},{world}\n"
        for k, (world, country, kind) in enumerate(PHOTOS)
    ]
    header = ",file_name,file_path,script_name,ip_country,region\n"
    (root / name).write_text(header + "".join(rows))
    folder = root / "images" / "Africa" / "Nigeria"
    folder.mkdir(parents=True)
    (folder / "Nigeria_bag_0.jpg").write_bytes(b"image")
