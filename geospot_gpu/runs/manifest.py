"""The manifest of a run: what it was made from, proved by a checksum."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from geospot_gpu import files
from geospot_gpu.distances.columns import choices
from geospot_gpu.encoders.spaces import is_space
from geospot_gpu.errors import GeospotError
from geospot_gpu.files.places import Place

Manifest = dict[str, Any]

FORMAT = 2
"""Of manifests and identities; those of version 0.1 had format 1, without a checksum."""


class Damaged(GeospotError):
    """A file of JSON that is not as it was written."""


def seal(content: Mapping[str, Any]) -> bytes:
    """JSON with a format and a checksum."""
    sealed = {"format": FORMAT, **content}
    return (json.dumps(sealed | {"checksum": _checksum(sealed)}, indent=2) + "\n").encode()


def unseal(place: Place, name: str) -> Manifest:
    """The content of a file that :func:`seal` made, or a manifest of format 1.

    Raises:
        FileNotFoundError: it is not there.
        Damaged: it is no JSON, or its checksum says that it was changed.
        GeospotError: it cannot be read, is not of geospot, or of a newer version.
    """
    where = place.file(name)
    try:
        content: Manifest = json.loads(place.read(name))
    except (RecursionError, ValueError) as error:
        if isinstance(error, GeospotError):
            raise
        raise Damaged(f"{where}: is damaged, or not of geospot") from error
    version = content.get("format") if isinstance(content, dict) else None
    if type(version) is not int or not isinstance(content.get("identity"), dict):
        raise foreign(where)
    if version > FORMAT:
        raise GeospotError(
            f"{where}: was written by a newer version of geospot_gpu (format {version}, and this "
            f"one knows {FORMAT}): update geospot_gpu, or choose another folder with out=..."
        )
    if version == 1 and "checksum" not in content:
        return content
    if content.pop("checksum", None) != _checksum(content):
        raise Damaged(f"{where}: is damaged, or was changed by hand")
    return content


def foreign(where: str) -> GeospotError:
    """What to say of a file that only has the name of one of ours."""
    return GeospotError(
        f"{where}: is not of geospot, and stays as it is: choose another folder with out=..."
    )


def unseal_manifest(place: Place, name: str) -> Manifest:
    """As :func:`unseal`, with everything in it of the kind that it should be."""
    manifest = unseal(place, name)
    if not _is_manifest(manifest):
        raise foreign(place.file(name))
    return manifest


def entries(manifest: Manifest) -> list[dict[str, Any]]:
    """The regions of a run, those of the second table last."""
    return [*manifest["sources"], *(manifest["targets"] or [])]


def _checksum(content: Mapping[str, Any]) -> str:
    return files.content_hash(json.dumps(content, sort_keys=True).encode())


def _is_manifest(manifest: Manifest) -> bool:
    """Whether every part is there that is read again, and of its kind: others write JSON, too."""
    larger, target = manifest.get("larger_samples", []), manifest.get("target_error")
    targets, config = manifest.get("targets"), manifest.get("config")
    outputs, nearest = manifest.get("outputs", []), manifest.get("nearest")
    spaces = manifest.get("spaces")
    return (
        manifest.get("value") in choices()
        and isinstance(outputs, list)
        and all(isinstance(name, str) for name in outputs)
        and (spaces is None or (isinstance(spaces, list) and all(map(is_space, spaces))))
        and _are_regions(manifest.get("sources"))
        and (targets is None or _are_regions(targets))
        and (target is None or isinstance(target, int | float))
        and (nearest is None or (type(nearest) is int and nearest > 0))
        and (config is None or isinstance(config, dict))
        and isinstance(larger, list)
        and all(_is_sample(sample, len(entries(manifest))) for sample in larger)
        and (not larger or target is not None)
    )


def _are_regions(found: object) -> bool:
    """Names and keys of regions, each once."""
    if not isinstance(found, list) or not found or not all(isinstance(x, dict) for x in found):
        return False
    names, keys = [x.get("name") for x in found], [x.get("key") for x in found]
    numbers = [x.get(key, 0) for x in found for key in ("n_points", "n_available", "weight")]
    return (
        all(isinstance(text, str) for text in (*names, *keys))
        and all(isinstance(number, int | float) for number in numbers)
        and len(set(names)) == len(names)
    )


def _is_sample(sample: object, regions: int) -> bool:
    """Positions of regions, and the keys of their larger samples."""
    if not isinstance(sample, dict):
        return False
    positions, keys = sample.get("positions"), sample.get("keys")
    return (
        isinstance(positions, list)
        and isinstance(keys, list)
        and len(keys) == len(positions)
        and all(type(k) is int and 0 <= k < regions for k in positions)
        and all(isinstance(key, str) for key in keys)
    )
