"""Points of a data set that take part, their labels, and their features in every space."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import geospot_gpu as gs
from benchmarks.paper.settings import PROTOCOLS, Settings
from geospot_gpu.encoders import ENCODERS, Encoder, Precomputed
from geospot_gpu.errors import GeospotError, checks

_FILES = (".parquet", ".npz", ".npy")
_WORDS = 64
Rows = dict[str, NDArray[np.int64]]


@dataclass(frozen=True)
class Samples:
    """What the experiments are about.

    Attributes:
        points: with a column of vectors for every space, called as the space is.
        train, test: rows of the samples of each region, shuffled.
        spaces: names of the spaces, that of the task first.
        targets: names of the regions that samples are chosen for.
    """

    points: gs.Points
    train: Rows
    test: Rows
    spaces: tuple[str, ...]
    targets: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Of the regions."""
        return tuple(self.train)

    def encoder(self, space: str) -> Precomputed:
        """Gives the features of a space."""
        return Precomputed(columns=[space])

    def features(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Features of the task, [n, d]."""
        return np.stack(self.points.attributes[self.spaces[0]].iloc[rows].tolist())

    def column(self, name: str, rows: NDArray[np.int64]) -> NDArray[np.object_]:
        """A column of the table, [n]."""
        return self.points.attributes[name].iloc[rows].to_numpy(object)


def prepare(settings: Settings) -> Samples:
    """Read a data set and encode it.

    Raises:
        GeospotError: the data set is not as it is published, or there is nothing to compare.
    """
    protocol = PROTOCOLS[settings.dataset]
    points = gs.read_dataset(settings.dataset, settings.root, invalid="drop")
    table = points.attributes
    if "split" not in table:
        raise GeospotError(f"{settings.root}: its table has no splits, which models need")
    encoders = _encoders(settings)
    keep = _usable(points, encoders)
    if protocol.years is not None and "year" in table:
        keep &= table["year"].isin(protocol.years)
    train = _drawn(
        table, keep & (table["split"] == "train"), max(settings.points, *settings.budgets)
    )
    test = _drawn(table, keep & (table["split"] == "test"), settings.points)
    both = sorted(set(train) & set(test), key=lambda name: (-len(train[name]), name))
    names = sorted(both[: settings.regions or protocol.regions])
    if len(names) < 3:
        raise GeospotError(f"{settings.root}: {len(names)} regions have samples: three are needed")
    kept = np.concatenate([rows[name] for rows in (train, test) for name in names])
    points = points.take(kept)
    place = pd.Series(np.arange(len(kept)), index=kept)
    train, test = ({name: place[rows[name]].to_numpy() for name in names} for rows in (train, test))
    points, spaces = _encoded(points, np.concatenate(list(train.values())), encoders, settings)
    targets = _targets(points, settings.targets or list(protocol.targets), train)
    return Samples(points, train, test, spaces, targets)


def _drawn(table: pd.DataFrame, keep: pd.Series[bool], most: int) -> Rows:
    """Rows of each region, at most so many, in an order that depends on its own rows alone."""
    rows = np.flatnonzero(keep)
    groups = table["region"].iloc[rows].astype(str).groupby(table["region"].iloc[rows]).indices
    return {
        str(name): np.random.default_rng(0).permutation(rows[members])[:most]
        for name, members in groups.items()
    }


def _encoders(settings: Settings) -> dict[str, Encoder]:
    """Encoders by the names of their spaces."""
    encoders: dict[str, Encoder] = {}
    if settings.embeddings is not None:
        folder = Path(settings.embeddings)
        paths = sorted(path for path in folder.glob("*") if path.name.endswith(_FILES))
        named = [path for path in paths if not path.name.endswith(".ids.npy")]
        if not named:
            raise GeospotError(f"{folder}: holds no feature files ({', '.join(_FILES)})")
        encoders |= {path.stem: Precomputed(path=path, id="id") for path in named}
    if settings.geoclip:
        encoders["geoclip"] = gs.GeoClip()
    for checkpoint in settings.satclip:
        kind: Any = ENCODERS["satclip"]
        encoders[Path(checkpoint).stem] = kind(path=checkpoint)
    return encoders


def _usable(points: gs.Points, encoders: dict[str, Encoder]) -> pd.Series[bool]:
    """Which points have a region, and features in every space."""
    keep = points.attributes["region"].notna()
    rows = np.arange(len(points))
    for name, encoder in encoders.items():
        there = encoder.usable(points, rows)
        if not there.all():
            print(f"{(~there).sum():,} of {len(there):,} points have no features in {name}")
        keep &= there
    return keep


def _encoded(
    points: gs.Points,
    train: NDArray[np.int64],
    encoders: dict[str, Encoder],
    settings: Settings,
) -> tuple[gs.Points, tuple[str, ...]]:
    """The points with their vectors in each space, and the names of the spaces."""
    rows = np.arange(len(points))
    vectors = {}
    if settings.embeddings is None and "text" in points.attributes:
        vectors["words"] = _words(points.attributes["text"], train)
    for name, encoder in encoders.items():
        found = encoder.encode(points, rows, "cpu")
        assert found is not None
        vectors[name] = found
    if not vectors:
        raise GeospotError("there is no space: give embeddings=FOLDER, or leave out geoclip=false")
    task = settings.task or next(iter(vectors))
    checks.one_of(task, vectors, "task")
    lists = {name: pd.Series(list(matrix), dtype=object) for name, matrix in vectors.items()}
    table = points.attributes.assign(**{name: one.to_numpy() for name, one in lists.items()})
    spaces = (task, *(name for name in vectors if name != task))
    return replace(points, attributes=table), spaces


def _words(text: pd.Series[str], train: NDArray[np.int64]) -> NDArray[np.float32]:
    """Texts by their words, without a model: latent semantic analysis of the training samples."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    counted = TfidfVectorizer(max_features=20_000, sublinear_tf=True).fit(text.iloc[train])
    counts = counted.transform(text)
    size = min(_WORDS, counts.shape[1] - 1)
    reduced = TruncatedSVD(size, random_state=0).fit(counts[train]).transform(counts)
    reduced += 1e-6  # a text without a known word has a direction, too
    found: NDArray[np.float32] = np.asarray(reduced, np.float32)
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    return found


def _targets(points: gs.Points, wanted: list[str], train: Rows) -> tuple[str, ...]:
    """Regions by name or number; the three with most training samples where none is there."""
    numbers = {}
    if "domain" in points.attributes:
        pairs = points.attributes[["domain", "region"]].drop_duplicates().astype(str)
        numbers = dict(zip(pairs["domain"], pairs["region"], strict=True))
    named = [numbers.get(one, one) for one in wanted]
    found = [name for name in named if name in train]
    largest = sorted(train, key=lambda name: (-len(train[name]), name))[:3]
    return tuple(found or largest)
