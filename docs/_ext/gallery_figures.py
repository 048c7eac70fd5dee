"""Save the figures of the gallery as SVG."""

from __future__ import annotations

from typing import Any

from sphinx_gallery.scrapers import matplotlib_scraper


def save_svg(block: Any, block_vars: dict[str, Any], gallery_conf: dict[str, Any]) -> str:
    """Save the open figures of a block. The thumbnail is made from a PNG beside the SVG."""
    return matplotlib_scraper(block, block_vars, gallery_conf, format="svg", bbox_inches="tight")
