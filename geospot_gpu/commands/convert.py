"""The command ``geospot convert``: a run of version 0.1 into the form of now."""

from __future__ import annotations

from omegaconf import DictConfig

from geospot_gpu.commands.results import store_of
from geospot_gpu.config import settings
from geospot_gpu.config.composed import checked
from geospot_gpu.outcome import conclude, say
from geospot_gpu.runs.convert import convert as convert_pairs
from geospot_gpu.runs.reading import required_manifest


def convert(config: DictConfig) -> None:
    """Convert the run that ``config`` names, and say what was done."""
    store = store_of(checked(config, settings.RunConfig))
    found = convert_pairs(store)
    if found is None:
        required_manifest(store)  # else there is no run to say anything of
        say(f"{store.place}: there is nothing to convert")
        conclude(None, {"pairs": 0, "lost": 0})
        return
    if found.files[0]:
        say(
            f"{found.pairs:,} pairs of {store.place} are in blocks now",
            f"{found.files[0]} files, {_size(found.bytes[0])} before; "
            f"{found.files[1]} files, {_size(found.bytes[1])} now",
        )
    if found.damaged:
        say(
            f"{found.damaged} damaged files were set aside, with {found.lost:,} pairs or more: the "
            "same geospot sweep computes what is missing"
        )
    if found.unknown:
        say(f"columns that are not known here are left out: {', '.join(found.unknown)}")
    if found.baselines:
        say(f"{found.baselines} files of baselines removed: they are computed again when needed")
    figures = {"pairs": found.pairs, "files": found.files[1], "bytes": found.bytes[1]}
    conclude(None, {**figures, "damaged": found.damaged, "lost": found.lost})


def _size(count: int) -> str:
    return f"{count / 2**20:.1f} MiB"
