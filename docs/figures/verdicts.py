"""What "predicts" means: losses that grow with a distance, and losses that do not."""

import matplotlib.pyplot as plt
import numpy as np
import xarray

import geospot_gpu as gs

random = np.random.default_rng(3)
names = [f"r{k:02d}" for k in range(20)]
places = random.normal(size=(20, 2))
apart = np.hypot(*(places[:, None] - places).T)
off = ~np.eye(20, dtype=bool)
good = random.normal(0, 0.6, 20)  # some sources are better than others everywhere


def labelled(values: np.ndarray) -> xarray.DataArray:
    """A matrix over source and target."""
    return xarray.DataArray(values, {"source": names, "target": names}, ("source", "target"))


losses = {
    "grows": 0.5 * apart + good[:, None] + random.normal(0, 0.4, (20, 20)),
    "does not": good[:, None] + random.normal(0, 0.4, (20, 20)),
}
figure, panels = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
for axes, loss in zip(panels, losses.values(), strict=True):
    _, verdict = gs.correlate({"distance": labelled(apart)}, labelled(loss))
    axes.plot(apart[off], loss[off], ".", ms=4)
    axes.set(title=f"verdict: {verdict.verdict}", xlabel="distance")
panels[0].set_ylabel("loss")
