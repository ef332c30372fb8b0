"""A Ray cluster of several nodes, which are processes of this machine: nobody else can reach it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from geospot_gpu.cluster import Ray, RayPool

SYSTEM = {"health_check_period_ms": 500, "worker_niceness": 0}
"""Nodes that are lost are missed soon, and workers wait for nobody on a busy machine."""


class Nodes:
    """A head with no cores, and nodes of one core each; by their names, their disks."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        head = {"num_cpus": 0, "_system_config": SYSTEM}
        self._cluster = Cluster(initialize_head=True, head_node_args=head)
        self._nodes: dict[str, Any] = {}
        self._pool: RayPool | None = None
        self.address = self._cluster.address

    def add(self, name: str) -> None:
        self._nodes[name] = self._cluster.add_node(num_cpus=1, env_vars={"DISK": name})

    def remove(self, name: str) -> None:
        """Kill it, and all its processes."""
        self._cluster.remove_node(self._nodes.pop(name), allow_graceful=False)

    def only(self, *names: str) -> None:
        """Have these and no others."""
        for name in set(self._nodes) - set(names):
            self.remove(name)
        for name in names:
            if name not in self._nodes:
                self.add(name)

    def pool(self) -> RayPool:
        """Workers on two nodes, which stay from one test to the next; dead ones are replaced."""
        self.only("a", "b")
        if self._pool is None:
            self._pool = RayPool(Ray(), "cpu").__enter__()
        return self._pool

    def free(self) -> None:
        """Have no workers."""
        if self._pool is not None:
            self._pool.__exit__()
            self._pool = None

    def close(self) -> None:
        self.free()
        self._cluster.shutdown()


@contextmanager
def on_loopback() -> Iterator[Nodes]:
    """Nodes that ``engine.address=auto`` finds."""
    from ray._private import ray_constants

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ray_constants, "ENABLE_RAY_CLUSTER", False)
        nodes = Nodes()
        patch.setenv("RAY_ADDRESS", nodes.address)
        try:
            yield nodes
        finally:
            nodes.close()
