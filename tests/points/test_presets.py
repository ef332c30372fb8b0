"""Public data sets from files of their forms: what their traps are, and what is said of others."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import geospot_gpu as gs
from geospot_gpu.points.presets import PRESETS, UNLOCATED
from tests.data import cropharvest, dollarstreet, fmow, geode, geoplant, geoyfcc, povertymap
from tests.helpers.commands import Geospot

WRITERS: dict[str, Callable[[Path], None]] = {
    "geoyfcc": geoyfcc.write_pickle,
    "fmow": fmow.write,
    "povertymap": povertymap.write,
    "geode": geode.write,
    "dollarstreet": dollarstreet.write,
    "cropharvest": cropharvest.write,
    "geoplant": geoplant.write,
}


def test_every_data_set_has_a_fixture_and_an_option() -> None:
    assert WRITERS.keys() == PRESETS.keys()
    conf = Path(gs.__file__).parent / "conf" / "points"
    assert {path.stem for path in conf.glob("*.yaml")} == {*PRESETS, "gallery", "table"}


@pytest.mark.parametrize("name", PRESETS)
def test_columns_are_called_alike(name: str, tmp_path: Path) -> None:
    WRITERS[name](tmp_path)
    table = PRESETS[name](tmp_path)
    assert {"id", "region", "label"} <= set(table.columns)
    assert ("lon" in table) == ("lat" in table) == (name not in UNLOCATED)
    assert {type(one) for one in table["id"]} == {str}
    assert table["region"].notna().all()
    if "image" in table:
        there = table["image"].dropna()
        assert len(there)
        assert all(Path(path).is_file() for path in there)


FORMS = [geoyfcc.write_pickle, geoyfcc.write_expanded]


@pytest.mark.parametrize("write", FORMS)
def test_geoyfcc_has_a_row_for_each_label(write: Callable[[Path], None], tmp_path: Path) -> None:
    write(tmp_path)
    geoyfcc.write_images(tmp_path)
    table = PRESETS["geoyfcc"](tmp_path)
    photos = geoyfcc.photos()
    assert len(table) == photos["label_ids"].map(len).sum() == 70
    first = table[table["id"] == "6000000000"]
    assert first["label"].tolist() == [0, 1]
    assert first["image"].tolist() == [str(tmp_path / "class_0" / "6000000000.jpg"), None]
    assert first["text"].tolist() == ["fjord ski no7 café see norway"] * 2  # decoded, no address
    lon, lat = photos["yfcc_metadata"].iloc[0].split("\t")[11:13]
    assert first[["lon", "lat"]].to_numpy().tolist() == [[float(lon), float(lat)]] * 2
    split = table.drop_duplicates("id").groupby("split").size()
    assert split["train"] == photos["is_train"].sum()
    domains = table.drop_duplicates("region").set_index("region")["domain_split"].to_dict()
    sides = {"Norway": "train", "Finland": "train", "Peru": "train"}
    assert domains == sides | {"Kenya": "val", "Uganda": "test"}


@pytest.mark.parametrize("name", ["metadata.csv", "metadata.parquet"])
def test_geoyfcc_is_read_cleaned(name: str, tmp_path: Path) -> None:
    geoyfcc.write_cleaned(tmp_path, name=name)
    table = PRESETS["geoyfcc"](tmp_path)
    assert table["id"].iloc[0] == "6000000000"  # and not 6000000000.0
    assert table["label"].tolist() == [k % 3 for k in range(12)] * 5
    assert set(table["split"]) == {"train", "test"}
    assert table["region"].iloc[0] == "Norway"


def test_photos_without_label_or_fields_are_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table = geoyfcc.photos(2)
    table["label_ids"] = [str(labels) for labels in table["label_ids"]]
    table.loc[0, "label_ids"] = "[]"
    lines = table["yfcc_metadata"].tolist()
    lines[1] = "too few\tfields"
    lines[2] = "17\t" + lines[2]  # with the number of its row, as in YFCC100M
    table["yfcc_metadata"] = lines
    table.to_parquet(tmp_path / "metadata.parquet")
    found = PRESETS["geoyfcc"](tmp_path)
    assert found["id"].tolist()[0] == "6000012000"
    assert len(found["id"].unique()) == 8
    assert "1 of 10 rows left out: their yfcc_metadata has not 24 fields" in caplog.text
    assert "1 of 9 rows left out: they have no label" in caplog.text
    table.assign(yfcc_metadata="a\tb").to_parquet(tmp_path / "metadata.parquet")
    with pytest.raises(gs.GeospotError, match=r"to hold 24 fields between tabs; .* row has 2"):
        PRESETS["geoyfcc"](tmp_path)


def test_images_of_fmow_are_those_of_the_published_table(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Row 2 is the third of all and the second that is left: its image is rgb_img_2.png."""
    fmow.write(tmp_path / "all")
    table = PRESETS["fmow"](tmp_path / "all").set_index("id")
    assert table.index.tolist() == ["0", "2", "3", "5"]
    second = table[["region", "label", "year"]].to_dict("index")["2"]
    assert second == {"region": "USA", "label": "zoo", "year": 2017}
    assert str(table.loc["2", "image"]).endswith("fmow_v1.1/images/rgb_img_2.png")
    assert table["world_region"].tolist() == ["Africa", "Americas", "Other", "Americas"]
    assert "2 of 6 rows left out: they are sequestered" in caplog.text
    assert "does not know XKX: world_region is Other" in caplog.text
    assert "2 of 4 images are not there" in caplog.text
    fmow.write_cut(tmp_path / "cut")
    cut = PRESETS["fmow"](tmp_path / "cut").set_index("id")
    assert cut.index.tolist() == ["2", "3", "5"]
    assert cut["year"].tolist() == [2017, 2012, 2013]
    assert cut.loc["2", "label"] == 61
    assert "country_code_mapping.csv: is not there: points have no world_region" in caplog.text


def test_images_of_fmow_without_country_or_year(tmp_path: Path) -> None:
    fmow.write(tmp_path, "")
    path = tmp_path / "rgb_metadata.csv"
    table = pd.read_csv(path, keep_default_na=False).drop(columns="timestamp")
    table["year"] = [None, 0, *range(2010, 2008 + len(table))]
    table.loc[0, "country_code"] = None
    table.to_csv(path, index=False)
    found = PRESETS["fmow"](tmp_path)
    assert found["region"].isna().tolist() == [True, False, False, False]
    assert found["world_region"].iloc[0] == "Other"
    assert found["year"].isna().tolist() == [True, False, False, False]


def test_clusters_of_povertymap(tmp_path: Path) -> None:
    povertymap.write(tmp_path)
    points = gs.read_dataset("povertymap", tmp_path / "poverty_v1.1")
    assert points.lon.tolist() == [13.53, 13.55, -8.0]
    assert points.attributes["label"].tolist() == [2.595618, 2.20962, -0.512345]
    assert points.attributes["image"].iloc[1].endswith("landsat_poverty_img_1.npz")


def test_lists_of_dollarstreet_and_the_country_na(tmp_path: Path) -> None:
    dollarstreet.write(tmp_path)
    table = PRESETS["dollarstreet"](tmp_path)
    assert table["region"].tolist() == ["NA", "NA", "KE", "NO"]
    assert table["label"].tolist() == ["Bed", "Kids bed", "Bed", "Sofa"]
    assert table["imagenet"].iloc[0] == "studio couch; day bed"
    assert table["id"].iloc[3] == "00123"
    assert table["split"].tolist() == ["train"] * 3 + ["test"]


def test_photos_of_geode(tmp_path: Path) -> None:
    geode.write(tmp_path, "index.csv")
    table = PRESETS["geode"](tmp_path)
    assert table["region"].tolist()[-1] == "South Korea"
    assert table["world_region"].tolist()[-1] == "EastAsia"
    assert table["image"].notna().tolist() == [True] + [False] * 5


def test_places_of_cropharvest_are_where_their_properties_say(tmp_path: Path) -> None:
    cropharvest.write(tmp_path)
    table = PRESETS["cropharvest"](tmp_path)
    assert table["id"].tolist() == ["0_togo", "1_togo", "0_kenya"]
    assert table["lon"].tolist() == [1.1, 1.2, 36.7]
    assert table["label"].tolist() == [1, 0, 1]
    assert table["crop"].tolist()[2] == "Maize"
    assert table["split"].tolist() == ["train", "test", "train"]


def test_a_survey_of_geoplant_is_one_point(tmp_path: Path) -> None:
    geoplant.write(tmp_path)
    table = PRESETS["geoplant"](tmp_path)
    assert table["id"].tolist() == ["212", "3018575", "642"]
    assert table["label"].tolist()[:2] == ["476 6874", "11157"]
    assert pd.isna(table["label"].iloc[2])
    assert table["image"].iloc[1].endswith("75/85/3018575.jpeg")


def test_splits_are_kept_by_name(tmp_path: Path) -> None:
    fmow.write(tmp_path / "fmow")
    some = gs.read_dataset("fmow", tmp_path / "fmow", split=["val", "test"])
    assert some.attributes["id"].tolist() == ["3", "5"]
    assert len(gs.read_dataset("fmow", tmp_path / "fmow", split="train")) == 2
    with pytest.raises(gs.GeospotError, match=r"split='seq' is unknown: use one of test, train, v"):
        gs.read_dataset("fmow", tmp_path / "fmow", split="seq")
    povertymap.write(tmp_path / "poverty")
    with pytest.raises(gs.GeospotError, match="povertymap has no splits in its files: leave out"):
        gs.read_dataset("povertymap", tmp_path / "poverty", split="train")


EXPECTED = {
    "geoyfcc": r"GeoYFCC is expected as GeoYFCC.pkl or .* here$",
    "fmow": r"FMoW-WILDS is expected as rgb_metadata.csv or metadata.csv here, in fmow_v1.1/$",
    "povertymap": r"PovertyMap-WILDS is expected as dhs_metadata.csv here, in poverty_v1.1/",
    "geode": r"GeoDE is expected as geode_paths.csv or index.csv here$",
    "dollarstreet": r"expected as images_v2_imagenet_train.csv and images_v2_imagenet_test.csv",
    "cropharvest": r"CropHarvest is expected as labels.geojson here, in data/$",
    "geoplant": r"GeoPlant is expected as GLC24_PA_metadata_train.csv or ",
}


@pytest.mark.parametrize("name", PRESETS)
def test_what_is_expected_where_is_said(name: str, tmp_path: Path) -> None:
    with pytest.raises(gs.GeospotError, match=EXPECTED[name]):
        gs.read_dataset(name, tmp_path)
    with pytest.raises(gs.GeospotError, match=r"nowhere: is no folder: give the one that holds"):
        gs.read_dataset(name, tmp_path / "nowhere")


COLUMNS = {
    "geoyfcc": ("metadata.csv", "a,b\n1,2\n", "column photo_id or photoid is expected; there are"),
    "fmow": ("metadata.csv", "split,lon\ntrain,1\n", "column country_code is expected; there are"),
    "povertymap": ("dhs_metadata.csv", "lon,lat\n1,2\n", "column country is expected"),
    "geode": ("index.csv", "ip_country\nx\n", "column script_name or object is expected"),
    "dollarstreet": ("images_v2_imagenet_test.csv", "id\n1\n", "column country.id is expected"),
    "cropharvest": ("labels.geojson", '{"features": []}', "column index is expected"),
    "geoplant": ("GLC24_PA_metadata_train.csv", "lon,lat\n1,2\n", "column surveyId is expected"),
}


@pytest.mark.parametrize("name", PRESETS)
def test_a_missing_column_is_named(name: str, tmp_path: Path) -> None:
    file, content, message = COLUMNS[name]
    (tmp_path / file).write_text(content)
    with pytest.raises(gs.GeospotError, match=message):
        gs.read_dataset(name, tmp_path)


def test_cells_that_are_not_as_published(tmp_path: Path) -> None:
    fmow.write(tmp_path, "")
    path = tmp_path / "rgb_metadata.csv"
    path.write_text(path.read_text().replace("2016-05-01T09:00:00Z", "yesterday"))
    with pytest.raises(gs.GeospotError, match=r"is not as fmow is published \(ValueError: "):
        gs.read_dataset("fmow", tmp_path)
    geoyfcc.write_cleaned(tmp_path)
    path = tmp_path / "metadata.csv"
    table = pd.read_csv(path).assign(country_id=[np.nan, *range(1, 60)], label_id="[nan]")
    table.to_csv(path, index=False)
    with pytest.raises(gs.GeospotError, match="no valid points"):
        gs.read_dataset("geoyfcc", tmp_path)


def test_archives_and_broken_files(tmp_path: Path) -> None:
    (tmp_path / "GeoYFCC.tar.gz").write_bytes(b"x")
    with pytest.raises(gs.GeospotError, match=r"tar.gz: is an archive: unpack it with tar -xzf"):
        gs.read_dataset("geoyfcc", tmp_path)
    (tmp_path / "labels.geojson").write_text("{]")
    with pytest.raises(gs.GeospotError, match=r"labels.geojson: cannot be read as GeoJSON"):
        gs.read_dataset("cropharvest", tmp_path)


@pytest.mark.slow
def test_a_sweep_of_a_data_set(
    geospot_here: Geospot, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    geoyfcc.write_pickle(tmp_path / "data")
    few = ("encoder=none", "regions.min_points=1", "device=cpu", "outputs=[divergence]")
    done = geospot_here(
        "sweep", "points=geoyfcc", "root=data", "points.split=[test]", *few, "out=a"
    )
    assert done.returncode == 0, done.stderr
    run = gs.Run.open(tmp_path / "a")
    assert run.names == ("Finland", "Kenya", "Norway", "Peru", "Uganda")
    assert run.regions.n_points.tolist() == [3] * 5
    split = gs.read_dataset("geoyfcc", tmp_path / "data", split="test")
    regions = gs.Regions.from_groups(split, gs.by_column(split, "region"), encoder="none")
    np.testing.assert_array_equal(run.regions.lon, regions.lon)


@pytest.mark.parametrize("name", sorted(UNLOCATED))
def test_a_sweep_of_photos_without_coordinates(
    name: str, geospot_here: Geospot, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Features decide alone, without a word about geo_weight."""
    caplog.set_level(logging.ERROR)
    WRITERS[name](tmp_path / "data")
    points = gs.read_dataset(name, tmp_path / "data")
    assert not points.located
    ids = np.unique(points.attributes["id"].to_numpy("U"))
    np.savez(tmp_path / "f.npz", id=ids, features=np.eye(len(ids)))
    features = ("encoder=precomputed", "encoder.path=f.npz", "encoder.id=id", "device=cpu")
    few = ("regions.min_points=1", "outputs=[divergence]", "out=a")
    done = geospot_here("sweep", f"points={name}", "root=data", *features, *few)
    assert done.returncode == 0, done.stderr
    run = gs.Run.open(tmp_path / "a")
    assert set(run.names) == set(points.attributes["region"])
    assert run.method.cost.geo_weight == 0.0
