"""Several spaces of the same points: on equal samples, each as if it were alone, and mixed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import ot
import pandas as pd
import pytest
from numpy.typing import NDArray

import geospot_gpu as gs
from geospot_gpu.encoders import Mixture, Precomputed, Spaces
from geospot_gpu.errors import GeospotError
from tests.helpers.commands import Geospot

FEATURES = gs.GroundCost(geo_weight=0.0)
SOLVER = gs.Sinkhorn(epsilon=0.05, tolerance=1e-4)
INPUTS, IMAGE = Precomputed(columns=["f*"]), Precomputed(columns=["g*"])
SPACES: dict[str, Any] = {"inputs": INPUTS, "image": IMAGE, "both": {"inputs": 0.3, "image": 0.7}}


def table(n: int = 36) -> pd.DataFrame:
    random = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "id": [f"p{k}" for k in range(n)],
            "lon": random.uniform(-60, 60, n),
            "lat": random.uniform(-60, 60, n),
            "region": np.repeat(list("abc"), n // 3),
            **{f"f{k}": random.normal(size=n) for k in range(3)},
            **{f"g{k}": random.normal(size=n) for k in range(4)},
        }
    )


def regions(encoder: Any = None, frame: pd.DataFrame | None = None, **options: Any) -> gs.Regions:
    frame = table() if frame is None else frame
    encoder = Spaces(SPACES) if encoder is None else encoder
    return gs.Regions.from_table(frame, region="region", encoder=encoder, **options)


def unit(frame: pd.DataFrame, prefix: str) -> NDArray[np.float64]:
    vectors: NDArray[np.float64] = frame.filter(regex=f"^{prefix}").to_numpy()
    lengths: NDArray[np.float64] = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / lengths


# --- mixtures


def test_the_cost_of_a_mixture_is_the_weighted_mean_of_the_costs() -> None:
    frame = table()
    mixed = regions(Mixture([(INPUTS, 0.3), (IMAGE, 0.7)]), frame)
    a, b = (mixed[name].features for name in "ab")
    assert a is not None
    assert b is not None
    found = 1 - a.double().numpy() @ b.double().numpy().T
    order = [
        pd.MultiIndex.from_frame(frame[["lon", "lat"]]).get_indexer(
            pd.MultiIndex.from_frame(mixed.points_of(name)[["lon", "lat"]])
        )
        for name in "ab"
    ]
    wanted = sum(
        weight * (1 - unit(frame, prefix)[order[0]] @ unit(frame, prefix)[order[1]].T)
        for prefix, weight in (("f", 0.3), ("g", 0.7))
    )
    np.testing.assert_allclose(found, wanted, atol=2e-7)


def test_distances_in_a_mixture_are_those_of_the_mean_cost_by_pot() -> None:
    frame = table()
    found = gs.pairwise(
        regions(frame=frame), cost=FEATURES, solver=SOLVER, outputs=["ot_value"]
    ).sel(space="both")
    a, b = (frame.index[frame["region"] == name] for name in "ab")
    cost = sum(
        weight * (1 - unit(frame, prefix)[a] @ unit(frame, prefix)[b].T)
        for prefix, weight in (("f", 0.3), ("g", 0.7))
    )
    masses = np.full(len(a), 1 / len(a)), np.full(len(b), 1 / len(b))
    plan = ot.sinkhorn(*masses, cost, reg=0.05, numItermax=10_000, stopThr=1e-12)
    entropy = np.sum(plan * np.log(plan / np.outer(*masses)))
    value = np.sum(plan * cost) + 0.05 * entropy
    one = found.sel(source="a", target="b")
    assert float(one.ot_lower) <= value <= float(one.ot_upper)


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ([], "a mixture has no parts"),
        ([(INPUTS, 0.3), (IMAGE, 0.6)], "weights 0.3, 0.6 of a mixture must be positive and sum"),
        ([(INPUTS, -0.5), (IMAGE, 1.5)], "weights -0.5, 1.5 of a mixture must be positive"),
        ([(Precomputed(columns=["f*"], normalize=False), 1)], "cannot be mixed: leave out"),
        ([("inputs", 1)], "encoder is of type str: give a Encoder"),
        ([(INPUTS, "much")], "weight='much'"),
    ],
)
def test_what_is_no_mixture_is_refused(parts: Any, said: str) -> None:
    with pytest.raises(GeospotError, match=said):
        Mixture(parts)


def test_an_encoder_without_features_cannot_be_mixed() -> None:
    with pytest.raises(GeospotError, match="none gives no features that could be mixed"):
        regions(Mixture([(INPUTS, 0.5), (gs.NoEncoder(), 0.5)]))


# --- spaces


def test_each_space_has_the_distances_that_it_has_alone() -> None:
    found = gs.pairwise(regions(), cost=FEATURES, solver=SOLVER)
    assert found.divergence.dims == ("space", "source", "target")
    assert found.space.values.tolist() == ["inputs", "image", "both"]
    for name, encoder in (("inputs", INPUTS), ("image", IMAGE)):
        alone = gs.pairwise(regions(encoder), cost=FEATURES, solver=SOLVER)
        for variable in alone.data_vars:
            np.testing.assert_array_equal(found[variable].sel(space=name), alone[variable])


def test_two_tables_are_compared_in_each_space() -> None:
    frame = table()
    sides = [regions(frame=frame[frame["region"].isin(some)]) for some in (["a", "b"], ["c"])]
    found = gs.pairwise(*sides, cost=FEATURES, solver=SOLVER, outputs=["divergence"])
    square = gs.pairwise(regions(frame=frame), cost=FEATURES, solver=SOLVER, outputs=["divergence"])
    np.testing.assert_allclose(
        found.divergence,
        square.divergence.sel(source=["a", "b"], target=["c"]),
        atol=1e-6,
    )


def test_a_point_that_one_space_lacks_is_in_none(caplog: pytest.LogCaptureFixture) -> None:
    frame = table()
    frame.loc[3, "g0"] = np.nan
    made = regions(frame=frame, invalid="drop")
    assert {name: made.space(name).sizes.tolist() for name in made.spaces} == {
        name: [11, 12, 12] for name in SPACES
    }
    assert "dropped 1 points without usable features: rows 4" in caplog.text
    with pytest.raises(GeospotError, match=r"spaces.image: .*row 4: feature vector with an entry"):
        regions(frame=frame)  # before any of the other spaces is solved


def test_no_space_is_encoded_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[Any] = []
    encode = Precomputed.encode

    def counted(self: Precomputed, *arguments: Any) -> Any:
        encoded.append(self.columns)
        return encode(self, *arguments)

    monkeypatch.setattr(Precomputed, "encode", counted)
    spaces = Spaces({"inputs": INPUTS, "image": IMAGE})
    gs.pairwise(regions(spaces), cost=FEATURES, solver=SOLVER, outputs=["divergence"])
    assert encoded == [["f*"], ["g*"]]


def test_spaces_share_their_samples() -> None:
    made = regions(max_points=7, seed=3)
    drawn = [made.space(name).points_of("b")[["lon", "lat"]] for name in made.spaces]
    for other in drawn[1:]:
        assert set(other.itertuples(index=False)) == set(drawn[0].itertuples(index=False))


def test_what_takes_one_space_takes_the_first() -> None:
    made = regions()
    assert made.features is not None
    assert made.features.shape == (36, 3)
    assert made.encoder == INPUTS.version
    assert regions(INPUTS).spaces == ()


@pytest.mark.parametrize(
    ("spaces", "said"),
    [
        ({}, "encoder.spaces names the spaces: give encoder.spaces={NAME:ENCODER,...}"),
        ("inputs", "encoder.spaces names the spaces"),
        ({"a/b": "none"}, "'a/b' is no name of a space: use letters, digits, _ and -"),
        ({"a": "clip"}, "encoder.spaces.a: encoder='clip' is unknown: use geoclip"),
        ({"a": {"name": "clip"}}, "encoder.spaces.a.name='clip' is unknown: use one of geoclip"),
        ({"a": {"name": "none", "k": 1}}, "encoder.spaces.a: .*no arguments"),
        ({"a": "none", "b": {"c": 1.0}}, "encoder.spaces.b='c' is unknown: use one of a"),
        ({"a": {"columns": ["f*"]}}, "encoder.spaces.a: there is no other space that it could be"),
        ({"a": INPUTS, "b": {"a": 0.5}}, "encoder.spaces.b: weights 0.5 of a mixture"),
        ({"a": {"name": "precomputed"}}, "encoder.spaces.a: .* needs encoder.columns"),
    ],
)
def test_what_are_no_spaces_is_refused(spaces: Any, said: str) -> None:
    with pytest.raises(GeospotError, match=said):
        Spaces(spaces)


def test_a_space_that_is_not_there_is_refused() -> None:
    with pytest.raises(GeospotError, match=r"encoder\.space='x' is unknown: use one of inputs"):
        Spaces(SPACES, "x")
    with pytest.raises(GeospotError, match="space='x' is unknown: use one of inputs, image, both"):
        regions().space("x")


# --- runs


def test_a_run_holds_the_distances_of_every_space(tmp_path: Path) -> None:
    made = regions()
    wanted = gs.pairwise(made, cost=FEATURES, solver=SOLVER, outputs=["divergence"])
    options: Any = {"cost": FEATURES, "solver": SOLVER, "outputs": ["divergence"]}
    gs.sweep(tmp_path / "run", made, **options)
    run = gs.Run.open(tmp_path / "run")
    assert list(run.spaces) == list(SPACES)
    assert [one.folder for one in run.spaces.values()] == [
        tmp_path / "run",
        tmp_path / "run" / "spaces" / "image",
        tmp_path / "run" / "spaces" / "both",
    ]
    for name, one in run.spaces.items():
        found = one.dataset().divergence
        np.testing.assert_allclose(found, wanted.divergence.sel(space=name), atol=1e-6)
        assert one.regions.encoder == made.space(name).encoder
    assert run.spaces["image"].spaces == {}


SWEEP = (
    *("sweep", "points=table", "points.path=t.csv", "points.region=region", "out=run"),
    *("regions.min_points=2", "cost.geo_weight=0.2", "outputs=[divergence]", "encoder=spaces"),
    "encoder.spaces={inputs: {name: precomputed, columns: [f*]}, "
    "image: {name: precomputed, path: g.npz, id: id}, both: {inputs: 0.25, image: 0.75}}",
)


@pytest.fixture
def files(tmp_path: Path) -> None:
    frame = table()
    frame.drop(columns=[f"g{k}" for k in range(4)]).to_csv(tmp_path / "t.csv", index=False)
    vectors = frame.filter(regex="^g").to_numpy()
    np.savez(tmp_path / "g.npz", id=frame["id"].to_numpy(str), features=vectors)


@pytest.mark.slow
@pytest.mark.usefixtures("files")
def test_the_command_sweeps_every_space(
    tmp_path: Path, geospot_here: Geospot, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = geospot_here(*SWEEP)
    assert ran.returncode == 0, ran.stderr
    assert [line for line in ran.stdout.splitlines() if line.startswith("space ")] == [
        "space inputs:",
        "space image:",
        "space both:",
    ]
    again = geospot_here(*SWEEP)
    assert again.stdout.count("pairs total=3 computed=0 reused=3") == 3
    monkeypatch.chdir("/")  # its files are found from anywhere
    run = gs.Run.open(tmp_path / "run")
    for name, one in run.spaces.items():
        assert one.regions.spaces == (name,)
        assert one.manifest["config"]["encoder"]["space"] == name
    plan = geospot_here(*SWEEP, "plan=true")
    assert plan.stdout.count("plan pairs=3 missing=0") == 3


@pytest.mark.slow
@pytest.mark.usefixtures("files")
def test_verify_looks_at_every_space(tmp_path: Path, geospot_here: Geospot) -> None:
    geospot_here(*SWEEP)
    assert "findings=0" in geospot_here("verify", "sweep=run").stdout
    (block,) = (tmp_path / "run" / "spaces" / "both" / "distances").glob("block-*")
    block.write_bytes(block.read_bytes()[:-9])
    found = geospot_here("verify", "sweep=run")
    assert found.returncode == 1
    assert str(Path("run/spaces/both/distances") / block.name) in found.stdout


@pytest.mark.usefixtures("files")
def test_a_mistake_in_a_space_says_where_it_is(geospot_here: Geospot) -> None:
    *right, spaces = SWEEP
    ran = geospot_here(*right, spaces.replace("name: precomputed, path", "name: preset, path"))
    assert ran.returncode == 1
    assert "encoder.spaces.image.name='preset' is unknown: use one of geoclip" in ran.stderr
