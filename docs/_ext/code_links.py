"""Link code in the pages to the reference, and links to files outside of this folder to their pages."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.nodes import make_refnode

#: Files in the root of the repository that are pages of the site.
ROOT_PAGES = {"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}


def link_root_pages(app: Any, docname: str, source: list[str]) -> None:
    """Replace links to files in the root of the repository by links to their pages."""
    depth = docname.count("/")
    for file, target in ROOT_PAGES.items():
        source[0] = source[0].replace(f"]({'../' * (depth + 1)}{file}", f"]({'../' * depth}{target}")


class LinkCode(SphinxPostTransform):
    """Link code that is the full name of a documented object, such as `isthmus.measure`, to its entry."""

    default_priority = 900

    def run(self, **kwargs: Any) -> None:
        """Link all literals of the page."""
        objects = self.env.domains["py"].objects
        for literal in list(self.document.findall(nodes.literal)):
            name = re.sub(r"\(.*\)$", "", literal.astext(), flags=re.DOTALL)
            entry = objects.get(name) or objects.get(f"isthmus.{name}")
            parents = (nodes.reference, nodes.title)
            if entry is None or "." not in name or isinstance(literal.parent, parents):
                continue
            link = make_refnode(self.app.builder, self.env.docname, entry.docname, entry.node_id, literal.deepcopy())
            literal.replace_self(link)


def setup(app: Any) -> dict[str, bool]:
    """Register the extension."""
    app.connect("source-read", link_root_pages)
    app.add_post_transform(LinkCode)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
