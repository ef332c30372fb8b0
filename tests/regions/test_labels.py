"""The label of the same row everywhere, and nothing else where there are no labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import geospot_gpu as gs

TABLE = pd.DataFrame(
    {
        "lon": np.repeat(np.arange(10.0, 30.0), 2),
        "lat": 5.0,
        "region": np.repeat(["a", "b"], 20),
        "label": np.where(np.arange(40) % 4 < 3, "odd", "even"),
    }
)
TABLE["label"] = TABLE["label"].astype(object)
TABLE.loc[::7, "label"] = None


def regions_of(table: pd.DataFrame = TABLE, **options: object) -> gs.Regions:
    return gs.Regions.from_table(table, region="region", encoder="none", **options)  # type: ignore[arg-type]


def test_every_point_keeps_the_label_of_its_row() -> None:
    for most in (None, 7):
        regions = regions_of(label="label", max_points=most)
        assert regions.label is not None
        assert regions.label.tolist() == TABLE["label"].iloc[regions.row - 1].tolist()
        again = regions.take([1, 0]).concatenated(regions.take([0]))
        assert again.label is not None
        assert again.label.tolist() == TABLE["label"].iloc[again.row - 1].tolist()


def test_points_at_one_place_with_other_labels_stay_apart() -> None:
    plain, labelled = regions_of(), regions_of(label="label")
    distinct = TABLE.fillna("").drop_duplicates(["lon", "region", "label"])
    assert labelled.sizes.tolist() == distinct.groupby("region").size().tolist()
    assert plain.sizes.tolist() == [10, 10]
    for name in plain:
        assert labelled.points_of(name)["weight"].sum() == pytest.approx(1.0)


def test_without_labels_nothing_changes() -> None:
    assert regions_of().digests == regions_of(TABLE.drop(columns="label")).digests
    assert regions_of().digests != regions_of(label="label").digests
    assert regions_of().label is None


def test_labels_and_content_do_not_depend_on_the_order_of_rows() -> None:
    for most in (None, 9):
        one = regions_of(label="label", max_points=most)
        other = regions_of(TABLE.iloc[::-1], label="label", max_points=most)
        assert one.digests == other.digests
        np.testing.assert_array_equal(one.label, other.label)


def test_points_without_a_label_are_left_out_aloud() -> None:
    regions = regions_of(label="label", labelled=True)
    assert f"{TABLE['label'].isna().sum()} without a label" in regions.account()
    assert regions.label is not None
    assert None not in regions.label.tolist()
    with pytest.raises(gs.GeospotError, match=r"name their column with points\.label"):
        regions_of(labelled=True)


def test_a_run_in_python_keeps_them(tmp_path: Path) -> None:
    numbers = TABLE.assign(label=np.where(TABLE["label"].isna(), np.nan, np.arange(40) / 3))
    for k, table in enumerate((TABLE, numbers)):
        made = gs.sweep(tmp_path / str(k), regions_of(table, label="label"), outputs=["ot_value"])
        found = gs.Run.open(tmp_path / str(k)).regions
        assert found.digests == made.regions.digests
        np.testing.assert_array_equal(found.label, made.regions.label)
