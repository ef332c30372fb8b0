"""Folders for what other packages compile or keep, where the home folder has no room for them."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import tempfile

from geospot_gpu.errors.say import warn_once

FOLDERS = {
    "KEOPS_CACHE_FOLDER": "keops",
    "MPLCONFIGDIR": "matplotlib",
    "NUMBA_CACHE_DIR": "numba",
    "TRITON_CACHE_DIR": "triton",
}
"""What packages are told their folder by, and its name in ``GEOSPOT_CACHE``."""


def provide(variable: str) -> None:
    """Name a folder for a package, unless that is named already or the home folder has room.

    It is in ``GEOSPOT_CACHE``; where that is not set, a temporary one and a warning. Left alone
    KeOps would make a folder called ``~`` where there is no home, and Triton would raise.

    Args:
        variable: of the environment, one of :data:`FOLDERS`; read when the package is imported.
    """
    if os.environ.get(variable) or home_problem() is None:
        return
    cache = os.environ.get("GEOSPOT_CACHE")
    if not cache:
        cache = _temporary()
        warn_once(f"{home_problem()}: what is compiled goes at the end; set GEOSPOT_CACHE")
    os.environ[variable] = os.path.join(cache, FOLDERS[variable])


def provide_all() -> None:
    """The same for every package, where ``GEOSPOT_CACHE`` is set."""
    if os.environ.get("GEOSPOT_CACHE"):
        for variable in FOLDERS:
            provide(variable)


@functools.cache
def home_problem() -> str | None:
    """Why nothing can be kept in the home folder, in one clause; None where it can."""
    home = os.path.expanduser("~")
    if home == "~":
        return "there is no home folder"
    problem = folder_problem(os.path.join(home, ".cache"))
    return None if problem is None else f"the home folder {home} {problem}"


def folder_problem(folder: str) -> str | None:
    """Why nothing can be kept in a folder, which is made, in one clause; None where it can."""
    try:
        os.makedirs(folder, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return None
    except OSError as error:
        return f"cannot be written ({error.strerror})"


@functools.cache
def _temporary() -> str:
    """A folder that goes when this process ends."""
    folder = tempfile.mkdtemp(prefix="geospot-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
