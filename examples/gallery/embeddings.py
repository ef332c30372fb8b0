"""
Your own embeddings
===================

What describes a point need not come from coordinates. Here every photograph has a vector from
some model of yours, and regions are compared by what these vectors say, with or without knowing
where a photograph was taken.
"""

from pathlib import Path
from tempfile import mkdtemp

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import geospot_gpu as gs

# %%
# A table and a file of vectors
# -----------------------------
#
# The stand-in for your data: six regions that differ in how much of their photographs shows
# forest, fields, desert, city or snow. A vector is that of its kind of land, and noise. The
# truth, which a user does not have, is the table of shares.

random = np.random.default_rng(0)
shares = pd.DataFrame(
    {
        "forest": [0.7, 0.6, 0.1, 0.0, 0.1, 0.3],
        "fields": [0.1, 0.2, 0.6, 0.1, 0.1, 0.4],
        "desert": [0.0, 0.0, 0.1, 0.8, 0.0, 0.0],
        "city": [0.1, 0.2, 0.2, 0.1, 0.1, 0.3],
        "snow": [0.1, 0.0, 0.0, 0.0, 0.7, 0.0],
    },
    index=["taiga", "jungle", "plains", "dunes", "arctic", "suburbs"],
)
kinds = random.normal(size=(len(shares.columns), 32))
seen = np.concatenate([random.choice(5, 150, p=row) for row in shares.to_numpy()])
vectors = kinds[seen] + random.normal(scale=0.7, size=(seen.size, 32))
photos = pd.DataFrame(
    {
        "id": [f"photo{k:04d}" for k in range(seen.size)],
        "region": np.repeat(shares.index.to_numpy(), 150),
    }
)

folder = Path(mkdtemp())
np.savez(folder / "vectors.npz", id=photos["id"].to_numpy(str), features=vectors)

# %%
# Rows are joined by their ids, never by position alone. The photographs have no coordinates,
# which ``located=False`` says; the command is ``geospot sweep points=table
# points.path=photos.csv points.region=region points.located=false encoder=precomputed
# encoder.path=vectors.npz encoder.id=id out=runs/photos``.

mine = gs.Precomputed(path=folder / "vectors.npz", id="id")
regions = gs.Regions.from_table(photos, region="region", located=False, encoder=mine)
regions

# %%
# Vectors are scaled to length one, and the cost of moving one photograph to another is one minus
# their cosine. Vectors whose columns have units of their own want ``standardize=True`` first.

distances = gs.pairwise(regions)
divergence = distances.divergence.to_pandas()
print(divergence.round(2))

# %%
# The picture
# -----------
#
# The distances, and beside them what they found without being told: how much the shares of land
# differ, by total variation.

names = list(divergence.index)
true = np.abs(shares.loc[names].to_numpy()[:, None] - shares.loc[names].to_numpy()).sum(2) / 2
left, right = np.triu_indices(len(names), 1)

figure, (matrix, beside) = plt.subplots(1, 2, figsize=(11, 4.6), layout="constrained")
shown = matrix.imshow(divergence, cmap="cividis")
matrix.set_xticks(range(len(names)), names, rotation=45, ha="right")
matrix.set_yticks(range(len(names)), names)
figure.colorbar(shown, ax=matrix, label="divergence")
beside.scatter(true[left, right], divergence.to_numpy()[left, right])
for i, j in zip(left, right, strict=True):
    if {names[i], names[j]} & {"taiga"}:
        other = names[j] if names[i] == "taiga" else names[i]
        beside.annotate(
            f"taiga, {other}",
            (true[i, j], divergence.to_numpy()[i, j]),
            xytext=(6, -4),
            textcoords="offset points",
        )
beside.set(xlabel="difference of land shares (the truth)", ylabel="divergence")
beside.set_xlim(0, 1.15)
plt.show()

# %%
# What it means
# -------------
#
# From vectors alone the distances put taiga beside jungle, and dunes apart from all, as the
# shares have it; what the shares do not say is that some kinds of land are more alike than
# others. With real embeddings there is no truth to hold them against; what tells whether they
# are of use is how models transfer (:doc:`elsewhere`). Several kinds of vectors can be compared
# at once: they are spaces of one run.
