"""Copy MathJax into the site, and check the site: every internal link leads to its target, and nothing is loaded."""

from __future__ import annotations

import shutil
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from sphinx.errors import ConfigError, ExtensionError

MATHJAX = Path(sys.prefix) / "node_modules" / "mathjax" / "es5" / "tex-svg.js"


class Page(HTMLParser):
    """Links, loaded files and anchors of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.loads: set[str] = set()
        self.anchors: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect the addresses of a tag."""
        values = dict(attrs)
        if values.get("id"):
            self.anchors.add(str(values["id"]))
        address = values.get("href") if tag in ("a", "link") else values.get("src")
        if address:
            (self.links if tag == "a" else self.loads).add(address)


def broken_links(site: Path) -> list[str]:
    """Return the links of a built site without a target, and the files that it loads from elsewhere."""
    pages = {path: Page(path) for path in sorted(site.rglob("*.html"))}
    problems = []
    for path, page in pages.items():
        for address in sorted(page.links | page.loads):
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                if address in page.loads and parts.scheme != "data":
                    problems.append(f"{path.relative_to(site)}: loads {address}")
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.exists():
                problems.append(f"{path.relative_to(site)}: {address} does not exist")
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
                problems.append(f"{path.relative_to(site)}: {address} has no such heading")
    return problems


def configure(app: Any, config: Any) -> None:
    """Load MathJax from the site itself."""
    config.mathjax_path = "tex-svg.js"
    config.mathjax3_config = {"options": {"enableMenu": False}}


def finish(app: Any, exception: Exception | None) -> None:
    """Copy MathJax, then check all pages."""
    if exception is not None or app.builder.name != "html":
        return
    site = Path(app.outdir).resolve()
    if not MATHJAX.exists():
        raise ConfigError(f"{MATHJAX} is missing; run `make docs`, which installs MathJax beside Sphinx")
    shutil.copyfile(MATHJAX, site / "_static" / MATHJAX.name)
    if problems := broken_links(site):
        raise ExtensionError("\n".join(["the built site has broken links:", *problems]))


def setup(app: Any) -> dict[str, bool]:
    """Register the extension."""
    app.connect("config-inited", configure, priority=900)
    app.connect("build-finished", finish, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
