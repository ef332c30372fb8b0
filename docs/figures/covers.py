"""Coverage is directed: a wide region covers a narrow one in it, and not the other way."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import geospot_gpu as gs

random = np.random.default_rng(0)
wide = np.concatenate([random.normal(at, 2.5, (80, 2)) for at in ((0, 45), (12, 52), (22, 40))])
narrow = random.normal((12, 52), 2, (120, 2))
table = pd.DataFrame(np.concatenate([wide, narrow]), columns=["lon", "lat"])
table["region"] = ["wide"] * len(wide) + ["narrow"] * len(narrow)
regions = gs.Regions.from_table(table, region="region", encoder="none")
found = gs.pairwise(regions, outputs=["divergence", "coverage"])
pair = {"wide covers narrow": ("wide", "narrow"), "narrow covers wide": ("narrow", "wide")}
values = [float(found.coverage.sel(source=a, target=b)) for a, b in pair.values()]
values.append(float(found.divergence.sel(source="wide", target="narrow")))

figure, (world, bars) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
world.plot(*wide.T, ".", color="C0", label="wide")
world.plot(*narrow.T, ".", color="C1", label="narrow")
world.set(xlabel="longitude", ylabel="latitude")
world.legend()
bars.barh([*pair, "divergence"], values, color=["C2", "C2", "0.6"])
bars.invert_yaxis()
bars.set_xlabel("scaled ground cost")
