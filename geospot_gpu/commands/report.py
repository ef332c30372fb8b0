"""The command ``geospot report``: one page of all that a run holds."""

from __future__ import annotations

import os

from omegaconf import DictConfig

from geospot_gpu.config import settings
from geospot_gpu.config.composed import checked
from geospot_gpu.outcome import conclude
from geospot_gpu.report.write import write_report
from geospot_gpu.runs.run import Run


def report(config: DictConfig) -> None:
    """Write the page that ``config`` asks for, and say where it is."""
    typed = checked(config, settings.ReportConfig)
    run = Run.open(os.path.expanduser(typed.sweep))
    size = write_report(
        run,
        os.path.expanduser(typed.out),
        transfer=typed.transfer,
        predict=typed.predict,
        select=typed.select,
        explain=typed.explain,
        multirun=typed.multirun,
        overwrite=typed.overwrite,
    )
    conclude(typed.out, {"megabytes": round(size / 1e6, 2)})
