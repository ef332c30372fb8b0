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
from geospot_gpu.files import outputs
from geospot_gpu.files.places import Place, place
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

MANIFEST = "manifest.json"
OUTPUTS = ("matrix.csv", "heatmap.png", "regions.parquet", MANIFEST)
"""What the last run that ended leaves to look at; replaced together."""


class Store:
    """A folder that several runs may share, one after the other or at once, of one identity.

    - ``identity.json`` is written once, by the first.
    - ``distances/`` holds a :class:`PairStore`, and ``regions/`` :class:`Parts`: whatever any of
      the runs computed.
    - ``manifests/`` has a manifest of every run, named by its content: which of the stored rows
      are its own is for the manifest to say.
    - ``manifest.json`` is that of the last run that ended, and changes with its outputs.
    """

    def __init__(self, folder: str | Path | Place) -> None:
        self.place = folder if isinstance(folder, Place) else place(folder)
        self.folder = Path(str(self.place))
        self.pairs = PairStore(self.place.child("distances"), "pairs")
        self.regions = Parts(self.place.child("regions"), REGIONS, "regions", _self_terms_known)
        self.manifests = self.folder / "manifests"
        self._identity = self.folder / "identity.json"

    def prepare(self) -> None:
        """Create the folder, and clear away what an interrupted run half wrote.

        Raises:
            GeospotError: the folder cannot be created, or holds somebody else's manifest.
        """
        try:
            self.manifests.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise GeospotError(
                f"{self.folder}: cannot be created ({files.reason(error)})"
            ) from error
        for folder in (self.folder, self.manifests):
            files.clear_leftovers(folder)
        for parts in (self.pairs, self.regions):
            parts.place.prepare()

    def output_folder(
        self, inputs: Iterable[str | Path] = (), *, overwrite: bool = False
    ) -> outputs.OutputFolder:
        """The folder's files to look at.

        Raises:
            GeospotError: they are somebody else's.
        """
        path = self.folder / MANIFEST
        try:
            unseal_manifest(path)
            if not outputs.has_record(self.folder, MANIFEST):  # of version 0.1, or lost in a copy
                outputs.adopt(self.folder, OUTPUTS)
        except FileNotFoundError:
            pass
        except Damaged as error:
            if not self._identity.exists() and not self._latest():
                raise GeospotError(f"{error}: choose another folder with out=...") from None
            self._set_aside(path)
        return outputs.OutputFolder(self.folder, OUTPUTS, inputs=inputs, overwrite=overwrite)

    def check_identity(self, identity: Identity) -> None:
        """Raise where the folder holds distances of another encoder, cost, solver or seed.

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

    def settle(self, identity: Identity) -> Identity:
        """Make the folder one of this identity, which the first to come decides.

        Returns:
            The identity as the folder has it, which keys are made from.

        Raises:
            GeospotError: it has another one, or cannot be written.
        """
        if not self._identity.exists():
            try:
                files.create(self._identity, seal({"identity": identity}))
            except OSError as error:
                if self._settled() is None:
                    raise files.unwritable(self._identity, error) from error
        self.check_identity(identity)
        return self._settled() or identity

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
            stored: Identity = unseal(self._identity)["identity"]
            return stored
        except FileNotFoundError:
            pass
        except Damaged:
            self._set_aside(self._identity)
        manifest = self.read_manifest()
        return None if manifest is None else manifest["identity"]

    def write_manifest(self, manifest: Manifest) -> Path:
        """Keep the manifest of a run, whatever other runs there are."""
        content = seal(manifest)
        path = self.manifests / f"{files.content_hash(content)}.json"
        if not path.exists():
            with files.written(path) as temporary:
                temporary.write_bytes(content)
        return path

    def holds(self, manifest: Manifest) -> bool:
        """Whether this is the manifest that is there."""
        try:
            return files.stored(self.folder / MANIFEST) == seal(manifest)
        except FileNotFoundError:
            return False

    def read_manifest(self) -> Manifest | None:
        """The manifest of the last run that ended, or of the latest; None where there is none.

        Raises:
            GeospotError: it is damaged, and there is no other; or it is not of this version.
        """
        damaged, path = None, self.folder / MANIFEST
        try:
            manifest = unseal_manifest(path)
            if self._is_own(path):
                return manifest
            damaged = Damaged(f"{path}: is not that of the last run here")
        except FileNotFoundError:
            pass
        except Damaged as error:
            damaged = error
        for path in self._latest():
            with contextlib.suppress(FileNotFoundError, Damaged):
                manifest = unseal_manifest(path)
                if damaged is not None:
                    log.warning("%s; %s is read instead", damaged, path)
                return manifest
        if damaged is not None:
            raise GeospotError(f"{damaged}: run geospot sweep again: stored distances are kept")
        return None

    def _is_own(self, path: Path) -> bool:
        """Whether a whole manifest is this folder's, and not a copy from another or of an older."""
        if outputs.has_record(self.folder, MANIFEST):
            return outputs.knows(self.folder, MANIFEST)
        if self._latest():  # the record was lost in a copy
            name = files.content_hash(files.stored(path))
            return (self.manifests / f"{name}.json").exists()
        return True

    def _latest(self) -> list[Path]:
        """Manifests of runs, the last first."""
        dated = []
        for path in self.manifests.glob("*.json"):
            with contextlib.suppress(OSError):
                dated.append((path.stat().st_mtime_ns, path))
        return [path for _, path in sorted(dated, reverse=True)]

    def _set_aside(self, path: Path) -> None:
        """Move a damaged file away, which is made anew."""
        with outputs.locked(self.folder), contextlib.suppress(FileNotFoundError):
            try:
                unseal(path)  # another run may have mended it
            except Damaged as error:
                log.warning("%s: set aside as %s", error, path.with_suffix(".damaged").name)
                path.rename(path.with_suffix(".damaged"))


def _self_terms_known(regions: pd.DataFrame) -> NDArray[np.int64]:
    return np.asarray(regions["self_ot"].notna(), np.int64)
