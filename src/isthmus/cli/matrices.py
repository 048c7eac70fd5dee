"""Matrices of numbers over all pairs of several modalities, on the terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import typer

from isthmus.cli.printing import print_line, print_table
from isthmus.utils.format import common_decimals, format_interval, number

if TYPE_CHECKING:
    from isthmus.diagnosis import PairwiseResults
    from isthmus.statistics.result import Estimate

#: Absolute value below which a cell of a matrix is zero.
ROUNDING = 1e-9


def print_matrices(results: PairwiseResults[Any], names: Sequence[str], modality_names: Sequence[str] = ()) -> None:
    """Print one matrix per name, and one table with the numbers of each single modality."""
    from isthmus.diagnosis import COMPONENTS

    definitions = COMPONENTS | {"total": "1 minus the mean cosine, the sum of these four components"}
    definitions |= {"reached": "share of the largest covariance of matching rows that the two clouds can have"}
    for name in names:
        print_line(f"{name}: {definitions[name]}" if name in definitions else name)
        typer.echo("\n".join(_matrix_lines(results, name)))
        for line in (*_evidence_lines(results.estimates(name)), ""):
            print_line(line)
    if modality_names:
        estimates = {name: results.per_modality(name) for name in modality_names}
        rows = [(name, *(_cell(e[modality]) for modality in results.names)) for name, e in estimates.items()]
        print_table(("of each modality", *results.names), rows)
        for name, by_modality in estimates.items():
            for line in _evidence_lines({(name, modality): e for modality, e in by_modality.items()}):
                print_line(line)
    if "R@1" in names:
        typer.echo("R@1: rows are queries, columns are searched.")
    if any(not math.isnan(e.null) for name in names for e in results.estimates(name).values()):
        typer.echo("null: the value expected by chance.")


def _matrix_lines(results: PairwiseResults[Any], name: str) -> list[str]:
    """Return a matrix as lines with right-aligned columns, and with the decimals of its narrowest interval."""
    estimates, names = results.estimates(name), results.names
    texts = {pair: _cell(estimate) for pair, estimate in estimates.items()}
    numbers = {pair for pair, text in texts.items() if text != "undefined"}
    decimals = common_decimals(texts[pair] for pair in numbers)
    if decimals is not None:
        texts |= {pair: f"{estimates[pair].value:z.{decimals}f}" for pair in numbers}
    cells = [["" if row == column else texts[row, column] for column in names] for row in names]
    rows = [("", *results.names), *((modality, *row) for modality, row in zip(results.names, cells, strict=True))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  " + "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows]


def _evidence_lines(estimates: Mapping[tuple[str, str], Estimate]) -> list[str]:
    """Return interval and null of each estimate, or why it is undefined. Both directions are one line if equal."""
    texts: dict[tuple[str, str], str] = {}
    for (row, column), estimate in estimates.items():
        if estimate.undefined:
            text = f"undefined: {estimate.undefined}"
        else:
            interval = format_interval(estimate.value, estimate.low, estimate.high)[1]
            null = "" if math.isnan(estimate.null) else f"null {_plain(estimate.null)}"
            text = "; ".join(filter(None, [interval and f"95 % {interval}", null]))
        if text and texts.get((column, row)) != text:
            texts[row, column] = text
    return [f"  {row}, {column}: {text}" for (row, column), text in texts.items()]


def _cell(estimate: Estimate) -> str:
    """Return a value with the digits of its interval."""
    if math.isnan(estimate.value):
        return "undefined"
    text, interval = format_interval(estimate.value, estimate.low, estimate.high)
    return text if interval else _plain(estimate.value)


def _plain(value: float) -> str:
    return number(value if abs(value) > ROUNDING else 0.0)
