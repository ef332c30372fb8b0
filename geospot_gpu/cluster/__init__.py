"""Work that is shared out: items of one job, computed and stored by workers near and far.

Nothing here knows what is computed. :mod:`~geospot_gpu.cluster.pool` says what a job has to be;
:class:`LocalPool` does it in this process, :class:`RayPool` on a cluster.
"""

from geospot_gpu.cluster.local_pool import LocalPool
from geospot_gpu.cluster.pool import Job, Pool, Worker
from geospot_gpu.cluster.ray_pool import RayPool, open_pool
from geospot_gpu.cluster.settings import Ray

__all__ = ["Job", "LocalPool", "Pool", "Ray", "RayPool", "Worker", "open_pool"]
