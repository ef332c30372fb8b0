"""Settings of a cluster, from the command line to the pool."""

from __future__ import annotations

import builtins
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_module

import geospot_gpu as gs
from geospot_gpu.cluster import Ray, RayPool, open_pool, ray_pool
from geospot_gpu.config.composed import checked, offer
from geospot_gpu.config.objects import make_cluster, make_engine
from geospot_gpu.config.settings import SCHEMAS, SweepConfig, of_manifest
from tests.helpers.jobs import Squares


def sweep(*typed: str) -> SweepConfig:
    """The settings of a sweep."""
    offer("sweep")
    with initialize_config_module("geospot_gpu.conf", version_base="1.3"):
        return checked(compose("sweep", ["out=run", "device=cpu", *typed]), SweepConfig)


def test_engine_ray_is_a_cluster() -> None:
    assert make_engine(sweep()).cluster is None
    assert make_engine(sweep("engine=ray")).cluster == Ray()
    asked = ("engine.address=ray://head:10001", "engine.workers=8", "engine.cpus_per_worker=4")
    engine = make_engine(sweep("engine=ray", *asked, "engine.gpus_per_worker=0.5"))
    assert engine.cluster == Ray("ray://head:10001", 8, 0.5, 4)


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (["engine.workers=2"], "engine.workers=2 has no effect without engine=ray"),
        (["engine.address=local"], "engine.address=local has no effect without engine=ray"),
        (["engine.name=dask"], "engine.name=dask is unknown: use local or ray"),
        (
            ["engine=ray", "engine.address=head"],
            "engine.address='head' is unknown: use auto, local",
        ),
        (["engine=ray", "engine.workers=0"], "engine.workers=0: give a whole number of 1 or more"),
        (
            ["engine=ray", "engine.cpus_per_worker=0"],
            "engine.cpus_per_worker=0: give a whole number",
        ),
        (["engine=ray", "engine.gpus_per_worker=2"], "a worker has one GPU"),
        (["engine=ray", "engine.gpus_per_worker=-1"], "engine.gpus_per_worker=-1.0: give 0 to 1"),
    ],
)
def test_nonsense_is_refused(typed: list[str], message: str) -> None:
    with pytest.raises(gs.GeospotError, match=message):
        make_engine(sweep(*typed))


@pytest.mark.parametrize(
    ("settings", "device", "message"),
    [
        (Ray(), "cuda:0", "device=cuda:0: engine=ray gives each worker its own GPU"),
        (Ray(gpus_per_worker=0), "cuda", "device=cuda needs engine.gpus_per_worker above 0"),
        (Ray(gpus_per_worker=1), "cpu", "engine.gpus_per_worker=1 has no effect with device=cpu"),
    ],
)
def test_devices_that_contradict_each_other_are_refused(
    settings: Ray, device: str, message: str
) -> None:
    with pytest.raises(gs.GeospotError, match=message):
        RayPool(settings, device)


def test_where_a_run_was_computed_is_not_where_it_is_read() -> None:
    config = {"encoder": {"name": "none"}, "solver": {"name": "sinkhorn"}, "out": "run"}
    config |= {"engine": {"name": "ray", "address": "ray://gone:10001", "workers": 8}}
    assert make_engine(of_manifest(config, "manifest.json")) == gs.Engine()


@pytest.mark.parametrize("command", ["transfer", "predict", "select"])
def test_commands_that_go_on_from_a_sweep_choose_anew(command: str) -> None:
    given = {"select": ["target=r"]}.get(command, ["scores.kind=skill"])

    def cluster(*typed: str) -> Ray | None:
        offer(command)
        with initialize_config_module("geospot_gpu.conf", version_base="1.3"):
            composed = compose(command, ["sweep=run", "out=out", *given, *typed])
        return make_cluster(checked(composed, SCHEMAS[command]).engine)

    assert cluster() is None
    assert cluster("engine=ray", "engine.workers=3") == Ray(workers=3)
    with pytest.raises(gs.GeospotError, match="has no effect without engine=ray"):
        cluster("engine.workers=3")


def test_a_cluster_is_left_alone_until_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray")
    asked = list[str]()

    def connected(address: str) -> Any:
        asked.append(address)
        raise gs.GeospotError("there is none")

    monkeypatch.setattr(ray_pool, "connected", connected)
    engine = gs.Engine(device="cpu", cluster=Ray("ray://nowhere:1"))
    with engine.pool() as pool:
        assert open_pool() is pool
        assert list(pool.run(Squares(Path()), [], [], str)) == []
        assert asked == []
        with pytest.raises(gs.GeospotError, match="there is none"):
            _ = pool.shares
    assert asked == ["ray://nowhere:1"]
    assert open_pool() is None


@pytest.mark.parametrize(
    ("address", "variable"), [("ray://127.0.0.1:1", ""), ("auto", "127.0.0.1:1")]
)
def test_a_cluster_that_is_not_there_is_said_at_once(
    address: str, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", variable)
    with (
        RayPool(Ray(address), "cpu") as pool,
        pytest.raises(
            gs.GeospotError, match=r"no cluster answers at (ray://)?127.0.0.1:1 \(.*refus"
        ),
    ):
        _ = pool.shares


def test_without_ray_one_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    load: Callable[..., Any] = builtins.__import__

    def without_ray(name: str, *rest: Any, **named: Any) -> Any:
        if name.partition(".")[0] == "ray":
            raise ModuleNotFoundError("No module named 'ray'", name="ray")
        return load(name, *rest, **named)

    monkeypatch.delitem(sys.modules, "ray", raising=False)
    monkeypatch.setattr(builtins, "__import__", without_ray)
    with pytest.raises(gs.GeospotError) as caught, RayPool(Ray("local"), "cpu"):
        pass
    assert str(caught.value) == "engine=ray needs Ray: pip install 'geospot_gpu[cluster]'"
