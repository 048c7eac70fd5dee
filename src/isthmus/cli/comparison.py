"""The verbs `compare` and `intervene` of the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

import isthmus
from isthmus.cli._common import (
    ClassTexts,
    Index,
    Json,
    Key,
    Labels,
    Names,
    Raw,
    open_pairs,
    print_table,
    read_class_texts,
)
from isthmus.cli.progress import progress_bar
from isthmus.utils.errors import InputError
from isthmus.utils.validation import writable

Seed = Annotated[int, typer.Option("--seed", help="of the splits and of everything random")]


def mount(app: typer.Typer) -> None:
    """Add the verbs to `app`."""
    app.command()(compare)
    app.command()(intervene)


def compare(
    paths: Annotated[
        list[str],
        typer.Argument(metavar="X Y | merge RUN.json...", help="two embedding files, or 'merge' and saved comparisons"),
    ],
    output: Annotated[
        list[Path] | None, typer.Option("-o", "--output", help="page (.html), .json or .csv; may be repeated")
    ] = None,
    aligners: Annotated[str | None, typer.Option(help="names with commas; see `isthmus list aligners`")] = None,
    tasks: Annotated[str, typer.Option(help="names with commas, or all; see `isthmus list tasks`")] = (
        "retrieval,mixed_search"
    ),
    splits: Annotated[int, typer.Option(help="random halves")] = 5,
    seed: Seed = 0,
    fit: Annotated[
        tuple[str, str] | None, typer.Option("--fit", help="fit on these two files, judge on X and Y")
    ] = None,
    sweep: Annotated[list[str] | None, typer.Option(help="try values, such as energy=0.9,0.95,0.99")] = None,
    fit_sizes: Annotated[str | None, typer.Option(help="numbers of fitting items, such as 50,100,250")] = None,
    resume: Annotated[Path | None, typer.Option(help="journal (.jsonl): go on where it stopped")] = None,
    labels: Labels = None,
    class_texts: ClassTexts = None,
    index: Index = None,
    key: Key = None,
    names: Names = None,
    json_: Json = False,
    raw: Raw = False,
) -> None:
    """Aligners x tasks on held-out pairs, with the change against the raw embeddings and its 95 % interval."""
    from isthmus.evaluation import Comparison, load_comparison, merge

    for path in output or []:
        _suffix(path, (".html", ".json", ".csv"))
    tables: list[Comparison]
    if paths[0] == "merge":
        tables = merge([load_comparison(path) for path in paths[1:]])
        for path in output or []:
            if len(tables) > 1 and path.suffix.lower() != ".csv":
                raise InputError(f"{path}: these are {len(tables)} different runs, which only a .csv holds together")
    else:
        if len(paths) != 2:
            raise InputError(f"got {len(paths)} paths, expected two embedding files (or 'merge' and saved comparisons)")
        if resume is not None:
            writable(resume)
        pairs = open_pairs(paths[0], paths[1], names, key, labels=labels, index=index)
        with progress_bar("comparing", quiet=json_) as progress:
            table = isthmus.compare(
                pairs,
                aligners=None if aligners is None else _split(aligners),
                tasks=_split(tasks),
                fit=None if fit is None else open_pairs(*fit, names, key),
                splits=splits,
                rng=seed,
                normalize=not raw,
                sweep=_sweep(sweep or []),
                fit_sizes=None if fit_sizes is None else [_whole(size) for size in _split(fit_sizes)],
                class_texts=read_class_texts(class_texts, pairs),
                journal=resume,
                progress=progress,
            )
        tables = [table]
    for path in output or []:
        _write(tables, path)
    if json_:
        found = [table.to_dict() for table in tables]
        typer.echo(json.dumps(found[0] if len(found) == 1 else found, indent=1))
        return
    for table in tables:
        _show(table)
    for path in output or []:
        typer.echo(f"Wrote {path}")


def intervene(
    x: Annotated[str, typer.Argument(help="embeddings of the first modality")],
    y: Annotated[str, typer.Argument(help="embeddings of the second modality")],
    output: Annotated[
        list[Path] | None, typer.Option("-o", "--output", help="page (.html), figure (.svg), .json or .csv")
    ] = None,
    interventions: Annotated[
        str, typer.Option(help="names with commas: translate, rotate, collapse, remove_unshared")
    ] = "translate,rotate,collapse,remove_unshared",
    shared: Annotated[int | None, typer.Option(help="number of shared directions; default: estimated")] = None,
    seed: Seed = 0,
    labels: Labels = None,
    index: Index = None,
    key: Key = None,
    names: Names = None,
    json_: Json = False,
) -> None:
    """Change the gap and the shared space step by step, and show which of the two the tasks follow."""
    from isthmus.evaluation.interventions import intervene as run_interventions

    for path in output or []:
        _suffix(path, (".html", ".svg", ".json", ".csv"))
    pairs = open_pairs(x, y, names, key, labels=labels, index=index)
    with progress_bar("intervening", quiet=json_) as progress:
        curve = run_interventions(
            pairs,
            interventions=[name.replace("-", "_") for name in _split(interventions)],
            shared=shared,
            rng=seed,
            progress=progress,
        )
    for path in output or []:
        if path.suffix.lower() in (".json", ".csv"):
            curve.save(path)
        else:
            from isthmus.reporting.intervention_page import intervention_page

            intervention_page(curve, path)
    if json_:
        typer.echo(curve.to_json())
        return
    for sentence in curve.verdict():
        typer.echo(f"- {sentence}")
    for path in output or []:
        typer.echo(f"Wrote {path}")


def _write(tables: list[Any], path: Path) -> None:
    from isthmus.evaluation.table import to_csv
    from isthmus.utils.files import replacing

    if path.suffix.lower() == ".html":
        from isthmus.reporting.comparison_page import comparison_page

        comparison_page(tables[0], path)
    elif len(tables) == 1:
        tables[0].save(path)
    else:
        with replacing(path) as part:
            part.write_text(to_csv(tables), encoding="utf-8")


def _show(table: Any) -> None:
    """The main score of each task with its change, as a table."""
    from isthmus.tasks import registry
    from isthmus.utils.format import number

    fitted = next((row for row in table.rows if row.scores), None)
    known = registry()
    first = [next(iter(known[t].scores)) for t in table.settings["tasks"] if t in known]
    shown = [name for name in first if fitted is not None and name in fitted.scores]
    lines = []
    for row in table.rows:
        if not row.scores:
            continue
        gap = row.scores["gap"]
        cells = [
            row.name,
            "undefined" if gap.undefined else f"{gap.value:.1f}",
            number(row.scores["gap_distance"].value),
        ]
        for name in shown:
            change = row.changes[name]
            cells += [number(row.scores[name].value)]
            interval = f" {change.low:+.3f} .. {change.high:+.3f}" if change.low == change.low else ""
            cells += ["" if row.name == "Identity" else f"{change.value:+.3f}{interval}"]
        lines.append(tuple(cells))
    typer.echo(
        f"{table.data['name']}: {table.n_fit:,} pairs to fit on, {table.n_test:,} to judge on, {table.splits} splits"
    )
    heads = [head for name in shown for head in (name, "change, 95 %")]
    print_table(("aligner", "gap", "distance", *heads), lines)
    undefined: dict[str, list[str]] = {}
    for row in table.rows:
        if row.scores and row.scores["gap"].undefined:
            undefined.setdefault(row.scores["gap"].undefined, []).append(row.name)
    for reason, names in undefined.items():
        typer.echo(f"gap undefined ({', '.join(names)}): {reason}")
    for row in table.rows:
        for note in row.notes:
            typer.echo(f"{row.name}: {note}")


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _sweep(settings: list[str]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for setting in settings:
        name, equals, values = setting.partition("=")
        if not equals or not _split(values):
            raise InputError(f"--sweep {setting}: expected NAME=VALUE,VALUE, such as --sweep energy=0.9,0.95")
        found[name.strip()] = [_value(v) for v in _split(values)]
    return found


def _value(text: str) -> Any:
    for read in (json.loads, float):  # float reads .9, which is no JSON
        try:
            return read(text)
        except ValueError:
            continue
    return text


def _whole(text: str) -> int:
    if not text.isdigit():
        raise InputError(f"--fit-sizes: {text!r} is no whole number, expected such as 50,100,250")
    return int(text)


def _suffix(path: Path, known: tuple[str, ...]) -> None:
    writable(path)
    if path.suffix.lower() not in known:
        raise InputError(f"{path}: the name must end in {', '.join(known[:-1])} or {known[-1]}")
