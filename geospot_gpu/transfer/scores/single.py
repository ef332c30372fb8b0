"""Single predictions with labels, by the regions of model and sample."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import pandas as pd

from geospot_gpu.transfer.scores.membership import Membership
from geospot_gpu.transfer.scores.samples import Samples
from geospot_gpu.transfer.scores.values import PROBABILITY

log = logging.getLogger("geospot_gpu")


def in_regions(
    samples: Samples, membership: Membership, names: Sequence[str]
) -> pd.DataFrame | None:
    """A row per sample and region that it lies in, as :class:`~geospot_gpu.Scores` has them.

    Models of several regions together, which have no one home, are left out, aloud.

    Args:
        samples: with the column ``source``.
        membership: the regions that they lie in.
        names: of the regions.

    Returns:
        None where no label is given.
    """
    if samples.label is None:
        return None
    of = samples.sources(names)[0][membership.sample]
    together = len(np.unique(membership.sample[of >= len(names)]))
    if together:
        log.warning(
            "%s: %d samples of models of several regions together take no part in what labels say",
            *(samples.where, together),
        )
    own = (of >= 0) & (of < len(names))
    at, spelled = membership.sample[own], np.array(names, object)
    found = pd.DataFrame(
        {
            "source": spelled[of[own]],
            "target": spelled[membership.region[own]],
            "value": samples.value[at],
            "label": samples.label.iloc[at].to_numpy(),
        }
    )
    if samples.prediction is not None:
        found["prediction"] = samples.prediction.iloc[at].to_numpy()
    if samples.identity is not None:
        found["sample"] = samples.identity[at]
    if "seed" in samples.names:
        found["seed"] = pd.factorize(samples.names["seed"])[0][at]
    if samples.probability is not None:
        given = samples.probability.iloc[at].add_prefix(PROBABILITY).set_index(found.index)
        found = found.join(given)
    return found
