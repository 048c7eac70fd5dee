"""Write one page of the API reference for each public module, from the names that the module exports."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path
from typing import Any

#: Public modules in the order of the reference. A name is documented on the first page that exports it.
MODULES = {
    "isthmus": "Measure, explain and compare: the names of the package",
    "isthmus.align": "Corrections of rows and scores",
    "isthmus.metrics": "Measures and their registry",
    "isthmus.tasks": "Tasks that judge a correction",
    "isthmus.evaluation": "Comparison on held-out pairs, interventions, zero-shot classification",
    "isthmus.diagnosis": "Explanations, calibration of a cosine, comparison of models",
    "isthmus.plot": "Figures on a given axis",
    "isthmus.sources": "Formats and stores",
    "isthmus.data": "Pairs, keys, sets without pairs",
    "isthmus.demo": "The demonstration data",
    "isthmus.encode": "From a model to embeddings",
    "isthmus.train": "Losses, temperatures and the monitor",
    "isthmus.integrations": "Vector stores and training frameworks",
    "isthmus.theory": "Bounds, optima and the assumptions of the theorems",
    "isthmus.statistics": "Moments, estimates and intervals",
    "isthmus.linalg": "Principal angles, rotations, significance of directions",
    "isthmus.compute": "Threads, devices and clusters",
    "isthmus.testing": "Contract suites for extensions",
}


def _directive(name: str, value: Any) -> list[str]:
    """Return the directive that documents an object."""
    if inspect.isclass(value):
        return [f".. autoclass:: {name}", "   :members:", ""]
    if callable(value):
        return [f".. autofunction:: {name}", ""]
    return [f".. autodata:: {name}", "   :no-value:", ""]


def _summary(value: Any) -> str:
    """Return the first sentence of the docstring of an object."""
    text = " ".join((inspect.getdoc(value) or "").split("\n\n")[0].split())
    return _escape(re.split(r"(?<=[.:]) (?=[A-Z])", text)[0])


def page(module_name: str, documented: dict[int, str]) -> str:
    """Return the page of a module and add its names to `documented`."""
    module = importlib.import_module(module_name)
    rows, details = [], []
    for name in sorted(module.__all__, key=str.lower):
        value = getattr(module, name)
        path = f"{module_name}.{name}"
        if inspect.ismodule(value) or name.startswith("__") or path in MODULES:
            continue
        if not (inspect.isclass(value) or callable(value)):
            details += _directive(path, value)
            continue
        if id(value) not in documented:
            documented[id(value)] = path
            details += _directive(path, value)
        rows += [f"   * - :py:obj:`{name} <{documented[id(value)]}>`", f"     - {_summary(value)}"]
    title = f"``{module_name}``"
    lines = [title, "=" * len(title), "", f".. automodule:: {module_name}", "   :no-members:", ""]
    lines += [".. list-table::", "   :widths: 30 70", "", *rows, "", *details]
    return "\n".join(lines) + "\n"


def _escape(text: str) -> str:
    """Escape the characters of formulas that reStructuredText would read as markup, outside of backticks."""
    parts = re.split(r"(``.+?``|`[^`]*`_*)", text)
    for i in range(0, len(parts), 2):
        parts[i] = re.sub(r"[|*]|(?<=\w)_(?!\w)", lambda match: "\\" + match[0], parts[i])
    return "".join(parts)


def escape_formulas(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Escape the prose of a docstring. Examples, literal blocks and names of parameters stay as they are."""
    in_example, literal_indent = False, None
    for number, line in enumerate(lines):
        indent = len(line) - len(line.lstrip())
        if not line.strip():
            in_example = False
            continue
        if literal_indent is not None and indent > literal_indent:
            continue
        literal_indent = indent if line.rstrip().endswith("::") else None
        in_example = in_example or line.lstrip().startswith(">>>")
        if not in_example and " : " not in line:
            lines[number] = _escape(line)


def write_pages(app: Any) -> None:
    """Write all pages below `api/`, and leave a page that does not change."""
    folder = Path(app.srcdir) / "api"
    folder.mkdir(exist_ok=True)
    documented: dict[int, str] = {}
    pages = {f"{name}.rst": page(name, documented) for name in MODULES}
    toctree = "\n".join(f"   {name}" for name in MODULES)
    table = "\n".join(f"   * - :py:mod:`{name}`\n     - {text}" for name, text in MODULES.items())
    pages["index.rst"] = (
        "API reference\n=============\n\nEvery public name, from its docstring.\n\n"
        f".. list-table::\n   :widths: 30 70\n\n{table}\n\n.. toctree::\n   :hidden:\n\n{toctree}\n"
    )
    for path in folder.glob("*.rst"):
        if path.name not in pages:
            path.unlink()
    for name, text in pages.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def setup(app: Any) -> dict[str, bool]:
    """Register the extension."""
    app.connect("builder-inited", write_pages, priority=100)
    app.connect("autodoc-process-docstring", escape_formulas, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
