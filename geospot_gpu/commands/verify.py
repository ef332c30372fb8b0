"""The command ``geospot verify``: is all of a run there, and as it was written."""

from __future__ import annotations

from omegaconf import DictConfig

from geospot_gpu.commands.results import store_of
from geospot_gpu.config import settings
from geospot_gpu.config.composed import checked
from geospot_gpu.errors import GeospotError
from geospot_gpu.outcome import conclude, say
from geospot_gpu.runs.spaces import stores_of_others
from geospot_gpu.runs.verify import verify as verify_run


def verify(config: DictConfig) -> None:
    """Look at the run that ``config`` names, and say what is wrong and how to put it right.

    Raises:
        GeospotError: something is.
    """
    store = store_of(checked(config, settings.RunConfig))
    parts = [verify_run(one) for one in (store, *stores_of_others(store))]
    findings = [finding for part in parts for finding in part.findings]
    files, read = sum(part.files for part in parts), sum(part.bytes for part in parts)
    total, missing = sum(part.total for part in parts), sum(part.missing for part in parts)
    for finding in findings:
        say(f"{finding.where}: {finding.what}: {finding.repair}")
    say(
        f"{files:,} files, {read / 2**20:.1f} MiB read; "
        f"{total - missing:,} of {total:,} pairs of the last sweep are there"
    )
    figures = {"findings": len(findings), "files": files, "pairs": total, "missing": missing}
    conclude(None, figures)
    if findings:
        raise GeospotError(f"{store.place}: {len(findings)} findings, listed above")
