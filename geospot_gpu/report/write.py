"""The report of a run: one file that people open and send to others."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from geospot_gpu.distances.columns import find
from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.files.outputs import Outputs
from geospot_gpu.files.urls import outputs_in
from geospot_gpu.report.atlas import atlas
from geospot_gpu.report.chosen import chosen
from geospot_gpu.report.computed import computed
from geospot_gpu.report.expected import expected
from geospot_gpu.report.explained import explained
from geospot_gpu.report.folders import Results
from geospot_gpu.report.moved import moved
from geospot_gpu.report.page import page
from geospot_gpu.report.pairs import pairs_of
from geospot_gpu.report.remade import command_line
from geospot_gpu.report.transferred import transferred
from geospot_gpu.runs.run import Run

Where = str | Path | None


def write_report(
    run: Run,
    out: str | Path,
    *,
    transfer: Where = None,
    predict: Where = None,
    select: Where = None,
    explain: Where = None,
    multirun: Where = None,
    overwrite: bool = False,
) -> int:
    """Write the report of a run: one page that needs no network, and opens in any browser.

    Args:
        run: the run.
        out: the file, which ends in ``.html``, or its URL on object storage.
        transfer, predict, select, explain: folders that the commands of these names wrote.
        multirun: the folder of a sweep with ``-m``.
        overwrite: replace a file of this name that geospot did not write.

    Returns:
        Its size in bytes.

    Raises:
        GeospotError: a folder holds no such results, or the file cannot be written.
    """
    checks.instance(run, Run, "run", "as Run.open gives it")
    results, name = _output_file(out, overwrite=checks.flag(overwrite, "overwrite"))
    results.check_writable()
    folders = {
        "transfer": transfer,
        "predict": predict,
        "select": select,
        "explain": explain,
        "multirun": multirun,
    }
    given: dict[str, Where] = {
        key: None if where is None else checks.location(where, key)
        for key, where in folders.items()
    }
    content = report_page(run, out, given).encode()
    with results.replacing() as staged:
        (staged / name).write_bytes(content)
    return len(content)


def report_page(run: Run, out: str | Path, given: dict[str, Where]) -> str:
    """The page, as HTML; see :func:`write_report`."""
    command = command_line("report", {"sweep": run.folder, **given, "out": out})
    folders = {
        key: Results(os.path.expanduser(where), key, key)
        for key, where in given.items()
        if where is not None and key != "multirun"
    }
    pairs = pairs_of(run)
    sections = [atlas(run, pairs)]
    regions: dict[str, Any] = sections[0].data["regions"]
    if "transfer" in folders:
        sections.append(transferred(folders["transfer"]))
    if "predict" in folders:
        sections.append(expected(folders["predict"], regions))
    if "select" in folders:
        sections.append(chosen(folders["select"], regions))
    if "explain" in folders:
        sections.append(explained(folders["explain"]))
    if (grid := given["multirun"]) is not None:
        sections.append(moved(run, grid))
    sections.append(computed(run, pairs, command))
    count = f"{len(run.names):,}"
    if run.manifest["targets"] is not None:
        count += f" x {len(run.manifest['targets']):,}"
    return page(f"{count} regions by {find(run.value).title}", sections, command)


def _output_file(out: str | Path, *, overwrite: bool) -> tuple[Outputs, str]:
    """Where a page goes, and its name there."""
    folder, slash, name = str(checks.location(out, "out")).rpartition("/")
    if not name.endswith(".html") or name == ".html":
        raise GeospotError(f"out={out}: name a file that ends in .html, as out=report.html")
    return outputs_in(folder or slash or ".", [name], overwrite=overwrite), name
