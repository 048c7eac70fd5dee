"""The verbs of the main job: demo, inspect, measure, report, explain, fit, apply."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

import isthmus
from isthmus.checks import InputError, writable
from isthmus.cli._common import Embeddings, Index, Json, Names, Raw, busy, open_pairs, say, table


def mount(app: typer.Typer) -> None:
    """Add the verbs to `app`."""
    for verb in (demo, inspect, measure, report, explain, fit, apply):
        app.command()(verb)


def demo(
    run: Annotated[str, typer.Option(help="plain, warm or collapsed; see `isthmus list runs`")] = "plain",
    output: Annotated[Path, typer.Option("-o", "--output", help="where the page goes")] = Path("isthmus-demo.html"),
    export: Annotated[
        Path | None, typer.Option(help="also write the embeddings as .npy files into this folder")
    ] = None,
) -> None:
    """The whole job on the embedded data: digits and their captions, held-out rows."""
    writable(output)
    if export is not None:
        for path in isthmus.demo.export(export, run):
            typer.echo(f"Wrote {path}")
    testing, fitting = isthmus.demo.load(run, split="test"), isthmus.demo.load(run, split="train")
    with busy(f"measuring {testing.n} held-out pairs of the run {run!r}"):
        explanation = isthmus.report(testing, output, fit=fitting, title=f"Digits and captions: the run '{run}'")
    say(explanation.verdict)
    typer.echo(f"\nThe page: {output.resolve()}")


def inspect(
    paths: Annotated[list[str], typer.Argument(help="one or more embedding files or folders")],
    json_: Json = False,
) -> None:
    """Shape, dtype, norms, rows that cannot be used, duplicates, and whether two sources look paired."""
    from isthmus.inspection import inspect as look
    from isthmus.inspection import looks_paired

    sources = [isthmus.sources.open_source(path) for path in paths]
    with busy("reading", quiet=json_):
        looks = [look(source) for source in sources]
        pairing = looks_paired(*sources) if len(sources) == 2 else None
    if json_:
        found: dict[str, Any] = {
            "format": 1,
            "version": isthmus.__version__,
            "sources": [i.to_dict() for i in looks],
        }
        typer.echo(json.dumps(found | {"pairing": pairing.to_dict() if pairing else None}, indent=1))
        return
    from isthmus.result import number

    for i in looks:
        typer.echo(f"{i.where} ({i.format})")
        typer.echo(f"  shape       {i.rows:,} x {i.width:,}, {i.dtype}")
        typer.echo(f"  norms       {number(i.norm_low)} to {number(i.norm_high)}, mean {number(i.norm_mean)}")
        typer.echo(f"  non-finite  {_rows(i.non_finite, i.non_finite_rows)}")
        typer.echo(f"  zero        {_rows(i.zero, i.zero_rows)}")
        part = "" if i.rows_compared == i.rows else f" among the first {i.rows_compared:,}"
        typer.echo(f"  duplicates  {i.duplicates:,} row{'s' if i.duplicates != 1 else ''}{part}")
    if pairing:
        typer.echo(f"Paired? {pairing.reason}")


def measure(
    x: Embeddings,
    y: Embeddings,
    names: Names = None,
    index: Index = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="also write the JSON to this file")] = None,
    json_: Json = False,
    raw: Raw = False,
) -> None:
    """Every measure of the gap, with 95 % intervals and what chance gives."""
    if output is not None:
        writable(output)
    pairs = open_pairs(x, y, names, index=index)
    with busy(f"measuring {pairs.n:,} pairs", quiet=json_):
        result = isthmus.measure(pairs, normalize=not raw)
    if output is not None:
        result.save(output)
    if json_:
        typer.echo(result.to_json())
        return
    from isthmus.result import number

    rows = []
    for name, e in result.items():
        interval = "" if e.low != e.low else f"{number(e.low)} .. {number(e.high)}"
        value = "undefined" if e.undefined else number(e.value)
        rows.append((name, value, interval, number(e.null) if e.null == e.null else "", e.unit))
    table(("measure", "value", "95 % interval", "null", "unit"), rows)
    for name, e in result.items():
        if e.undefined:
            typer.echo(f"{name} is undefined: {e.undefined}")
    for note in dict.fromkeys(e.note for e in result.values() if e.note):
        named = ", ".join(name for name, e in result.items() if e.note == note)
        typer.echo(f"{note} ({named})")


def report(
    x: Embeddings,
    y: Embeddings,
    output: Annotated[Path, typer.Option("-o", "--output", help="where the page goes")] = Path("report.html"),
    names: Names = None,
    index: Index = None,
    title: Annotated[str | None, typer.Option(help="heading of the page")] = None,
    json_: Json = False,
    raw: Raw = False,
) -> None:
    """One self-contained page: verdict, budget, figures, and every aligner judged on held-out pairs."""
    writable(output)
    pairs = open_pairs(x, y, names, index=index)
    with busy(f"measuring and comparing {pairs.n:,} pairs", quiet=json_):
        explanation = isthmus.report(pairs, output, title=title, normalize=not raw)
    if json_:
        typer.echo(
            json.dumps({"page": str(output), "verdict": explanation.verdict} | explanation.result.to_dict(), indent=1)
        )
        return
    say(explanation.verdict)
    typer.echo(f"\nThe page: {output.resolve()}")


def explain(
    x: Embeddings,
    y: Embeddings,
    names: Names = None,
    index: Index = None,
    cosine: Annotated[float | None, typer.Option(help="also say what this cosine means here, such as 0.25")] = None,
    temperature: Annotated[float, typer.Option(help="that of the training, for the assumptions of the theory")] = 0.01,
    json_: Json = False,
    raw: Raw = False,
) -> None:
    """What the gap is made of: verdict, budget, collapse, and which theorems speak about these embeddings."""
    from isthmus.diagnosis.printing import explanation_lines

    if cosine is not None and not -1 <= cosine <= 1:
        raise InputError(f"--cosine {cosine:g}: expected a number between -1 and 1")
    pairs = open_pairs(x, y, names, index=index)
    with busy(f"explaining {pairs.n:,} pairs", quiet=json_):
        explanation = isthmus.explain(pairs, normalize=not raw, temperature=temperature)
        found = explanation.to_dict()
        calibration = None if cosine is None else isthmus.calibrate(pairs, normalize=not raw)
    if json_:
        if calibration is not None:
            found["calibration"] = calibration.to_dict(cosine)
        typer.echo(json.dumps(found, indent=1, allow_nan=False))
        return
    say(explanation.verdict)
    for line in explanation_lines(explanation, calibration, cosine):
        typer.echo(line)


def fit(
    aligner: Annotated[str, typer.Argument(help="name of the aligner; see `isthmus list aligners`")],
    x: Embeddings,
    y: Embeddings,
    output: Annotated[Path, typer.Option("-o", "--output", help="where the aligner goes (.safetensors)")],
    options: Annotated[
        list[str] | None, typer.Option("--set", help="option of the aligner, such as --set energy=0.95")
    ] = None,
    names: Names = None,
    index: Index = None,
    json_: Json = False,
) -> None:
    """Fit an aligner to paired embeddings and save it."""
    writable(output)
    made = isthmus.align.get(aligner)().set_params(**_options(options or []))
    made.__post_init__()  # the checks of the options
    pairs = open_pairs(x, y, names, index=index)
    with busy(f"fitting to {pairs.n:,} pairs", quiet=json_):
        made.fit_moments(pairs.moments(normalize=made.normalize), names=pairs.names)
        made.save(output)
    if json_:
        facts = {
            "aligner": type(made).__name__,
            "options": made.get_params(),
            "facts": made.facts_,
            "path": str(output),
        }
        typer.echo(json.dumps(facts, indent=1))
        return
    typer.echo(f"Fitted {type(made).__name__} to {pairs.n:,} pairs of {' and '.join(pairs.names)}: {output}")
    for fact, value in made.facts_.items():
        typer.echo(f"  {fact}: {value}")


def apply(
    aligner: Annotated[Path, typer.Argument(help="a saved aligner")],
    rows: Embeddings,
    output: Annotated[Path, typer.Option("-o", "--output", help="where the aligned rows go (.npy)")],
    side: Annotated[str | None, typer.Option(help="which modality the rows are; default: the name of the file")] = None,
    json_: Json = False,
) -> None:
    """Align the rows of a file, in order and in constant memory."""
    from isthmus.align.streaming import apply as run
    from isthmus.pairs import path_name

    loaded = isthmus.load(aligner)
    if not isinstance(loaded, isthmus.align.Aligner):
        raise InputError(f"{aligner}: holds {type(loaded).__name__}, expected an aligner written by `isthmus fit`")
    source = isthmus.sources.open_source(rows)
    with busy(f"aligning {source.shape[0]:,} rows", quiet=json_):
        shape = run(loaded, source, output, side=side or path_name(rows))
    if json_:
        typer.echo(json.dumps({"path": str(output), "rows": shape[0], "width": shape[1]}))
    else:
        typer.echo(f"Wrote {shape[0]:,} x {shape[1]} rows: {output}")


def _options(settings: list[str]) -> dict[str, Any]:
    """`key=value` settings; the value is JSON where it can be, else text."""
    found = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise InputError(f"--set {setting}: expected NAME=VALUE, such as --set energy=0.95")
        try:
            found[key] = json.loads(value)
        except json.JSONDecodeError:
            found[key] = value
    return found


def _rows(count: int, first: list[int]) -> str:
    if not count:
        return "no rows"
    listed = ", ".join(map(str, first)) + (", ..." if count > len(first) else "")
    return f"{count:,} row{'s' if count != 1 else ''}: {listed}"
