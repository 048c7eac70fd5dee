"""Settings of the documentation site: `make docs` builds it from the pages of this folder and from the docstrings."""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS / "_ext"))
os.environ.setdefault("MPLBACKEND", "agg")

import isthmus  # noqa: E402

project = "isthmus"
author = "The isthmus developers"
project_copyright = author
version = release = isthmus.__version__
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
    "api_pages",
    "code_links",
    "offline",
]
exclude_patterns = ["_gallery", "_ext", "_figures", "figures"]
suppress_warnings = ["config.cache"]  # the order of the gallery is a function

# Pages are Markdown. Links to headings are checked, which needs the anchors of all levels.
myst_enable_extensions = ["dollarmath", "colon_fence", "deflist"]
myst_heading_anchors = 4
myst_links_external_new_tab = False

# Docstrings follow numpydoc. A single backtick links a name that the reference documents, and is code otherwise.
default_role = "py:obj"
autodoc_typehints = "none"
autodoc_member_order = "bysource"
autosummary_generate = False
numpydoc_show_class_members = False
nitpick_ignore_regex = [("py:obj", "(?s).*"), ("py:class", ".*")]

# Blocks are copied without the prompts.
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

sphinx_gallery_conf = {
    "examples_dirs": "_gallery",
    "gallery_dirs": "gallery",
    "filename_pattern": r"\.py$",
    "image_scrapers": ("gallery_figures.save_svg",),
    "within_subsection_order": "FileNameSortKey",
    "download_all_examples": False,
    "show_signature": False,
    "show_memory": False,
    "write_computation_times": False,
    "min_reported_time": 3600,
    "remove_config_comments": True,
    "abort_on_example_error": True,
    "copyfile_regex": "",
    "capture_repr": (),  # a page shows its figure, and not the text of the last object
}
# Captions of the demonstration data repeat, which is no news on every page of the gallery.
warnings.filterwarnings("ignore", message=".* rows are distinct", category=isthmus.IsthmusWarning)

html_theme = "furo"
html_title = f"isthmus {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
