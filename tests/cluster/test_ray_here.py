"""Ray on this machine alone: the same results as in this process, and nothing left behind."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from geospot_gpu.cluster import LocalPool, Ray, RayPool
from tests.helpers.jobs import Squares, Task, tries

ray = pytest.importorskip("ray")


@pytest.mark.slow
def test_a_cluster_of_this_machine_does_what_this_process_does(tmp_path: Path) -> None:
    items = [Task(number) for number in (7, 3, 500, 0, 12)]
    costs = [float(item.number) for item in items]
    expected = {index: item.number**2 for index, item in enumerate(items)}
    here = LocalPool("cpu").run(Squares(tmp_path), items, costs)
    assert {index: found.square for index, found in here} == expected
    with RayPool(Ray("local", workers=2), "cpu") as pool:
        assert pool.device_type == "cpu"
        listening = {
            one.laddr.ip
            for child in psutil.Process().children(recursive=True)
            for one in child.net_connections("inet")
            if one.status == psutil.CONN_LISTEN
        }
        assert {ip.removeprefix("::ffff:") for ip in listening} == {"127.0.0.1"}
        for _ in range(2):
            found = list(pool.run(Squares(tmp_path), items, costs, str))
            assert {index: one.square for index, one in found} == expected
            assert len(found) == len(items)
    assert not ray.is_initialized()
    assert all(tries(tmp_path, item.number) == 3 for item in items)
