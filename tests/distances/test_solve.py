"""One pipeline: what is asked is computed, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

import geospot_gpu as gs
from geospot_gpu.arrays import Indices
from geospot_gpu.distances.columns import find, outputs_by_default, possible_outputs
from geospot_gpu.distances.pairwise import all_pairs
from geospot_gpu.distances.solve import chosen_outputs
from geospot_gpu.engine import solved as functions
from geospot_gpu.engine.method import Method
from geospot_gpu.engine.pair_engine import PairEngine
from geospot_gpu.runs.solving import solve
from geospot_gpu.runs.sweep import value_of
from tests.helpers.clouds import random_regions

CPU = gs.Engine(device="cpu")
METHOD = Method(gs.GroundCost(geo_weight=0.5), gs.Sinkhorn(epsilon=0.05))
EVIDENCE = {"iterations", "marginal_error", "converged", "kernel", "seconds"}
SIZES = {"n_source", "n_target"}


def samples() -> gs.Regions:
    """Regions of which points were left out."""
    whole = random_regions([30, 40, 50, 12])
    return gs.Regions.from_points(
        lon=whole.lon, lat=whole.lat, features=None if whole.features is None else
        whole.features.numpy(), region=np.repeat(whole.names, whole.sizes).tolist(), max_points=20,
    )  # fmt: skip


@pytest.fixture(scope="module")
def regions() -> gs.Regions:
    return samples()


@pytest.fixture(scope="module")
def every(regions: gs.Regions) -> dict[str, np.ndarray]:
    return solve(regions, *all_pairs(4, None), METHOD, engine=CPU).columns


@pytest.mark.parametrize("name", [column.name for column in possible_outputs()])
def test_an_output_alone_is_what_it_is_among_all(
    name: str, regions: gs.Regions, every: dict[str, np.ndarray]
) -> None:
    found = solve(regions, *all_pairs(4, None), METHOD, [name], engine=CPU).columns
    assert set(found) == {*find(name).stored, *EVIDENCE, *SIZES}
    for column in find(name).stored:
        np.testing.assert_array_equal(found[column], every[column])


COSTLY = {
    "divergence": ("self_terms",),
    "std_error": ("self_terms", "half_samples"),
    "bias": ("self_terms", "half_samples"),
    "coverage": ("coverage",),
    "nearest": ("nearest",),
    "ot_value": (),
    "transport_cost": (),
}


@pytest.mark.parametrize("name", COSTLY)
def test_what_is_not_asked_is_not_paid_for(
    name: str, regions: gs.Regions, monkeypatch: pytest.MonkeyPatch
) -> None:
    called = set()

    def watch(holder: object, function: str) -> None:
        real = getattr(holder, function)

        def watched(*arguments: object, **options: object) -> object:
            called.add(function)
            return real(*arguments, **options)

        monkeypatch.setattr(holder, function, watched)

    watch(PairEngine, "self_terms")
    for function in ("coverage", "nearest", "half_samples"):
        watch(functions, function)
    solve(regions, *all_pairs(4, None), METHOD, [name], engine=CPU)
    assert called == set(COSTLY[name])


def test_outputs_come_in_the_order_of_the_register() -> None:
    assert chosen_outputs(None) == outputs_by_default()
    assert chosen_outputs(["nearest", "divergence", "nearest"]) == ("divergence", "nearest")


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        (["divergense"], "outputs='divergense' is unknown: use one of divergence, std_error"),
        ("divergence", r"outputs='divergence' must be a list: \['divergence'\]"),
        ([], r"outputs=\[\] asks for nothing: name some of divergence"),
        (["iterations"], "outputs='iterations' is unknown"),
    ],
)
def test_outputs_that_are_none(outputs: list[str], message: str) -> None:
    with pytest.raises(gs.GeospotError, match=message):
        gs.pairwise(random_regions([3, 4]), outputs=outputs)


def test_the_value_of_a_run_is_the_divergence_or_what_comes_first() -> None:
    assert value_of(outputs_by_default()) == "divergence"
    assert value_of(["ot_value", "transport_cost", "coverage"]) == "transport_cost"
    assert value_of(["nearest"]) == "nearest"
    with pytest.raises(gs.GeospotError, match="outputs=std_error,bias has no distance"):
        value_of(["std_error", "bias"])


def test_larger_samples_are_taken_for_any_pairs(regions: gs.Regions) -> None:
    """As for all pairs of a sweep, so for some of them between sources and targets."""
    left: Indices = np.array([0, 1])
    right: Indices = np.array([2, 3])
    outputs = ["divergence", "std_error", "bias"]
    found = solve(regions, left, right, METHOD, outputs, engine=CPU, target_error=1e-9)
    np.testing.assert_array_equal(found["n_source"], [30, 40])
    np.testing.assert_array_equal(found["n_target"], [50, 12])
    assert (found["bias"] == 0.0).all()
