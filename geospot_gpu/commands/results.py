"""Folders of results of commands that go on from a sweep."""

from __future__ import annotations

from collections.abc import Collection

from geospot_gpu.config import settings
from geospot_gpu.files import expanded
from geospot_gpu.files.outputs import OutputFolder
from geospot_gpu.runs.store import Store
from geospot_gpu.runs.sweep import required_manifest


def results_folder(
    config: settings.TransferConfig | settings.SelectConfig | settings.ExplainConfig,
    names: Collection[str],
    stale: Collection[str] = (),
) -> OutputFolder:
    """The folder ``out`` of a command, found fit to be written before anything is computed.

    Args:
        config: the settings of the command.
        names: files that it may write.
        stale: files that it writes with other settings.

    Raises:
        GeospotError: there is no such sweep, nothing can be written there, or a file is there that
            is not to be replaced: an input of the command or of the sweep, or one of the user's.
    """
    manifest = required_manifest(Store(expanded(config.sweep)))
    inputs = [*settings.inputs(config), *settings.inputs(manifest.get("config"))]
    found = OutputFolder(config.out, names, inputs=inputs, overwrite=config.overwrite, stale=stale)
    found.check_writable()
    return found
