"""Images, by random convolutions or by a network from local weights."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from geospot_gpu.embedding import networks, rcf
from geospot_gpu.embedding.base import Embedder, Item, Model, Unusable
from geospot_gpu.embedding.pixels import pixels
from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.files import expanded
from geospot_gpu.names import Name


class Images(Embedder):
    """Embeds images: files that a column names, or the bytes in it.

    A cell may also hold both, as ``{"bytes": ..., "path": ...}``: so Hugging Face stores images.

    Args:
        column: of the images.
        root: folder that paths are relative to; that of the table if not given.
        model: ``rcf``, random convolutional features, which need no weights and take images of any
            bands; ``resnet50``; ``timm/ARCHITECTURE`` or ``open_clip/ARCHITECTURE``.
        weights: file of the weights; nothing is downloaded.
        features: of ``rcf``, how many.
        mode: of ``rcf``: filters are random numbers (``gaussian``) or random patches of the images
            themselves (``empirical``).
        seed: of ``rcf``.
        scale: of ``rcf``: what pixels are divided by, so that they lie about between 0 and 1; 255
            for images of 8 bits, 1 for floating point, and for others it has to be given.
        batch: how many images are embedded, and stored, at a time.

    Raises:
        GeospotError: an argument is of the wrong kind, or has no effect.
    """

    unit = "images"

    def __init__(
        self,
        column: Name | Iterable[Name] = "image",
        *,
        root: str | Path | None = None,
        model: str = "rcf",
        weights: str | Path | None = None,
        features: int = 512,
        mode: rcf.Mode = "gaussian",
        seed: int = 0,
        scale: float | None = None,
        batch: int = 64,
    ) -> None:
        super().__init__(column, batch)
        self.root = checks.optional(checks.path)(root, "embed.root")
        self.model = checks.text(model, "embed.model")
        self.weights = checks.optional(checks.path)(weights, "embed.weights")
        self.features = checks.whole(features, "embed.features", least=2)
        self.mode = checks.one_of(mode, get_args(rcf.Mode), "embed.mode")
        self.seed = checks.whole(seed, "embed.seed", least=0)
        self.scale = checks.optional(checks.number)(scale, "embed.scale")
        self._check()

    def _check(self) -> None:
        if len(self.columns) != 1:
            raise GeospotError("embed.column: images are in one column: name one")
        library, _, architecture = self.model.partition("/")
        known = {"rcf": "", "resnet50": "", "timm": "/", "open_clip": "/"}
        if library not in known or bool(architecture) != bool(known[library]):
            raise GeospotError(
                f"embed.model={checks.shown(self.model)} is unknown: use rcf, resnet50, "
                "timm/ARCHITECTURE or open_clip/ARCHITECTURE"
            )
        usual: dict[str, Any] = {"features": 512, "mode": "gaussian", "seed": 0, "scale": None}
        for name, value in usual.items() if self.model != "rcf" else ():
            if getattr(self, name) != value:
                raise GeospotError(
                    f"embed.{name}={getattr(self, name)} has no effect without embed.model=rcf"
                )
        if self.model == "rcf" and self.weights is not None:
            raise GeospotError(
                f"embed.weights={self.weights} has no effect with embed.model=rcf, which needs none"
            )
        if self.features % 2:
            raise GeospotError(
                f"embed.features={self.features} must be even: every filter gives two"
            )
        if self.scale is not None and not 0.0 < self.scale < float("inf"):
            raise GeospotError(f"embed.scale={self.scale} must be positive: try 10000")

    def item(self, cells: Sequence[Any], folder: Path) -> Item:
        (cell,) = cells
        if isinstance(cell, Mapping):
            cell = cell.get("bytes") or cell.get("path")
        if isinstance(cell, bytes | bytearray | memoryview):
            return bytes(cell) or _none()
        if not isinstance(cell, str | Path) or not str(cell).strip():
            return _none()
        if "://" in str(cell):
            raise Unusable(f"{cell} is an address, and nothing is downloaded: give files")
        path = (folder if self.root is None else expanded(self.root)) / str(cell)
        if not path.is_file():
            raise Unusable(f"there is no file {path}")
        return path

    def open(self, items: Callable[[], Iterator[Item]], device: str) -> Model:
        library, _, architecture = self.model.partition("/")
        if library == "resnet50":
            return networks.resnet50(self.weights, device)
        if library == "timm":
            return networks.timm(architecture, self.weights, device)
        if library == "open_clip":
            return networks.open_clip(architecture, self.weights, device)
        return self._random(items, device)

    def _random(self, items: Callable[[], Iterator[Item]], device: str) -> Model:
        first = self._first(items())
        if first is None:
            raise GeospotError("embed.model=rcf: there is no image that can be read: give some")
        count, bands = self.features // 2, len(first)
        if self.mode == "gaussian":
            filters = rcf.gaussian_filters(count, bands, self.seed)
        else:
            total = sum(1 for _ in items())
            filters = rcf.empirical_filters(
                count, total, lambda chosen: self._chosen(items(), chosen, first), self.seed
            )
        convolutions = rcf.RandomConvolutions(filters, device)
        weights, scale = convolutions.weights, "" if self.scale is None else f"-{self.scale:g}"
        about = {
            "version": f"rcf-{self.mode}-{self.features}-{weights}{scale}",
            "model": f"rcf-{self.mode}-{self.features}",
            "weights": weights,
            "seed": self.seed,
            "scale": self.scale,
        }

        def load(item: Item) -> NDArray[np.float32]:
            return self._scaled(item, bands)

        return Model(about, load, convolutions.features)

    def _scaled(self, item: Item, bands: int | None = None) -> NDArray[np.float32]:
        """An image as floating-point numbers, [bands, height, width]."""
        found = pixels(item)
        count, *size = found.shape
        if bands is not None and count != bands:
            raise Unusable(f"has {count} bands, and the first image has {bands}")
        if min(size) < rcf.KERNEL:
            raise Unusable(f"is smaller than {rcf.KERNEL} x {rcf.KERNEL} pixels")
        scale = self.scale
        if scale is None and found.dtype.kind == "f":
            scale = 1.0
        elif scale is None and found.dtype == np.uint8:
            scale = 255.0
        elif scale is None:
            raise GeospotError(
                f"{item if isinstance(item, Path) else 'an image'}: has pixels of {found.dtype}: "
                "say what they are divided by with embed.scale=..., as 10000 for Sentinel-2"
            )
        return (found / np.float64(scale)).astype(np.float32)

    def _first(self, items: Iterator[Item]) -> NDArray[np.float32] | None:
        """The first image that can be read."""
        for item in items:
            with contextlib.suppress(Unusable):
                return self._scaled(item)
        return None

    def _chosen(
        self, items: Iterator[Item], chosen: Sequence[int], first: NDArray[np.float32]
    ) -> Iterator[NDArray[np.float32]]:
        """Images at ascending positions; for one that cannot be read the one before, or the first.

        They are read one after another: bytes in a file of Parquet have no other way.
        """
        wanted, last = set(chosen), first
        for position, item in enumerate(items):
            if position in wanted:
                with contextlib.suppress(Unusable):
                    last = self._scaled(item, len(first))
                yield last


def _none() -> Item:
    raise Unusable("has no image")
