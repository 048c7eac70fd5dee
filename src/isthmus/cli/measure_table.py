"""The table of measures in the terminal, with its legend and the remarks on single measures."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import typer

from isthmus.cli.printing import print_line, print_table
from isthmus.utils.format import counted, format_interval, number

if TYPE_CHECKING:
    from isthmus.statistics.result import Estimate

#: Measures that a remark names before it counts the others.
NAMED_MEASURES = 3
HEADER = ("measure", "value", "95 % interval", "plug-in", "null", "unit")
#: Columns that a narrow terminal does without, in this order.
OPTIONAL = ("plug-in", "unit")


def print_measures(estimates: Mapping[str, Estimate], families: Mapping[str, str], data: Mapping[str, Any]) -> None:
    """Print the estimates by family, what the columns hold, and the remarks on single measures.

    `data` is the provenance of the result, whose numbers of items or of rows of each set stand beside a sample.
    """
    rows: list[tuple[str, ...]] = []
    for family in dict.fromkeys(families[name] for name in estimates):
        rows.append((family.upper(), "", "", "", "", ""))
        rows += [_table_row(name, e) for name, e in estimates.items() if families[name] == family]
    hidden = print_table(HEADER, rows, optional=OPTIONAL)
    if sampled := max((e.sampled for e in estimates.values()), default=0):
        typer.echo("")
        sample = f"a random sample of {sampled:,} of {data['items']:,} items (--sample)"
        if data["pairing"]["by"] == "none":
            sizes = " and ".join(f"{size:,} of {name}" for name, size in data["pairing"]["rows"].items())
            sample = f"{sampled:,} random rows of each set, of {sizes} (--sample)"
        without_interval = sum(bool(e.sampled) and math.isnan(e.low) for e in estimates.values())
        error = "The interval includes the sampling error, and --json states its standard error"
        if without_interval:
            error += f". Without an interval there is none ({counted(without_interval, 'number')})"
        print_line(f"*: from {sample}. {error}.")
    _print_legend(estimates, hidden=hidden)
    _print_remarks(estimates)


def _table_row(name: str, e: Estimate) -> tuple[str, ...]:
    value, interval = format_interval(e.value, e.low, e.high)
    value = "undefined" if e.undefined else value or number(e.value)
    value += " *" if e.sampled else ""
    return f"  {name}", value, interval, e.plugin_text, "" if math.isnan(e.null) else number(e.null), e.unit


def _print_legend(estimates: Mapping[str, Estimate], *, hidden: list[str]) -> None:
    """Print what the columns null and plug-in hold, if one of these measures has them."""
    columns = []
    if any(not math.isnan(e.null) for e in estimates.values()):
        columns.append("null: the value expected by chance.")
    if "plug-in" not in hidden and any(e.plugin_text for e in estimates.values()):
        columns.append("plug-in: the published formula, whose sampling bias the value does not have.")
    if hidden:
        columns.append(f"Not shown in this narrow terminal: {' and '.join(hidden)}.")
    if columns:
        typer.echo("")
        print_line(" ".join(columns))


def _print_remarks(estimates: Mapping[str, Estimate]) -> None:
    """Print each reason and note once, with the measures that it is about."""
    remarks: dict[str, list[str]] = {}
    for name, e in estimates.items():
        no_interval = e.no_interval and not e.undefined and f"no interval: {e.no_interval}"
        for remark in (e.undefined and f"undefined: {e.undefined}", e.note, no_interval):
            if remark:
                remarks.setdefault(remark, []).append(name)
    if remarks:
        typer.echo("")
    for remark, measures in remarks.items():
        # "and 1 more" would be as long as a name.
        named = measures if len(measures) <= NAMED_MEASURES + 1 else measures[:NAMED_MEASURES]
        more = f" and {len(measures) - len(named)} more" if len(named) < len(measures) else ""
        print_line(f"{', '.join(named)}{more}: {remark}")
