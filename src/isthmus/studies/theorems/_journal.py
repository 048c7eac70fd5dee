"""The journal of a run of all experiments: finished results as JSON lines, so that an interrupted run goes on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from isthmus.studies.theorems._experiment import ExperimentResult, Row
from isthmus.studies.theorems._style import figure_to_inline_svg
from isthmus.utils.format import number_from_json
from isthmus.utils.journal import Journal
from isthmus.utils.version import __version__

#: Fields of a result that are texts.
TEXTS = ("name", "title", "kind", "claim", "assumption", "verdict", "finding")


@contextmanager
def resumable(folder: Path, /, *, quick: bool = False) -> Iterator[Journal]:
    """Yield the journal of an interrupted run in a folder, or a new one. It is removed at the end of the block.

    Parameters
    ----------
    folder : pathlib.Path
        Folder of the page, created if it does not exist.
    quick : bool, default False
        Whether the experiments take fewer pairs, whose results are stored apart.

    Yields
    ------
    Journal
        Finished experiments. After an error or an interrupt it stays.
    """
    folder.mkdir(parents=True, exist_ok=True)
    journal = Journal(folder / ("theory-quick.jsonl" if quick else "theory.jsonl"), "theory", {"quick": quick})
    yield journal
    journal.path.unlink(missing_ok=True)


def stored_results(journal: Journal, /) -> dict[str, ExperimentResult]:
    """Return the results in a journal by name. Those of another version of the package run again."""
    lines = [line for line in journal.lines if line["version"] == __version__]
    return {line["name"]: result_of(line) for line in lines}


def journal_line(result: ExperimentResult, /) -> dict[str, Any]:
    """Return the values of `ExperimentResult.to_dict`, the text alternative and the figure, as JSON values."""
    svg = result.svg if result.draw is None else figure_to_inline_svg(result.draw, result.name, result.picture)
    return {**result.to_dict(), "version": __version__, "picture": result.picture, "svg": svg}


def result_of(line: Mapping[str, Any], /) -> ExperimentResult:
    """Return the result that `journal_line` stored. It has its figure as SVG."""
    rows = []
    for row in line["rows"]:
        values = (row["predicted"], row["measured"])
        predicted, measured = (v if isinstance(v, str) else number_from_json(v) for v in values)
        rows.append(Row(row["what"], row["relation"], predicted, measured, row["tolerance"], row["passed"]))
    return ExperimentResult(
        **{name: line[name] for name in TEXTS},
        rows=tuple(rows),
        numbers=line["numbers"],
        picture=line["picture"],
        seconds=line["seconds"],
        draw=None,
        svg=line["svg"],
    )
