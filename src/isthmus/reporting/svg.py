"""Convert matplotlib figures to SVG elements for a page or for a file of their own."""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from isthmus.reporting.drawing import DARK, FAMILY, INK, VARIABLES, with_report_style

#: Shortest run of equal markers that becomes one path. A marker then takes a tenth of its bytes.
MIN_RUN = 8
#: Control characters, and characters that reverse the direction of text. Names, titles and paths may hold them.
UNSAFE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_REFERENCE = re.compile(r"url\(#([^)]+)\)")


def figure_to_svg(fig: Any, name: str, /, *, label: str, colours: Mapping[str, str] = VARIABLES) -> str:
    """Return a matplotlib figure as an inline `<svg>` element, saved with the current matplotlib settings.

    Parameters
    ----------
    fig : matplotlib.figure.Figure
        The figure.
    name : str
        Prefix of all ids, because the ids of all figures of a page share one namespace.
    label : str
        Text alternative.
    colours : mapping of str to str, default: the CSS variables of the report
        Hexadecimal colour -> CSS value that replaces it.

    Returns
    -------
    str
        The element, without XML declaration, comments, metadata and namespaces.
    """
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": name}):
        fig.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    root = ElementTree.fromstring(UNSAFE.sub("", buffer.getvalue()))
    for parent in list(root.iter()):
        for child in list(parent):
            if _local(child.tag) == "metadata":
                parent.remove(child)
    for element in root.iter():
        _simplify(element, colours)
    _prefix_ids(root, name)
    numbers = itertools.count()
    for parent in list(root.iter()):
        _merge_markers(parent, numbers)
    content = Element("svg", {"viewBox": root.attrib["viewBox"], "role": "img", "aria-label": label})
    content.extend(root)
    _break_lines(content)
    return ElementTree.tostring(content, encoding="unicode").strip()


inline_svg = with_report_style(figure_to_svg)


def standalone_svg(svg: str, /) -> str:
    """Return the result of `inline_svg` as the text of an SVG file, with the colours of both schemes."""

    def scheme(colours: Mapping[str, str]) -> str:
        names = "".join(f"{v[4:-1]}:{colours[k]};" for k, v in VARIABLES.items() if v.startswith("var("))
        return f"svg{{color:{colours[INK]};{names}}}"

    root = ElementTree.fromstring(svg)
    _, _, width, height = root.attrib["viewBox"].split()
    style = Element("style")
    style.text = f"{scheme({k: k for k in VARIABLES})}@media (prefers-color-scheme: dark){{{scheme(DARK)}}}"
    background = Element("rect", {"width": width, "height": height, "rx": "10", "style": "fill: var(--paper)"})
    root.attrib = {"xmlns": "http://www.w3.org/2000/svg", "width": width, "height": height, **root.attrib}
    root[:0] = [style, background]
    _break_lines(root)
    return ElementTree.tostring(root, encoding="unicode").strip() + "\n"


def _local(name: str) -> str:
    """Return a tag or attribute name without its namespace."""
    return name.rpartition("}")[2]


def _simplify(element: Element, colours: Mapping[str, str]) -> None:
    """Remove namespaces, replace colours, and set the font family."""
    element.tag = _local(element.tag)
    attributes = {_local(name): value for name, value in element.attrib.items()}
    if "style" in attributes:
        attributes["style"] = _with_family(attributes["style"])
    for name in set(attributes) - {"href"}:
        for colour, replacement in colours.items():
            attributes[name] = attributes[name].replace(colour, replacement)
    element.attrib = attributes


def _with_family(style: str) -> str:
    """Return a style attribute with our font family. Versions of matplotlib write `font:` or `font-family:`."""
    declarations = []
    for declaration in style.split(";"):
        property_name, _, value = declaration.partition(":")
        if property_name.strip() == "font":
            value = value.partition("'")[0] + FAMILY
        elif property_name.strip() == "font-family":
            value = f" {FAMILY}"
        declarations.append(f"{property_name}:{value}" if value else property_name)
    return ";".join(declarations)


def _prefix_ids(root: Element, name: str) -> None:
    """Remove ids that nothing refers to and prefix the other ones and their references."""
    referenced = set()
    for element in root.iter():
        for attribute, value in element.attrib.items():
            if attribute == "href" and value.startswith("#"):
                referenced.add(value[1:])
            referenced.update(_REFERENCE.findall(value))
    for element in root.iter():
        for attribute, value in list(element.attrib.items()):
            if attribute == "id":
                del element.attrib["id"]
                if value in referenced:
                    element.set("id", f"{name}-{value}")
            elif attribute == "href" and value.startswith("#"):
                element.set("href", f"#{name}-{value[1:]}")
            else:
                element.set(attribute, _REFERENCE.sub(rf"url(#{name}-\1)", value))


def _merge_markers(parent: Element, numbers: Iterator[int]) -> None:
    """Replace runs of equal `<use>` siblings by one path whose vertices carry a numbered SVG marker."""
    children: list[Element] = []
    for key, elements in _runs(parent):
        if key is None or len(elements) < MIN_RUN:
            children += elements
            continue
        href, style = key
        identifier = f"{href[1:]}-{next(numbers)}"
        marker = Element("marker", {"id": identifier, "overflow": "visible", "markerUnits": "userSpaceOnUse"})
        marker.append(Element("use", {"href": href, "style": style}))
        vertices = " ".join(f"{float(e.attrib['x']):.1f} {float(e.attrib['y']):.1f}" for e in elements)
        path = {"d": f"M{vertices}", "style": f"fill: none; stroke: none; marker: url(#{identifier})"}
        children += [marker, Element("path", path)]
    parent[:] = children


def _runs(parent: Element) -> Iterator[tuple[tuple[str, str] | None, list[Element]]]:
    """Yield the children of `parent` in runs of equal marker and style. Other elements have the key None."""

    def key(element: Element) -> tuple[str, str] | None:
        if element.tag != "use" or set(element.attrib) != {"href", "x", "y", "style"}:
            return None
        return element.attrib["href"], element.attrib["style"]

    for shared, elements in itertools.groupby(parent, key):
        yield shared, list(elements)


def _break_lines(root: Element) -> None:
    """Put each element on a line of its own. The content of text elements is not changed."""
    for element in root.iter():
        if element.tag in ("text", "tspan", "style"):
            continue
        if len(element):
            element.text = "\n"
        for child in element:
            child.tail = "\n"
