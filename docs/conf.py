"""How Sphinx builds these pages: ``make docs``."""

from __future__ import annotations

import re
import sys
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from site_tables import substitutions  # noqa: E402

project = "geospot_gpu"
author = "The geospot_gpu authors"
copyright = "the geospot_gpu authors, MIT licence"
release = version = version_of("geospot_gpu")

extensions = [
    "matplotlib.sphinxext.plot_directive",
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx_gallery.gen_gallery",
    "sphinxcontrib.bibtex",
]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "geospot_gpu"
html_static_path = ["static"]
html_css_files = ["site.css"]

myst_enable_extensions = ["deflist", "dollarmath", "substitution"]
myst_heading_anchors = 4
myst_substitutions = substitutions()

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_default_options = {"members": True}
napoleon_numpy_docstring = False

bibtex_bibfiles = ["references.bib"]
bibtex_default_style = "plain"
bibtex_reference_style = "author_year"

plot_formats = [("svg", 100)]
plot_html_show_formats = False
plot_html_show_source_link = False

sphinx_gallery_conf = {
    "examples_dirs": str(HERE.parent / "examples" / "gallery"),
    "gallery_dirs": "gallery",
    "filename_pattern": r"\.py$",
    "within_subsection_order": "site_tables.place_of_example",
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "write_computation_times": False,
    "abort_on_example_error": True,
    "run_stale_examples": True,  # the package may have changed where the example has not
}


def of_scikit_learn(
    app: Sphinx, what: str, name: str, thing: Any, skip: bool, options: object
) -> bool | None:
    """Leave out methods that scikit-learn makes, whose texts refer to its own pages."""
    made = re.fullmatch(r"set_\w+_request|get_metadata_routing", name)
    return True if made else None


def setup(app: Sphinx) -> None:
    """What Sphinx asks for."""
    app.connect("autodoc-skip-member", of_scikit_learn)
