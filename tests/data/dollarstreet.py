"""Dollar Street: tables of photos with lists as text, without coordinates."""

from __future__ import annotations

from pathlib import Path

HEADER = (
    ",id,country.name,country.id,region.id,place,topics,imageRelPath,income,imagenet_synonyms,"
    "imagenet_sysnet_id\n"
)
TRAIN = (
    "0,5d4bde20,Namibia,na,af,ng-1,\"['Bed', 'Kids bed']\",assets/5d4bde20/a.jpg,245.0,"
    "\"['studio couch', 'day bed']\",\"[831, 520]\"\n"
    "1,5d4bde21,Kenya,ke,af,ke-1,\"['Bed']\",assets/5d4bde21/b.jpg,80.5,"
    "\"['four-poster']\",[564]\n"
)
TEST = (
    "0,00123,Norway,no,eu,no-1,\"['Sofa']\",assets/00123/c.jpg,6000.0,\"['studio couch']\",[831]\n"
)


def write(root: Path, folder: str = "dataset_dollarstreet") -> None:
    """As its archive unpacks, with one image."""
    base = root / folder
    image = base / "assets" / "5d4bde21" / "b.jpg"
    image.parent.mkdir(parents=True)
    image.write_bytes(b"image")
    (base / "images_v2_imagenet_train.csv").write_text(HEADER + TRAIN)
    (base / "images_v2_imagenet_test.csv").write_text(HEADER + TEST)
