"""Results as tables: frames, Arrow streams, CSV, Markdown, LaTeX and notebooks, from one set of columns."""

from __future__ import annotations

import csv
import html
import importlib
import importlib.util
import io
import json
import math
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from isthmus.utils.errors import InputError
from isthmus.utils.files import FORMAT_VERSION, atomic_path
from isthmus.utils.format import counted, format_interval, number
from isthmus.utils.paths import check_suffix
from isthmus.utils.version import __version__

#: Module that draws results. It lies in a higher layer, so it is imported by name on use.
FIGURES = "isthmus.reporting.plot"
#: Libraries of data frames in the order in which `Tabular.to_frame` looks for them.
FRAME_LIBRARIES = ("pandas", "polars", "pyarrow")
#: File suffixes that `Tabular.save` writes, with the method that makes the text.
SUFFIXES = {".json": "to_json", ".csv": "to_csv", ".md": "to_markdown", ".tex": "to_latex"}
#: Rows of a table that a notebook shows.
NOTEBOOK_ROWS = 60
_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
}  # fmt: skip


class Tabular(ABC):
    """Result that is a table, a JSON file and a figure.

    A subclass sets `kind` and defines `columns`, `to_dict` and `from_dict`. All other forms follow from these. Two
    results are equal if they are of one class and their JSON files are equal.
    """

    #: Name of the class in JSON files.
    kind: ClassVar[str]

    @abstractmethod
    def columns(self) -> dict[str, list[Any]]:
        """Return the table as columns of one length.

        Returns
        -------
        dict of str to list
            Numbers and texts. Absent numbers are NaN and absent texts are empty.
        """

    def display_columns(self) -> dict[str, list[Any]]:
        """Return the columns that Markdown, LaTeX and notebooks show.

        Returns
        -------
        dict of str to list
            Those of `columns`, unless a class of long tables shows one line for each of its subjects.
        """
        return self.columns()

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values.

        Returns
        -------
        dict
            Content of `to_json`.
        """

    @classmethod
    @abstractmethod
    def from_dict(cls, content: Mapping[str, Any], /) -> Any:
        """Return the result that `save` wrote.

        Parameters
        ----------
        content : mapping
            Content of the JSON file.

        Returns
        -------
        Tabular
            The result.
        """

    def to_json(self) -> str:
        """Return the result as valid JSON.

        Returns
        -------
        str
            JSON text. Numbers that are absent or undefined are null.
        """
        return json.dumps(self.to_dict(), indent=1, allow_nan=False)

    def to_frame(self, library: str | None = None) -> Any:
        """Return the table as a data frame.

        Parameters
        ----------
        library : {'pandas', 'polars', 'pyarrow'}, optional
            Library of the frame. Default: the first of these that is installed.

        Returns
        -------
        DataFrame or Table
            One row for each row of the table, with the columns of `columns`.

        Raises
        ------
        InputError
            If the library is unknown or not installed.
        """
        import narwhals

        installed = [name for name in FRAME_LIBRARIES if importlib.util.find_spec(name) is not None]
        chosen = library or next(iter(installed), None)
        if chosen not in FRAME_LIBRARIES and chosen is not None:
            raise InputError(f"library={library!r}, expected one of {', '.join(FRAME_LIBRARIES)}")
        if chosen not in installed:
            raise InputError(f"to_frame needs {chosen or 'pandas or polars'}; run `pip install {chosen or 'pandas'}`")
        backend: Any = chosen
        return narwhals.from_dict(self.columns(), backend=backend).to_native()

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """Return the table as an Arrow stream (PyCapsule), so that any Arrow library reads it."""
        for library in ("pyarrow", "polars", "pandas"):
            if importlib.util.find_spec(library) is not None:
                return self.to_frame(library).__arrow_c_stream__(requested_schema)
        raise InputError("an Arrow stream needs pyarrow; run `pip install isthmus[parquet]`")

    def to_csv(self) -> str:
        """Return the table as CSV with a header.

        Returns
        -------
        str
            Numbers in full precision. Absent values are empty.
        """
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        columns = self.columns()
        writer.writerow(columns)
        for row in zip(*columns.values(), strict=True):
            writer.writerow("" if _is_absent(value) else value for value in row)
        return buffer.getvalue()

    def to_markdown(self) -> str:
        """Return the table for people as Markdown.

        Returns
        -------
        str
            Numbers with the digits that their interval supports.
        """
        header, rows = display_table(self.display_columns())
        lines = [header, ["---"] * len(header), *rows]
        return "\n".join("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines) + "\n"

    def to_latex(self) -> str:
        r"""Return the table for people as a LaTeX `tabular` with the rules of booktabs.

        Returns
        -------
        str
            Numbers with the digits that their interval supports. The document needs `\usepackage{booktabs}`.
        """
        header, rows = display_table(self.display_columns())
        numeric = _numeric_titles(self.display_columns())
        alignment = "".join("r" if title in numeric else "l" for title in header)
        lines = [" & ".join(map(_escape_latex, line)) + r" \\" for line in (header, *rows)]
        body = [rf"\begin{{tabular}}{{{alignment}}}", r"\toprule", lines[0], r"\midrule", *lines[1:], r"\bottomrule"]
        return "\n".join([*body, r"\end{tabular}", ""])

    def save(self, path: str | os.PathLike[str], /) -> None:
        """Write the result as JSON, CSV, Markdown or LaTeX, atomically.

        Parameters
        ----------
        path : str or path-like
            File that ends in .json, .csv, .md or .tex. `isthmus.load` reads JSON again.

        Raises
        ------
        InputError
            If the file name ends in something else.
        """
        check_suffix(path, SUFFIXES, "a result")
        suffix = Path(path).suffix.lower()
        if suffix == ".json":
            file_text = json.dumps(self._saved(), indent=1, allow_nan=False) + "\n"
        else:
            file_text = getattr(self, SUFFIXES[suffix])()
        with atomic_path(path) as temporary:
            temporary.write_text(file_text, encoding="utf-8", newline="\n")

    def plot(self, figure: str | None = None, /, *, ax: Any = None) -> Any:
        """Draw a figure of this result.

        Parameters
        ----------
        figure : str, optional
            Name of a function in `isthmus.plot` that takes this result. Default: the first that fits.
        ax : matplotlib.axes.Axes, optional
            Axes to draw on. Default: new axes in the style of the report.

        Returns
        -------
        matplotlib.axes.Axes
            The axes.

        Raises
        ------
        InputError
            If no figure of this name shows such a result.
        """
        return importlib.import_module(FIGURES).draw_result(self, figure, ax=ax)

    def _saved(self) -> dict[str, Any]:
        """Return the content of a JSON file, from which `from_dict` makes the result again."""
        return {"format": FORMAT_VERSION, "kind": self.kind, "version": __version__, **self.to_dict()}

    def _repr_html_(self) -> str:
        """Return the head of the table for a notebook."""
        header, rows = display_table(self.display_columns())
        titles = "".join(f"<th style='text-align:left'>{html.escape(title)}</th>" for title in header)
        cells = (
            "".join(f"<td style='text-align:left'>{html.escape(cell)}</td>" for cell in row)
            for row in rows[:NOTEBOOK_ROWS]
        )
        body = "".join(f"<tr>{line}</tr>" for line in cells)
        hidden = len(rows) - NOTEBOOK_ROWS
        caption = f"<p>{counted(hidden, 'more row')} in .to_frame()</p>" if hidden > 0 else ""
        return f"<table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table>{caption}"

    def __iter__(self) -> Iterator[Any]:
        """Iterate over the rows of the table as dictionaries, unless a class is a collection of something else."""
        columns = self.columns()
        return (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Tabular) or type(other) is not type(self):
            return NotImplemented
        return json.dumps(self._saved(), sort_keys=True) == json.dumps(other._saved(), sort_keys=True)


def read_result(path: Path, classes: Mapping[str, type[Tabular]], expected: str, /) -> Any:
    """Return the result that `Tabular.save` wrote as JSON.

    Parameters
    ----------
    path : Path
        A readable file.
    classes : mapping of str to type
        Classes of results that are accepted, by their `kind`.
    expected : str
        What the file should hold, for messages.

    Returns
    -------
    Tabular
        The result.

    Raises
    ------
    InputError
        If the file is not JSON, holds something else, or has a newer format.

    Examples
    --------
    >>> import isthmus, pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "result.json"
    >>> isthmus.Result({"gap": isthmus.Estimate(1.0)}).save(path)
    >>> read_result(path, {"result": isthmus.Result}, "a result")["gap"].value
    1.0
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, UnicodeDecodeError):
        raise InputError(f"{path}: not valid JSON; expected {expected}") from None
    if not isinstance(content, dict) or content.get("kind") not in classes:
        raise InputError(f"{path}: holds something else; expected {expected}")
    kind = content["kind"]
    try:
        if content["format"] > FORMAT_VERSION:
            versions = f"has format {content['format']}, this version reads up to {FORMAT_VERSION}"
            raise InputError(f"{path}: {versions}; update isthmus")
        return classes[kind].from_dict(content)
    except InputError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path}: a part of this {kind} is missing or wrong ({error}); save it again") from None


def display_table(columns: Mapping[str, Sequence[Any]], /) -> tuple[list[str], list[list[str]]]:
    """Return a table for people: the interval is one column and numbers are short.

    Parameters
    ----------
    columns : mapping of str to sequence
        Columns of one length. 'low' and 'high' become '95 % interval', and 'value', 'change' or 'accuracy' has its
        digits.

    Returns
    -------
    header : list of str
        Titles of the columns that hold something.
    rows : list of list of str
        Cells as text.

    Examples
    --------
    >>> display_table({"name": ["fisher_ratio"], "value": [0.38123], "low": [0.3681], "high": [0.3912], "note": [""]})
    (['name', 'value', '95 % interval'], [['fisher_ratio', '0.381', '0.368 to 0.391']])
    """
    shown = dict(columns)
    if "plugin" in shown:  # the published form, where it differs from the value
        both = zip(shown["plugin"], shown["value"], strict=True)
        shown["plugin"] = [math.nan if plugin == value else plugin for plugin, value in both]
    if "low" in shown and "high" in shown:
        estimated = next(title for title in ("change", "value", "accuracy") if title in shown)
        intervals = [format_interval(*ends) for ends in zip(shown[estimated], shown["low"], shown["high"], strict=True)]
        shown[estimated] = [value for value, _ in intervals]
        if (centred := f"centred_{estimated}") in shown:  # as many decimals as the value beside it
            cells = zip(shown[centred], shown[estimated], strict=True)
            shown[centred] = [_with_decimals_of(value, beside) for value, beside in cells]
        shown = {("95 % interval" if title == "low" else title): cells for title, cells in shown.items()}
        shown["95 % interval"] = [ends for _, ends in intervals]
        del shown["high"]
    if not any(shown.get("sampled", ())):  # no number is one of a sample
        shown.pop("sampled", None)
    shown = {title: cells for title, cells in shown.items() if not all(map(_is_absent, cells))}
    return list(shown), [[_cell(value) for value in row] for row in zip(*shown.values(), strict=True)]


def _with_decimals_of(value: Any, text: str) -> Any:
    """Return a number as text with the decimals of another one, or as it is if it is absent."""
    return value if _is_absent(value) or not text else f"{value:.{len(text.partition('.')[2])}f}"


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return " ".join(value.split())
    if isinstance(value, float):
        return "" if math.isnan(value) else number(value)
    return str(value)


def _is_absent(value: Any) -> bool:
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def _numeric_titles(columns: Mapping[str, Sequence[Any]]) -> set[str]:
    return {title for title, cells in columns.items() if cells and not any(isinstance(cell, str) for cell in cells)}


def _escape_latex(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text)
