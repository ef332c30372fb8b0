"""Location encoders of any kind that PyTorch runs: files of models, and classes with weights."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from geospot_gpu.encoders.base import single_rows, unit_rows
from geospot_gpu.encoders.columns import feature_columns, feature_matrix
from geospot_gpu.encoders.known_places import ORDERS, UNITS, Reading, check_reading
from geospot_gpu.encoders.location import LocationEncoder, in_company
from geospot_gpu.encoders.torch_files import Model, open_class, open_file
from geospot_gpu.encoders.weights import tensors_hash
from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.errors.say import warn_once
from geospot_gpu.files import regular
from geospot_gpu.files.inputs import why
from geospot_gpu.points.readers import read_points

_CLOSE = 1e-3
"""Vectors of length one that agree with those expected differ by no more."""


class TorchModel(LocationEncoder):
    """A location encoder of your own, or any that is published, such as SINR, Climplicit or RANGE.

    Either a file ``path`` that holds a whole model, TorchScript or a program of ``torch.export``
    (``.pt2``), whose graph is run and no Python; or a class ``model`` that can be imported, with
    its weights in ``path`` (a ``state_dict``, as ``torch.save`` or safetensors writes it).
    Importing a class runs its code: name those you trust. A model takes coordinates [n, 2], or
    [n, 3] as xyz, and gives vectors [n, d].

    What it reads has to be declared, and is tried on known places
    (:mod:`geospot_gpu.encoders.known_places`). That shows a wrong order or range only of models
    that know the Earth to be round; of all others ``reference`` does.

    Vectors are cached under a hash of the model and these settings. What a class keeps outside of
    its ``state_dict`` is known by its arguments alone.

    Args:
        path: file of the model, or of the weights of ``model``.
        model: class of the model, as in ``package.module:Class``.
        arguments: what the class is made with, by name.
        order: ``lonlat`` or ``latlon``: which of the two comes first. It has to be given, unless
            units are xyz.
        units: ``degrees``; ``radians``; ``unit``, where longitudes / 180 and latitudes / 90 are in
            [-1, 1]; or ``xyz``, unit vectors.
        precision: of the coordinates, and of a class: ``float32`` or ``float64``.
        dimension: how many features it gives, where that is to be checked.
        normalize: scale vectors to length one, as the cosine cost needs.
        reference: table with lon, lat and the vectors that the model's own code gives there; they
            have to agree.
        cache: folder of the cache; ``$GEOSPOT_CACHE`` or the user's cache folder if not given.

    Raises:
        GeospotError: a setting is missing or unknown. A model that does not do is refused when
            points are encoded.
    """

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        model: str | None = None,
        arguments: Mapping[str, Any] | None = None,
        order: Literal["lonlat", "latlon"] | None = None,
        units: Literal["degrees", "radians", "unit", "xyz"] = "degrees",
        precision: Literal["float32", "float64"] = "float32",
        dimension: int | None = None,
        normalize: bool = True,
        reference: str | Path | None = None,
        cache: str | Path | None = None,
    ) -> None:
        super().__init__(cache)
        self.path = checks.optional(checks.path)(path, "encoder.path")
        self.model = checks.optional(checks.text)(model, "encoder.model")
        self.arguments = _named({} if arguments is None else arguments)
        read = checks.one_of(units, UNITS, "encoder.units")
        if order is None and read != "xyz":
            raise GeospotError(
                "encoder=torch needs encoder.order=lonlat or latlon: which of the two the model "
                "takes first"
            )
        first = ORDERS[0] if order is None else checks.one_of(order, ORDERS, "encoder.order")
        self.reading = Reading(first, read)
        precisions = ("float32", "float64")
        self.precision = checks.one_of(precision, precisions, "encoder.precision")
        width = checks.optional(checks.whole)(dimension, "encoder.dimension")
        self._declared = (
            width if width is None else checks.whole(width, "encoder.dimension", least=1)
        )
        self.unit_length = checks.flag(normalize, "encoder.normalize")
        self.reference = checks.optional(checks.path)(reference, "encoder.reference")
        if self.path is None and self.model is None:
            raise GeospotError(
                "encoder=torch needs encoder.path=...: a TorchScript or torch.export file, or else "
                "encoder.model=package.module:Class"
            )
        if self.arguments and self.model is None:
            raise GeospotError("encoder.arguments are those of a class: name it in encoder.model")

    @property
    def name(self) -> str:
        """What the model is called in messages."""
        return self.model or str(self.path)

    @property
    def version(self) -> str:
        return f"torch-{self._hash}"

    @property
    def dimension(self) -> int:  # type: ignore[override]
        return self._width

    @cached_property
    def _hash(self) -> str:
        settings = (*self.reading, self.precision, self.unit_length, self.model, self.arguments)
        if self.model is not None:
            state = open_class(self.model, self.arguments, self.path).state_dict()
            return tensors_hash(state, settings)
        assert self.path is not None
        content = hashlib.blake2b(repr(settings).encode(), digest_size=6)
        with regular(self.path).open("rb") as file:
            while piece := file.read(1 << 20):
                content.update(piece)
        return content.hexdigest()

    @cached_property
    def _width(self) -> int:
        """How many features the model gives, once it has been tried."""
        model = self._open("cpu")

        def run(inputs: NDArray[np.float64]) -> NDArray[np.float64]:
            return self._vectors(model, inputs, "cpu")

        places = self.reading.inputs(np.zeros((2, 2)))
        width: int = run(places).shape[1]
        if self._declared not in (None, width):
            raise GeospotError(
                f"{self.name}: gives {width} features, and encoder.dimension={self._declared}"
            )
        if self.reference is not None:
            self._check_reference(self.reference, run)
        elif not check_reading(run, self.reading, self.name):
            warn_once(
                f"{self.name}: its vectors do not show which coordinate is which, and "
                f"{self.reading} is believed: encoder.reference would prove it"
            )
        return width

    def load(self, device: str) -> Callable[[NDArray[np.float64]], NDArray[np.float32]]:
        model = self._open(device)
        checked = unit_rows if self.unit_length else single_rows

        def encode(lat_lon: NDArray[np.float64]) -> NDArray[np.float32]:
            inputs = self.reading.inputs(in_company(lat_lon))
            vectors = self._vectors(model, inputs, device)[: len(lat_lon)]
            where = f"{self.name} at (lat, lon)"
            return checked(vectors, lambda k: f"{where} {tuple(lat_lon[k].tolist())}")

        return encode

    def _open(self, device: str) -> Model:
        import torch

        if self.model is None:
            assert self.path is not None
            return open_file(self.path, device)
        module = open_class(self.model, self.arguments, self.path)
        return Model(module.to(device, getattr(torch, self.precision)), None)

    def _vectors(
        self, model: Model, inputs: NDArray[np.float64], device: str
    ) -> NDArray[np.float64]:
        """What the model gives for inputs [n, k], in float64 [n, d]."""
        import torch

        step = model.batch or len(inputs)
        found = []
        for low in range(0, len(inputs), step):
            few = inputs[low : low + step]
            batch = np.resize(few, (step, few.shape[1]))
            tensor = torch.as_tensor(batch, dtype=getattr(torch, self.precision), device=device)
            try:
                with torch.inference_mode():
                    vectors = model.run(tensor)
            except Exception as error:  # whatever another's model does
                raise GeospotError(
                    f"{self.name}: cannot be run on {self.precision} {list(batch.shape)} "
                    f"({why(error)}): see encoder.units and encoder.precision"
                ) from error
            if isinstance(vectors, np.ndarray):  # as RANGE gives them
                vectors = torch.as_tensor(vectors)
            if (
                not isinstance(vectors, torch.Tensor)
                or vectors.ndim != 2
                or len(vectors) != step
                or vectors.is_complex()
            ):
                given = type(vectors).__name__
                if isinstance(vectors, torch.Tensor):
                    kind = "complex tensor" if vectors.is_complex() else "tensor"
                    given = f"{kind} {list(vectors.shape)}"
                raise GeospotError(
                    f"{self.name}: gives a {given} for {step} places: it must give one tensor, "
                    "with a row of real numbers for each"
                )
            found.append(vectors[: len(few)].to("cpu", torch.float64).numpy())
        return np.concatenate(found)

    def _check_reference(
        self, path: Path, run: Callable[[NDArray[np.float64]], NDArray[np.float64]]
    ) -> None:
        """Raise where vectors differ from those of the reference."""
        points = read_points(path)
        origin, table = str(path), points.attributes
        wanted = feature_matrix(table, feature_columns(table, None, (), origin), origin)
        places = np.stack([points.lat, points.lon], axis=1)

        def gaps(reading: Reading) -> NDArray[np.float64]:
            found = run(reading.inputs(places))
            if found.shape != wanted.shape:
                raise GeospotError(
                    f"{path}: has vectors of {wanted.shape[1]} features, and {self.name} gives "
                    f"{found.shape[1]}"
                )
            rows = [unit_rows(one, lambda k: f"{path}: row {k + 1}") for one in (wanted, found)]
            gap: NDArray[np.float64] = np.linalg.norm(rows[0] - rows[1], axis=1).astype(np.float64)
            return gap

        own = gaps(self.reading)
        if (own <= _CLOSE).all():
            return
        others = [Reading(order, units) for order in ORDERS for units in UNITS[:3]]
        fits = [
            f"; with {other} they agree: set these"
            for other in others
            if self.reading.units != "xyz" and (gaps(other) <= _CLOSE).all()
        ]
        k = int(np.argmax(own))
        raise GeospotError(
            f"{path}: row {table.index[k]}: {self.name} gives another vector there, which differs "
            f"by {own[k]:.2g} of its length{fits[0] if fits else ''}"
        )


def _named(arguments: object) -> dict[str, Any]:
    """Arguments by name; a command line gives them as pairs."""
    if isinstance(arguments, list) and all(
        isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str) for pair in arguments
    ):
        arguments = dict(arguments)
    if not isinstance(arguments, Mapping) or not all(isinstance(one, str) for one in arguments):
        raise GeospotError(
            f"encoder.arguments={checks.shown(arguments)}: give them by name, as in {{width: 64}}"
        )
    return dict(arguments)
