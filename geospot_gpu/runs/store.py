"""The folder of a run: pairs, self terms of regions, and what the runs in it were made from."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from geospot_gpu import files
from geospot_gpu.errors import GeospotError
from geospot_gpu.files import record
from geospot_gpu.files.outputs import Outputs
from geospot_gpu.files.places import Folder, Place
from geospot_gpu.files.urls import outputs_in, place
from geospot_gpu.runs.identity import Identity, describe_difference, same
from geospot_gpu.runs.manifest import (
    Damaged,
    Manifest,
    seal,
    unseal,
    unseal_manifest,
)
from geospot_gpu.runs.pair_store import PairStore
from geospot_gpu.runs.parts import Parts

log = logging.getLogger("geospot_gpu")

REGIONS = pa.schema(
    [
        ("key", pa.string()),
        ("name", pa.string()),
        ("n_distinct", pa.int64()),
        ("lon", pa.float64()),
        ("lat", pa.float64()),
        ("self_ot", pa.float64()),
        ("self_lower", pa.float64()),
        ("self_upper", pa.float64()),
        ("self_converged", pa.bool_()),
    ]
)
"""Columns of regions: what follows from the content that their key is a hash of."""

_IDENTITY = "identity.json"
MANIFEST = "manifest.json"
OUTPUTS = ("matrix.csv", "heatmap.png", "neighbours.parquet", "regions.parquet", MANIFEST)
"""What the last run that ended leaves to look at; replaced together."""


class Store:
    """A place that several runs may share, one after the other or at once, of one identity.

    - ``identity.json`` is written once, by the first.
    - ``distances/`` holds a :class:`PairStore`, and ``regions/`` :class:`Parts`: whatever any of
      the runs computed. ``neighbours/`` has lists of the nearest regions, where these were found.
    - ``manifests/`` has a manifest of every run, named by its content: which of the stored rows
      are its own is for the manifest to say.
    - ``manifest.json`` is that of the last run that ended, and changes with its outputs.

    Args:
        where: a place, path of a folder, or URL of object storage.

    Attributes:
        folder: the path or URL.
        place: the same, to read from and write to.
    """

    def __init__(self, where: str | Path | Place) -> None:
        self.place = where if isinstance(where, Place) else place(where)
        self.folder = self.place.path if isinstance(self.place, Folder) else str(self.place)
        self.pairs = PairStore(self.place.child("distances"), "pairs")
        self.regions = Parts(self.place.child("regions"), REGIONS, "regions", _self_terms_known)
        self.manifests = self.place.child("manifests")

    def prepare(self) -> None:
        """Create the folder, and clear away what an interrupted run half wrote.

        Raises:
            GeospotError: the folder cannot be created, or holds somebody else's manifest.
        """
        for part in (self.place, self.pairs.place, self.regions.place, self.manifests):
            part.prepare()

    def output_folder(
        self, inputs: Iterable[str | Path] = (), *, overwrite: bool = False
    ) -> Outputs:
        """The files to look at.

        Raises:
            GeospotError: they are somebody else's.
        """
        try:
            unseal_manifest(self.place, MANIFEST)
            if not record.markers(self.place, MANIFEST):  # of version 0.1, or lost in a copy
                record.adopt(self.place, OUTPUTS)
        except FileNotFoundError:
            pass
        except Damaged as error:
            ours = _IDENTITY in self.place.names(_IDENTITY) or self.manifests.names(suffix=".json")
            if not ours:
                raise GeospotError(f"{error}: choose another folder with out=...") from None
            self._set_aside(MANIFEST)
        return outputs_in(self.folder, OUTPUTS, inputs=inputs, overwrite=overwrite)

    def check_identity(self, identity: Identity) -> Identity:
        """Raise where the folder holds distances of another encoder, cost, solver or seed.

        Returns:
            The identity as the folder has it, which keys are made from; this one if it has none.

        Raises:
            GeospotError: it does, or its distances are in the form of version 0.1.
        """
        self.check_form()
        stored = self._settled()
        if stored is not None and not same(stored, identity):
            raise GeospotError(
                f"{self.folder} holds another sweep ({describe_difference(stored, identity)}): "
                "continue it with its settings, or choose another folder with out=..."
            )
        return identity if stored is None else stored

    def settle(self, identity: Identity) -> Identity:
        """Make the folder one of this identity, which the first to come decides.

        Returns:
            The identity as the folder has it.

        Raises:
            GeospotError: it has another one, or cannot be written.
        """
        if _IDENTITY not in self.place.names(_IDENTITY):
            try:
                self.place.create(_IDENTITY, seal({"identity": identity}))
            except files.Unwritable:
                if self._settled() is None:
                    raise
        return self.check_identity(identity)

    def check_form(self) -> None:
        """Raise where the distances are in the form of version 0.1."""
        if self.pairs.place.names("part-", ".parquet"):
            raise GeospotError(
                f"{self.folder}: its distances are in the form of version 0.1: convert them with "
                f"geospot convert {self.folder}"
            )

    def _settled(self) -> Identity | None:
        """The identity of the folder, if it has one."""
        try:
            stored: Identity = unseal(self.place, _IDENTITY)["identity"]
            return stored
        except FileNotFoundError:
            pass
        except Damaged:
            self._set_aside(_IDENTITY)
        manifest = self.read_manifest()
        return None if manifest is None else manifest["identity"]

    def write_manifest(self, manifest: Manifest) -> str:
        """Keep the manifest of a run, whatever other runs there are.

        Returns:
            Its name among the manifests.
        """
        content = seal(manifest)
        name = _name_of(content)
        if name not in self.manifests.names(name):
            self.manifests.write(name, content)
        return name

    def holds(self, manifest: Manifest) -> bool:
        """Whether this is the manifest that is there."""
        try:
            return self.place.read(MANIFEST) == seal(manifest)
        except FileNotFoundError:
            return False

    def read_manifest(self) -> Manifest | None:
        """The manifest of the last run that ended, or of the latest; None where there is none.

        Raises:
            GeospotError: it is damaged, and there is no other; or it is not of this version.
        """
        damaged = None
        try:
            manifest = unseal_manifest(self.place, MANIFEST)
            if self._is_own():
                return manifest
            damaged = Damaged(f"{self.place.file(MANIFEST)}: is not that of the last run here")
        except FileNotFoundError:
            pass
        except Damaged as error:
            damaged = error
        for name in self.manifests.newest(".json"):
            with contextlib.suppress(FileNotFoundError, Damaged):
                manifest = unseal_manifest(self.manifests, name)
                if damaged is not None:
                    log.warning("%s; %s is read instead", damaged, self.manifests.file(name))
                return manifest
        if damaged is not None:
            raise GeospotError(f"{damaged}: run geospot sweep again: stored distances are kept")
        return None

    def learned(self) -> object:
        """What the encoder of the run knows of its points; None where no manifest says so."""
        try:
            manifest = self.read_manifest()
        except GeospotError:
            return None  # the sweep writes it anew, and the identity tells whether it is the same
        return None if manifest is None else manifest.get("learned")

    def _is_own(self) -> bool:
        """Whether a whole manifest is of this place, and not a copy from another or of an older."""
        if record.markers(self.place, MANIFEST):
            return record.marker(self.place, MANIFEST) is not None
        if self.manifests.names(suffix=".json"):  # the record was lost in a copy
            name = _name_of(self.place.read(MANIFEST))
            return name in self.manifests.names(name)
        return True

    def _set_aside(self, name: str) -> None:
        """Move a damaged file away, which is made anew."""
        with record.locked(self.place), contextlib.suppress(FileNotFoundError):
            try:
                unseal(self.place, name)  # another run may have mended it
            except Damaged as error:
                log.warning("%s: set aside as %s", error, Path(name).with_suffix(".damaged"))
                self.place.set_aside(name)


def _name_of(manifest: bytes) -> str:
    return f"{files.content_hash(manifest)}.json"


def _self_terms_known(regions: pd.DataFrame) -> NDArray[np.int64]:
    return np.asarray(regions["self_ot"].notna(), np.int64)
