"""The command ``geospot verify``: is all of a run there, and as it was written."""

from __future__ import annotations

from omegaconf import DictConfig

from geospot_gpu.commands.results import store_of
from geospot_gpu.config import settings
from geospot_gpu.config.composed import checked
from geospot_gpu.errors import GeospotError
from geospot_gpu.errors.say import say
from geospot_gpu.runs.verify import verify as verify_run


def verify(config: DictConfig) -> None:
    """Look at the run that ``config`` names, and say what is wrong and how to put it right.

    Raises:
        GeospotError: something is.
    """
    store = store_of(checked(config, settings.RunConfig))
    found = verify_run(store)
    for finding in found.findings:
        say(f"{finding.where}: {finding.what}: {finding.repair}")
    say(
        f"{found.files:,} files, {found.bytes / 2**20:.1f} MiB read; "
        f"{found.total - found.missing:,} of {found.total:,} pairs of the last sweep are there",
        f"findings={len(found.findings)} files={found.files} pairs={found.total} "
        f"missing={found.missing}",
    )
    if found.findings:
        raise GeospotError(f"{store.place}: {len(found.findings)} findings, listed above")
