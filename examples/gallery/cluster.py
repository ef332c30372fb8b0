"""
A sweep on a cluster
====================

A sweep is shared out: by Ray, whose workers take blocks of pairs as they are free, or by hand,
each job of a batch system with a share of its own. All write into one folder, and none waits
for another.
"""

import os
from pathlib import Path
from tempfile import mkdtemp

import matplotlib.pyplot as plt
import numpy as np

import geospot_gpu as gs

# %%
# The regions
# -----------
#
# Sixty clouds of points of different sizes around the world.

random = np.random.default_rng(0)
sizes = np.sort(random.integers(40, 260, 60))
centres = np.column_stack([random.uniform(-170, 170, 60), random.uniform(-60, 70, 60)])
places = np.repeat(centres, sizes, axis=0) + random.normal(0, 2, (sizes.sum(), 2))
regions = gs.Regions.from_points(
    lon=places[:, 0],
    lat=places[:, 1],
    region=np.repeat([f"region {k:02d}" for k in range(60)], sizes),
)

# %%
# By Ray
# ------
#
# With ``RAY_ADDRESS`` set, the workers of that cluster solve the pairs; in a shell it is
# ``geospot sweep engine=ray out=s3://bucket/run``. Without it the same call goes on in this
# process. Nothing else changes: the same pairs, in the same files.

cluster = gs.Ray() if "RAY_ADDRESS" in os.environ else None
engine = gs.Engine(cluster=cluster, device="cpu")

# %%
# By hand
# -------
#
# Where there is no Ray, every job takes a share: ``geospot sweep ... shard=$k/4``. Shares are
# about equal in work, not in pairs. Here the four run one after the other; what each has added
# is looked at in between, as anybody who opens the folder sees it.

folder = Path(mkdtemp()) / "run"
at = {name: k for k, name in enumerate(regions.names)}
share = np.zeros((len(at), len(at)))
for k in range(1, 5):
    run = gs.sweep(folder, regions, outputs=["divergence"], engine=engine, shard=f"{k}/4")
    i, j = run.pairs.source.map(at).to_numpy(), run.pairs.target.map(at).to_numpy()
    new = share[i, j] == 0
    share[i[new], j[new]] = share[j[new], i[new]] = k
    print(f"after share {k} of 4: {len(run.pairs)} pairs are there")

# %%
# The same command again computes nothing: it finds what is stored, and sums it up. After an
# interruption it computes what is missing, whoever was to do it.

run = gs.sweep(folder, regions, outputs=["divergence"], engine=engine)
print(f"{run.pairs.converged.mean():.0%} of {len(run.pairs)} pairs converged")

# %%
# The picture
# -----------

colours = plt.get_cmap("tab10")
figure, (matrix, result) = plt.subplots(1, 2, figsize=(10.5, 4.8), layout="constrained")
matrix.imshow(np.where(share > 0, share, np.nan), cmap=colours, vmin=0.5, vmax=10.5)
for k in range(1, 5):
    matrix.scatter([], [], marker="s", color=colours(k - 1), label=f"share {k}")
figure.legend(*matrix.get_legend_handles_labels(), loc="outside lower left", ncols=4)
matrix.set(title="who solved which pair, by size", xlabel="target", ylabel="source")
east = regions.table().set_index("name").lon.sort_values().index
divergence = run.dataset().divergence.to_pandas().loc[east, east]
shown = result.imshow(divergence, cmap="cividis")
result.set(title="divergence, from west to east", xlabel="target")
figure.colorbar(shown, ax=result, label="scaled ground cost")
plt.show()

# %%
# What it means
# -------------
#
# On the left regions stand in order of size: a block holds many pairs of small regions, or few
# of large ones. The more regions there are, the more blocks, and the more evenly they are
# shared out; here there are few more than shares. On the right the same pairs, whoever solved
# them: on equal machines they are those of one process, to the last bit.
