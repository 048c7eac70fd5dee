"""The command line: verbs that call the functions of the package, and nothing else."""

from __future__ import annotations

import json
import sys
import warnings
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import isthmus
from isthmus import comparison_cli
from isthmus.checks import InputError, IsthmusWarning, unknown, writable
from isthmus.terminal import table as _table

if TYPE_CHECKING:
    from isthmus.pairs import Pairs

app = typer.Typer(
    help="Measure, explain and close the modality gap of multimodal embeddings.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

Embeddings = Annotated[
    str,
    typer.Argument(help=".npy, .npz, .safetensors (FILE::NAME picks an array) or a folder of .npy shards"),
]
Names = Annotated[str | None, typer.Option("--names", help="names of the modalities, such as image,text")]
Json = Annotated[bool, typer.Option("--json", help="print JSON")]
Raw = Annotated[bool, typer.Option("--no-normalize", help="use the rows as they are, not divided by their norms")]


@app.command()
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
    with _busy(f"measuring {testing.n} held-out pairs of the run {run!r}"):
        explanation = isthmus.report(testing, output, fit=fitting, title=f"Digits and captions: the run '{run}'")
    _say(explanation.verdict)
    typer.echo(f"\nThe page: {output.resolve()}")


@app.command()
def inspect(
    paths: Annotated[list[str], typer.Argument(help="one or more embedding files or folders")],
    json_: Json = False,
) -> None:
    """Shape, dtype, norms, rows that cannot be used, duplicates, and whether two sources look paired."""
    from isthmus.inspection import inspect as look
    from isthmus.inspection import looks_paired

    sources = [isthmus.sources.open_source(path) for path in paths]
    with _busy("reading", quiet=json_):
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


@app.command()
def measure(
    x: Embeddings,
    y: Embeddings,
    names: Names = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="also write the JSON to this file")] = None,
    json_: Json = False,
    raw: Raw = False,
) -> None:
    """Every measure of the gap, with 95 % intervals and what chance gives."""
    if output is not None:
        writable(output)
    pairs = _open(x, y, names)
    with _busy(f"measuring {pairs.n:,} pairs", quiet=json_):
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
    _table(("measure", "value", "95 % interval", "null", "unit"), rows)
    for name, e in result.items():
        if e.undefined:
            typer.echo(f"{name} is undefined: {e.undefined}")


@app.command()
def report(
    x: Embeddings,
    y: Embeddings,
    output: Annotated[Path, typer.Option("-o", "--output", help="where the page goes")] = Path("report.html"),
    names: Names = None,
    title: Annotated[str | None, typer.Option(help="heading of the page")] = None,
    json_: Json = False,
    raw: Raw = False,
) -> None:
    """One self-contained page: verdict, budget, figures, and every aligner judged on held-out pairs."""
    writable(output)
    pairs = _open(x, y, names)
    with _busy(f"measuring and comparing {pairs.n:,} pairs", quiet=json_):
        explanation = isthmus.report(pairs, output, title=title, normalize=not raw)
    if json_:
        typer.echo(
            json.dumps({"page": str(output), "verdict": explanation.verdict} | explanation.result.to_dict(), indent=1)
        )
        return
    _say(explanation.verdict)
    typer.echo(f"\nThe page: {output.resolve()}")


@app.command()
def fit(
    aligner: Annotated[str, typer.Argument(help="name of the aligner; see `isthmus list aligners`")],
    x: Embeddings,
    y: Embeddings,
    output: Annotated[Path, typer.Option("-o", "--output", help="where the aligner goes (.safetensors)")],
    options: Annotated[
        list[str] | None, typer.Option("--set", help="option of the aligner, such as --set energy=0.95")
    ] = None,
    names: Names = None,
    json_: Json = False,
) -> None:
    """Fit an aligner to paired embeddings and save it."""
    writable(output)
    made = isthmus.align.get(aligner)().set_params(**_options(options or []))
    made.__post_init__()  # the checks of the options
    pairs = _open(x, y, names)
    with _busy(f"fitting to {pairs.n:,} pairs", quiet=json_):
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


@app.command()
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
    with _busy(f"aligning {source.shape[0]:,} rows", quiet=json_):
        shape = run(loaded, source, output, side=side or path_name(rows))
    if json_:
        typer.echo(json.dumps({"path": str(output), "rows": shape[0], "width": shape[1]}))
    else:
        typer.echo(f"Wrote {shape[0]:,} x {shape[1]} rows: {output}")


@app.command(name="list")
def list_(
    what: Annotated[str, typer.Argument(help="metrics, aligners, tasks, sources, runs or all")] = "all",
    json_: Json = False,
) -> None:
    """What there is: measures with their definitions, aligners, tasks, formats, runs of the demo."""
    rooms = {name: room() for name, room in _ROOMS.items()}
    if what != "all" and what not in rooms:
        raise unknown("list", what, [*rooms, "all"])
    shown = rooms if what == "all" else {what: rooms[what]}
    if json_:
        typer.echo(json.dumps(shown, indent=1))
        return
    for room, entries in shown.items():
        typer.echo(room)
        for name, about in entries.items():
            typer.echo(f"  {name}")
            for line in about.values():
                if line:
                    typer.echo(f"      {line}")


def _metrics() -> dict[str, dict[str, str]]:
    return {
        m.name: {
            "definition": m.definition,
            "about": f"{m.unit}, {m.range[0]:g} to {m.range[1]:g}, better: {m.better}, needs {m.needs}; {m.source}",
        }
        for m in isthmus.metrics.registry().values()
    }


def _aligners() -> dict[str, dict[str, str]]:
    return {
        name: {
            "definition": " ".join((cls.__doc__ or "").split("\n\n")[0].split()),
            "about": "; ".join(filter(None, ["needs pairs" if cls.needs_pairs else "needs no pairs", cls.source])),
        }
        for name, cls in isthmus.align.registry().items()
    }


def _tasks() -> dict[str, dict[str, str]]:
    return {
        t.name: {
            "definition": t.definition,
            "about": f"needs {t.needs}; {t.source}",
            "scores": "; ".join(f"{name} ({score.better}): {score.definition}" for name, score in t.scores.items()),
        }
        for t in isthmus.tasks.registry().values()
    }


def _sources() -> dict[str, dict[str, str]]:
    from isthmus.sources import folder

    return {
        module.__name__.rpartition(".")[2]: {"definition": (module.__doc__ or "").strip()}
        for module in (*isthmus.sources.FORMATS, folder)
    }


def _runs() -> dict[str, dict[str, str]]:
    return {name: {"definition": about} for name, about in isthmus.demo.RUNS.items()}


_ROOMS = {"metrics": _metrics, "aligners": _aligners, "tasks": _tasks, "sources": _sources, "runs": _runs}


def _open(x: str, y: str, names: str | None) -> Pairs:
    return isthmus.open_pairs(x, y, names=None if names is None else names.split(","))


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


def _busy(what: str, *, quiet: bool = False) -> Any:
    """A spinner on a terminal's standard error, nothing elsewhere."""
    if quiet or not sys.stderr.isatty():
        return nullcontext()
    from rich.console import Console

    return Console(stderr=True).status(what)


def _say(sentences: list[str]) -> None:
    from rich.console import Console

    for sentence in sentences:
        Console(highlight=False, soft_wrap=not sys.stdout.isatty()).print(f"- {sentence}", markup=False)


def _warn(message: Warning | str, category: type[Warning], *_: Any) -> None:
    if issubclass(category, IsthmusWarning):
        print(f"isthmus: warning: {message}", file=sys.stderr)


comparison_cli.mount(app)


def main() -> None:
    """Entry point: bad input ends in one line on standard error and exit code 2."""
    warnings.showwarning = _warn  # type: ignore[assignment]
    try:
        app()
    except (InputError, OSError) as error:
        print(f"isthmus: error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
