"""The verbs demo and inspect."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from warnings import catch_warnings, filterwarnings

import typer

import isthmus
from isthmus.cli._common import DropBad, Index, Json, Key, modality_paths, open_pairs, print_verdict
from isthmus.cli.printing import print_line
from isthmus.cli.progress import OPENING, describe, stages
from isthmus.cli.reading import open_sources
from isthmus.utils.errors import InputError, IsthmusWarning
from isthmus.utils.format import counted
from isthmus.utils.paths import PAGE_SUFFIXES, check_output, check_writable_folder

if TYPE_CHECKING:
    from isthmus.data.sources import Source
    from isthmus.diagnosis import Explanation


def mount(app: typer.Typer) -> None:
    """Add the verbs to `app`."""
    for verb in (demo, inspect):
        app.command()(verb)


def demo(
    run: Annotated[str, typer.Option(help="plain, warm or collapsed; see `isthmus list runs`")] = "plain",
    output: Annotated[Path, typer.Option("-o", "--output", help="path of the page")] = Path("isthmus-demo.html"),
    export: Annotated[Path | None, typer.Option(help="also write the embeddings as .npy files to this folder")] = None,
    json_: Json = False,
) -> None:
    """Run a complete example on data of the package: embeddings of handwritten digits and their captions.

    The recommended correction comes first. The commands for your own files come last. No browser is opened.
    """
    if export is not None:
        check_writable_folder(export)
    check_output(output, PAGE_SUFFIXES, "a page")
    exported = [] if export is None else [str(path) for path in isthmus.demo.export(export, run)]
    from isthmus.reporting.demo_predictions import demo_sections

    title = f"Digits and captions: the run '{run}'"
    test_pairs, train_pairs = isthmus.demo.load(run, split="test"), isthmus.demo.load(run, split="train")
    with (
        stages(f"measuring {counted(test_pairs.n_pairs, 'held-out pair')} of the run {run!r}", quiet=json_),
        catch_warnings(),
    ):
        filterwarnings("ignore", ".* rows are distinct", IsthmusWarning)  # the page says that captions repeat
        explanation = isthmus.report(test_pairs, output, fit=train_pairs, title=title, extra=demo_sections(run))
    if json_:
        heading = {"run": run, "page": str(output), "exported": exported, "verdict": explanation.verdict}
        typer.echo(json.dumps(heading | explanation.result.to_dict(), indent=1))
        return
    print_verdict(explanation)
    for path in exported:
        typer.echo(f"Wrote {path}")
    typer.echo(f"\nThe page: {output.resolve()}\n\nThe same on your own files, one row for each item:")
    for line in _own_commands(explanation):
        typer.echo(f"  {line}")


def _own_commands(explanation: Explanation) -> list[str]:
    """Return the commands that repeat the report on files, and that fit and apply the recommended correction."""
    from isthmus.diagnosis import best_row
    from isthmus.reporting.recommended_commands import commands

    own = ["isthmus report image.npy text.npy -o gap.html"]
    recommended = best_row(explanation.comparison) if explanation.comparison else None
    return own if recommended is None else own + commands(recommended, ("image", "text"))["shell"].splitlines()


def inspect(
    paths: Annotated[list[str], typer.Argument(help="one or more embedding files or folders of shards")],
    index: Index = None,
    key: Key = None,
    drop_bad: DropBad = False,
    json_: Json = False,
) -> None:
    """Report shape, dtype, norms, invalid rows, duplicates, and whether two files look paired."""
    from isthmus.data.grouping import MAX_ROWS, MIN_DISTINCT_ROWS, group_equal_rows
    from isthmus.diagnosis.inspection import inspect as inspect_source
    from isthmus.diagnosis.inspection import inspect_pair
    from isthmus.statistics.near_copies import NEAR_COPIES
    from isthmus.statistics.pairing import first_pairs, judge_items, looks_paired

    paths = modality_paths(paths)
    is_by_position = key is None and index is None
    if len(paths) != 2:
        for option, value in (("--index", index), ("--key", key), ("--drop-bad", drop_bad or None)):
            if value is not None:
                raise InputError(f"{option}: got {counted(len(paths), 'path')}, expected two")
    pairs = None
    with stages(OPENING, quiet=json_):
        sources = open_sources(paths)
        if not is_by_position or (drop_bad and sources[0].shape[0] == sources[1].shape[0]):
            names = ",".join(name.replace(",", " ") for name in _names_of(sources))
            options: dict[str, Any] = {"index": index, "drop_bad": drop_bad, "as_is": is_by_position}
            pairs = open_pairs(paths[0], paths[1], names, key, same_dim=False, **options)
        describe("reading")
        pairing = cosines = None
        if len(sources) == 2:
            *inspections, cosines = inspect_pair(*sources)
            cosines = cosines if is_by_position else None  # row i and row i are no pair where a key pairs the rows
        else:
            inspections = [inspect_source(source) for source in sources]
        if pairs is None and len(sources) == 2 and sources[0].shape == sources[1].shape:
            pairs = isthmus.Pairs(x=sources[0], y=sources[1])
        if pairs is not None:
            if is_by_position and pairs.n_pairs <= MAX_ROWS:
                pairs = group_equal_rows(pairs)  # a file repeats the row of an image beside each of its captions
            pairing = judge_items(pairs, names=_names_of(sources))
        elif len(sources) == 2:
            pairing = looks_paired(*sources, names=_names_of(sources))
        two_sources = [pair for pair in combinations(sources, 2) if len(sources) > 2 and pair[0].shape == pair[1].shape]
        pairings = {
            _names_of(pair): looks_paired(*first_pairs(isthmus.Pairs(x=pair[0], y=pair[1])), names=_names_of(pair))
            for pair in two_sources
        }
    if json_:
        content = {
            "format": 1,
            "version": isthmus.__version__,
            "sources": [inspection.to_dict() for inspection in inspections],
            "cosines": cosines.to_dict() if cosines else None,
            "pairing": pairing.to_dict() if pairing else None,
            "pairings": {",".join(names): judgement.to_dict() for names, judgement in pairings.items()},
        }
        typer.echo(json.dumps(content, indent=1))
        return
    from isthmus.utils.format import number

    for inspection in inspections:
        typer.echo(f"{inspection.where} ({inspection.format})")
        typer.echo(f"  shape       {inspection.rows:,} x {inspection.width:,}, {inspection.dtype}")
        norms = (number(inspection.norm_low), number(inspection.norm_high), number(inspection.norm_mean))
        typer.echo("  norms       {} to {}, mean {}".format(*norms))
        typer.echo(f"  NaN or inf  {_rows(inspection.non_finite, inspection.non_finite_rows)}")
        if inspection.ragged:
            listed = _rows(inspection.ragged, inspection.ragged_rows)
            print_line(f"  lengths     not {inspection.width:,} numbers in {listed} (read as NaN)")
        typer.echo(f"  all zeros   {_rows(inspection.zero, inspection.zero_rows)}")
        scope = "" if inspection.rows_compared == inspection.rows else f" among the first {inspection.rows_compared:,}"
        duplicates = counted(inspection.duplicates, "row")
        typer.echo(f"  duplicates  {duplicates if inspection.duplicates else 'none'}{scope}")
        if inspection.collapse:
            print_line(f"  collapse    {inspection.collapse}")
    if cosines and cosines.pairs:
        low, high, mean = (f"{value:z.3f}" for value in (cosines.low, cosines.high, cosines.mean))
        print_line(
            f"Cosines of row i with row i: {low} to {high}, mean {mean}, over all "
            f"{counted(cosines.pairs, 'usable pair')}"
        )
    for (x, y), judgement in pairings.items():
        print_line(f"Paired, {x} and {y}? {judgement.reason}")
    if pairing:
        print_line(f"Paired? {pairing.reason}")
        rows, widths = ({getattr(inspection, name) for inspection in inspections} for name in ("rows", "width"))
        if len(rows) > len(widths) == 1 and not pairing.breaks and is_by_position:
            print_line(
                "Two sets without pairs are measured by `isthmus measure --unpaired`, and rows with class texts and "
                "labels by `isthmus zero-shot`."
            )
        for inspection, name in zip(inspections, _names_of(sources), strict=True):
            usable = inspection.rows - inspection.non_finite - inspection.zero
            distinct = usable - inspection.duplicates
            if inspection.rows_compared == inspection.rows and usable > distinct >= MIN_DISTINCT_ROWS:
                kind = "rows" if usable == inspection.rows else "usable rows"
                print_line(
                    f"Repeats: {distinct:,} of {usable:,} {kind} of {name} are distinct. Measures count equal rows as "
                    "one row with several matches."
                )
        for entry in pairing.degenerate:
            if entry.kind == NEAR_COPIES:
                print_line(f"Near copies: {entry.message}")


def _names_of(sources: Sequence[Source]) -> tuple[str, str]:
    """Return the names of two files without their folders, or of their order if these are the same."""
    names = [Path(source.address).name for source in sources]
    return ("the first source", "the second source") if names[0] == names[1] else (names[0], names[1])


def _rows(count: int, first: list[int]) -> str:
    """Return the number of rows and the first of them, or 'none'."""
    if not count:
        return "none"
    listed = ", ".join(map(str, first)) + (", ..." if count > len(first) else "")
    return f"{counted(count, 'row')}: {listed}"
