"""The verbs `compare`, `compare-merge` and `intervene` of the command line."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import isthmus
from isthmus.cli._common import (
    AsIs,
    ClassTexts,
    DropBad,
    Index,
    Json,
    Key,
    Labels,
    Names,
    Raw,
    SampleOfItems,
    open_pairs,
    read_class_texts,
    two_paths,
)
from isthmus.cli.printing import print_bullets, print_line, print_table
from isthmus.cli.progress import OPENING, describe, is_quiet, stages
from isthmus.utils.errors import InputError
from isthmus.utils.files import atomic_path
from isthmus.utils.format import counted, fixed
from isthmus.utils.paths import check_output, check_writable
from isthmus.utils.tabular import SUFFIXES

if TYPE_CHECKING:
    from isthmus.evaluation import Comparison, Summary

Seed = Annotated[int, typer.Option("--seed", help="seed of the splits and of all random numbers")]
Outputs = Annotated[
    list[Path] | None, typer.Option("-o", "--output", help="page (.html), .json, .csv, .md or .tex; may be repeated")
]
_SUFFIXES = (".html", *SUFFIXES)


def mount(app: typer.Typer) -> None:
    """Add the verbs to `app`."""
    app.command()(compare)
    app.command("compare-merge")(compare_merge)
    app.command()(intervene)


def compare(
    x: Annotated[str, typer.Argument(help="embeddings of the first modality")],
    y: Annotated[str | None, typer.Argument(help="embeddings of the second modality")] = None,
    output: Outputs = None,
    aligners: Annotated[str | None, typer.Option(help="comma-separated names; see `isthmus list aligners`")] = None,
    tasks: Annotated[
        str | None,
        typer.Option(
            help="comma-separated names, or all; see `isthmus list tasks`. Default: retrieval,mixed_search, and "
            "two_sided_search with several captions, or labels of at most ten items each"
        ),
    ] = None,
    splits: Annotated[int, typer.Option(help="number of random halves")] = 5,
    seed: Seed = 0,
    fit: Annotated[
        tuple[str, str] | None, typer.Option("--fit", help="fit on these two files, evaluate on X and Y")
    ] = None,
    sweep: Annotated[
        list[str] | None, typer.Option(help="values of an option, such as energy=0.9,0.95,0.99; may be repeated")
    ] = None,
    fit_sizes: Annotated[
        str | None, typer.Option(help="also vary the number of items in the fit, such as 50,100,250")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(help="journal (.jsonl) of finished trials; an interrupted run continues from it")
    ] = None,
    sample: SampleOfItems = None,
    labels: Labels = None,
    class_texts: ClassTexts = None,
    index: Index = None,
    key: Key = None,
    names: Names = None,
    drop_bad: DropBad = False,
    as_is: AsIs = False,
    json_: Json = False,
    raw: Raw = False,
) -> None:
    """Evaluate corrections (aligners) on held-out pairs: scores, and their changes from the raw embeddings."""
    for path in output or []:
        check_output(path, _SUFFIXES, "a comparison", [x, y, *(fit or ()), labels, class_texts, index])
    if resume is not None:
        check_writable(resume)
    reading: dict[str, Any] = {"drop_bad": drop_bad, "as_is": as_is, "normalize": not raw}
    if tasks is not None and not json_:
        _announce_work(_items(tasks, "--tasks"))
    with stages(OPENING, quiet=json_):
        pairs = open_pairs(*two_paths(x, y), names, key, labels=labels, index=index, **reading)
        describe("comparing corrections")
        table = isthmus.compare(
            pairs,
            aligners=None if aligners is None else _items(aligners, "--aligners"),
            tasks=None if tasks is None else _items(tasks, "--tasks"),
            fit=None if fit is None else open_pairs(*fit, names, key, **reading),
            splits=splits,
            rng=seed,
            normalize=not raw,
            sweep=_parse_sweep(sweep or []),
            fit_sizes=None if fit_sizes is None else [_parse_size(size) for size in _items(fit_sizes, "--fit-sizes")],
            class_texts=read_class_texts(class_texts, pairs),
            journal=resume,
            sample=sample,
        )
    _report([table], output, json_)


def _announce_work(tasks: list[str]) -> None:
    """Print which tasks take long, and what they do."""
    from isthmus.tasks import select_tasks

    for task in select_tasks(tasks):
        if task.work and not is_quiet():
            typer.echo(f"isthmus: the task {task.name} {task.work}, for each correction and split", err=True)


def compare_merge(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN.json...", help="files written by `isthmus compare -o`")],
    output: Outputs = None,
    json_: Json = False,
) -> None:
    """Merge saved comparisons: runs of the same pairs and settings become one table."""
    from isthmus.evaluation import load_comparison, merge

    for path in output or []:
        check_output(path, _SUFFIXES, "a comparison")
    tables = merge([load_comparison(path) for path in runs])
    for path in output or []:
        if len(tables) > 1 and path.suffix.lower() != ".csv":
            raise InputError(f"{path}: the files hold {len(tables)} different runs; only a .csv can hold several")
    _report(tables, output, json_)


def intervene(
    x: Annotated[str, typer.Argument(help="embeddings of the first modality")],
    y: Annotated[str | None, typer.Argument(help="embeddings of the second modality")] = None,
    output: Annotated[
        list[Path] | None,
        typer.Option("-o", "--output", help="page (.html), figure (.svg), .json, .csv, .md or .tex; may be repeated"),
    ] = None,
    interventions: Annotated[
        str, typer.Option(help="comma-separated names: translate, rotate, collapse, remove_unshared")
    ] = "translate,rotate,collapse,remove_unshared",
    shared: Annotated[int | None, typer.Option(help="number of covarying directions; default: estimated")] = None,
    seed: Seed = 0,
    labels: Labels = None,
    index: Index = None,
    key: Key = None,
    names: Names = None,
    drop_bad: DropBad = False,
    as_is: AsIs = False,
    sample: SampleOfItems = None,
    json_: Json = False,
) -> None:
    """Change the gap and the shared space step by step, and show which of the two affects the tasks."""
    from isthmus.evaluation import intervene as run_interventions

    for path in output or []:
        check_output(path, (".html", ".svg", *SUFFIXES), "an intervention", [x, y, labels, index])
    with stages("intervening", quiet=json_) as progress:
        describe(OPENING)
        pairs = open_pairs(*two_paths(x, y), names, key, labels=labels, index=index, drop_bad=drop_bad, as_is=as_is)
        curve = run_interventions(
            pairs,
            interventions=[name.replace("-", "_") for name in _items(interventions, "--interventions")],
            shared=shared,
            rng=seed,
            progress=progress,
            sample=sample,
        )
    for path in output or []:
        if path.suffix.lower() in SUFFIXES:
            curve.save(path)
        else:
            from isthmus.reporting.intervention_page import intervention_page

            intervention_page(curve, path)
    if json_:
        typer.echo(curve.to_json())
        return
    print_bullets(curve.verdict())
    if curve.settings["sample"]:
        print_line(f"On {curve.settings['sample']} (--sample).")
    _print_outputs(output)


def _report(tables: list[Comparison], output: list[Path] | None, as_json: bool) -> None:
    """Write the tables to the output files and print them."""
    for path in output or []:
        _write(tables, path)
    if as_json:
        contents = [table.to_dict() for table in tables]
        typer.echo(json.dumps(contents[0] if len(contents) == 1 else contents, indent=1))
        return
    for table in tables:
        _print_comparison(table)
    _print_outputs(output)


def _write(tables: list[Comparison], path: Path) -> None:
    """Write a page, a JSON file or a CSV file."""
    from isthmus.evaluation import to_csv

    if path.suffix.lower() == ".html":
        from isthmus.reporting.comparison_page import comparison_page

        comparison_page(tables[0], path)
    elif len(tables) == 1:
        tables[0].save(path)
    else:
        with atomic_path(path) as temporary:
            temporary.write_text(to_csv(tables), encoding="utf-8")


def _print_comparison(table: Comparison) -> None:
    """Print what is recommended, the main scores of each task with its change, and the notes."""
    from isthmus.diagnosis.recommendation import recommendation_sentence
    from isthmus.evaluation.summary import column_decimals, missing_intervals
    from isthmus.metrics.centroid import both_means_vanish

    if recommendation := recommendation_sentence(table):
        print_bullets([recommendation])
    summaries = [summary for summary in table.rows if summary.scores]
    main_scores = table.main_scores
    splits = "one split" if table.splits == 1 else f"{table.splits} splits"
    sizes = f"{counted(table.n_fit, 'pair')} to fit on, {table.n_test:,} to judge on, {splits}"
    sizes += f", {table.sample_words} (--sample)" if table.sample_words else ""
    print_line(f"{table.data['name']}: {sizes}")
    heads = [head for score in main_scores for head in (table.with_names(score), "change [95 %]")]
    decimals = {score: column_decimals(summaries, score) for score in main_scores}
    lines = [_table_line(summary, decimals) for summary in summaries]
    print_table(("aligner", "gap", "distance", *heads), lines, units=[2, *(2 for _ in main_scores)])
    undefined: dict[tuple[str, str], list[str]] = {}
    for summary in summaries:
        gap = summary.scores["gap"]
        if gap.undefined:
            state = "within noise" if both_means_vanish(gap) else "undefined"
            undefined.setdefault((state, gap.undefined), []).append(summary.name)
    typer.echo("")
    for line in _legend(table):
        print_line(line)
    for reason, aligners in missing_intervals(summaries, main_scores).items():
        print_line(f"* no interval ({', '.join(aligners)}): {reason}")
    for (state, reason), names in undefined.items():
        print_line(f"gap {state} ({', '.join(names)}): {reason}")
    for summary in table.rows:
        for note in summary.notes:
            print_line(f"{summary.name}: {note}")


def _legend(table: Comparison) -> list[str]:
    """Return what each column holds."""
    registered = {name: score for task in isthmus.tasks.registry().values() for name, score in task.scores.items()}
    defined = [name for name in table.main_scores if name in registered]
    scores = [table.with_names(f"{name}: {registered[name].definition}.") for name in defined]
    return [
        "gap: angle between the two means, in degrees. distance: between the two means, from 0 to 2. Both are without "
        "sampling noise.",
        *scores,
        "change: from the raw embeddings (Identity), with its 95 % interval.",
    ]


def _table_line(summary: Summary, decimals_of: dict[str, int]) -> tuple[str, ...]:
    """Return the cells of one aligner: name, gap, distance, and each score and its change with these decimals."""
    from isthmus.metrics.centroid import both_means_vanish

    gap_score = summary.scores["gap"]
    cells = [
        summary.name,
        ("within noise" if both_means_vanish(gap_score) else "undefined")
        if gap_score.undefined
        else fixed(gap_score.value, 1),
        f"{summary.scores['gap_distance'].value:z.4f}",
    ]
    for score, decimals in decimals_of.items():
        value, change = summary.scores[score].value, summary.changes[score]
        shown, low, high = (f"{number:+z.{decimals}f}" for number in (change.value, change.low, change.high))
        interval = f" [{low}, {high}]"
        if math.isnan(change.low):
            interval = " *" if change.note else ""
        cells.append(f"{value:z.{decimals}f}")
        cells.append("" if summary.name == "Identity" else f"{shown}{interval}")
    return tuple(cells)


def _print_outputs(output: list[Path] | None) -> None:
    for path in output or []:
        typer.echo(f"Wrote {path}")


def _items(text: str, option: str) -> list[str]:
    """Split a list with commas, which is not empty."""
    items = [item.strip() for item in text.split(",") if item.strip()]
    if not items:
        raise InputError(f"{option} {text}: names nothing, expected one or more entries with commas between them")
    return items


def _parse_sweep(settings: list[str]) -> dict[str, list[Any]]:
    """Parse NAME=VALUE,VALUE into the values of each option."""
    sweep: dict[str, list[Any]] = {}
    for setting in settings:
        name, equals, values = setting.partition("=")
        if not equals:
            raise InputError(f"--sweep {setting}: expected NAME=VALUE,VALUE, such as --sweep energy=0.9,0.95")
        sweep[name.strip()] = [_parse_value(value) for value in _items(values, f"--sweep {name}=")]
    return sweep


def _parse_value(text: str) -> Any:
    """Return a number, a boolean or null as JSON writes them, otherwise the text."""
    for parse in (json.loads, float):  # float reads .9, which is not valid JSON
        try:
            return parse(text)
        except ValueError:
            continue
    return text


def _parse_size(text: str) -> int:
    if not text.isdigit():
        raise InputError(f"--fit-sizes: {text!r} is not a whole number, expected numbers such as 50,100,250")
    return int(text)
