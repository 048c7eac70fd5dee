"""Helpers of the verb `apply`: several columns of a table, columns of a store, and codes."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import typer

from isthmus.cli.progress import stages
from isthmus.utils.errors import IsthmusWarning
from isthmus.utils.format import counted


def columns_of_table(rows: str, aligner: Any) -> dict[str, str]:
    """Return the columns of a table by modality, if they are of two or more modalities and no single one is chosen."""
    from isthmus.align._whole_table import table_columns
    from isthmus.data.sources import split_member

    path, member = split_member(rows)
    if member is not None and "," not in member:
        return {}
    columns = table_columns(path, (member or "").split(",") if member else (), aligner.modalities)
    return columns if len(columns) > 1 else {}


def apply_columns(
    aligner: Any, path: str, output: str, columns: dict[str, str], *, json_: bool, **options: Any
) -> None:
    """Align the columns of several modalities of a table."""
    from isthmus.align._whole_table import apply_to_table
    from isthmus.align.streaming import drift_warnings

    with stages("aligning", quiet=json_) as progress:
        applied = apply_to_table(aligner, path, output, columns, progress=progress, **options)
    if applied.n_dropped:
        message = f"{path}: left out {counted(applied.n_dropped, 'row')}: NaN, infinite or all zeros in a column"
        warnings.warn(message, IsthmusWarning, stacklevel=1)
    for modality, sample in applied.samples.items():
        for sentence in drift_warnings(aligner, sample, modality):
            warnings.warn(sentence, IsthmusWarning, stacklevel=1)
    if json_:
        content = {"path": output, "rows": applied.n_rows, "columns": applied.columns, "widths": applied.widths}
        typer.echo(json.dumps(content))
        return
    described = " and ".join(f"{column} ({applied.widths[name]} wide)" for name, column in applied.columns.items())
    typer.echo(f"Wrote {counted(applied.n_rows, 'row')} with aligned {described}: {output}")


def column_beside(rows: str, source: Any) -> str:
    """Return the address of the column beside the vectors of a store."""
    return f"{rows.partition('?')[0].partition('::')[0]}::{source.rows.table.address.column}_corrected"


def reading_option(codes: str, path: str, ranges: Path | None) -> str:
    """Return the option with which codes are read."""
    from isthmus.align._aligned_codes import ranges_path

    return "--bits" if codes == "binary" else f"--ranges {ranges or ranges_path(path)} --rounding down"
