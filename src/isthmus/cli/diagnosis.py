"""The verbs measure, explain and report: for two modalities, and for more of them in matrices."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import isthmus
from isthmus.cli._common import (
    Index,
    Json,
    Key,
    Labels,
    Names,
    Raw,
    open_pairs,
    print_bullets,
    print_table,
    split_names,
)
from isthmus.cli.progress import spinner
from isthmus.utils.errors import InputError
from isthmus.utils.validation import check_writable

if TYPE_CHECKING:
    from isthmus.diagnosis.modalities import Modalities, PairwiseResults
    from isthmus.statistics.result import Estimate

Paths = Annotated[
    list[str],
    typer.Argument(
        metavar="X Y [Z...]",
        help=".npy, .npz, .safetensors (FILE::NAME picks an array) or a folder of .npy shards, for two or more "
        "modalities",
    ),
]
#: What is shown of more than two modalities unless measures are chosen: of two of them, and of each.
SUMMARY = ("centroid_angle", "centroid_distance", "relative_modality_gap", "mean_paired_cosine", "R@1")
SUMMARY_EACH = ("mean_resultant_length", "effective_rank", "uniformity")
BUDGET = ("spectrum", "centre", "orientation", "pairing", "total", "reached")


def mount(app: typer.Typer) -> None:
    """Add the verbs to `app`."""
    for verb in (measure, explain, report):
        app.command()(verb)


def measure(
    paths: Paths,
    names: Names = None,
    metrics: Annotated[
        str,
        typer.Option(help="all, fast (no rows needed), a family such as neighbours, or names with commas"),
    ] = "all",
    labels: Labels = None,
    index: Index = None,
    key: Key = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="also write the JSON to this file")] = None,
    json_: Json = False,
    raw: Raw = False,
) -> None:
    """Every measure of the gap, with 95 % intervals and what chance gives."""
    if output is not None:
        check_writable(output)
    if more := _more(paths, names, labels, index, key):
        with spinner(f"measuring {len(more.pairs)} pairs of modalities", quiet=json_):
            found = more.measure(metrics=metrics, normalize=not raw)
        if output is not None:
            _write(found, output)
        if json_:
            typer.echo(found.to_json())
        else:
            _show_matrices(found, *((SUMMARY, SUMMARY_EACH) if metrics == "all" else _shown(found)))
        return
    pairs = open_pairs(*_two(paths), names, key, labels=labels, index=index)
    with spinner(f"measuring {pairs.n_pairs:,} pairs", quiet=json_):
        result = isthmus.measure(pairs, metrics=metrics, normalize=not raw)
    if output is not None:
        result.save(output)
    if json_:
        typer.echo(result.to_json())
        return
    rows: list[tuple[str, ...]] = []
    families = isthmus.metrics.families(pairs.names)
    for family in dict.fromkeys(families[name] for name in result):
        rows.append((family.upper(), "", "", "", ""))
        rows += [_row(name, e) for name, e in result.items() if families[name] == family]
    print_table(("measure", "value", "95 % interval", "null", "unit"), rows)
    _show_remarks(result.metrics)


def explain(
    paths: Paths,
    names: Names = None,
    cosine: Annotated[float | None, typer.Option(help="also say what this cosine means here, such as 0.25")] = None,
    temperature: Annotated[float, typer.Option(help="that of the training, for the assumptions of the theory")] = 0.01,
    index: Index = None,
    key: Key = None,
    json_: Json = False,
    raw: Raw = False,
) -> None:
    """What the gap is made of: verdict, budget, collapse, and which theorems speak about these embeddings."""
    from isthmus.diagnosis.printing import explanation_lines

    if cosine is not None and not -1 <= cosine <= 1:
        raise InputError(f"--cosine {cosine:g}: expected a number between -1 and 1")
    if more := _more(paths, names, None, index, key):
        if cosine is not None:
            raise InputError("--cosine speaks about two modalities; give their two files")
        with spinner(f"explaining {len(more.pairs)} pairs of modalities", quiet=json_):
            each = more.explain(normalize=not raw, temperature=temperature)
        if json_:
            typer.echo(each.to_json())
            return
        for pair, one in each.items():
            typer.echo(" and ".join(pair))
            print_bullets(one.verdict)
            typer.echo("")
        _show_matrices(each, ("centroid_angle", *BUDGET), ())
        return
    pairs = open_pairs(*_two(paths), names, key, index=index)
    with spinner(f"explaining {pairs.n_pairs:,} pairs", quiet=json_):
        explanation = isthmus.explain(pairs, normalize=not raw, temperature=temperature)
        found = explanation.to_dict(cosine)  # the assumptions and the calibration too, under the spinner
    if json_:
        typer.echo(json.dumps(found, indent=1, allow_nan=False))
        return
    print_bullets(explanation.verdict)
    for line in explanation_lines(explanation, cosine):
        typer.echo(line)


def report(
    paths: Paths,
    output: Annotated[Path, typer.Option("-o", "--output", help="where the page goes")] = Path("report.html"),
    names: Names = None,
    labels: Labels = None,
    index: Index = None,
    key: Key = None,
    title: Annotated[str | None, typer.Option(help="heading of the page")] = None,
    json_: Json = False,
    raw: Raw = False,
) -> None:
    """One self-contained page: verdict, budget, figures, and every aligner judged on held-out pairs."""
    check_writable(output)
    if more := _more(paths, names, labels, index, key):
        from isthmus.reporting.modalities_page import modalities_page

        with spinner(f"explaining {len(more.pairs)} pairs of modalities", quiet=json_):
            each = more.explain(normalize=not raw)
            modalities_page(each, output, title=title)
        if json_:
            typer.echo(json.dumps({"page": str(output)} | each.to_dict(), indent=1))
            return
        for pair, one in each.items():
            typer.echo(" and ".join(pair))
            print_bullets(one.verdict)
    else:
        pairs = open_pairs(*_two(paths), names, key, labels=labels, index=index)
        with spinner(f"measuring and comparing {pairs.n_pairs:,} pairs", quiet=json_):
            explanation = isthmus.report(pairs, output, title=title, normalize=not raw)
        if json_:
            found = {"page": str(output), "verdict": explanation.verdict} | explanation.result.to_dict()
            typer.echo(json.dumps(found, indent=1))
            return
        print_bullets(explanation.verdict)
    typer.echo(f"\nThe page: {output.resolve()}")


def _two(paths: list[str]) -> tuple[str, str]:
    if len(paths) != 2:
        raise InputError(f"got {len(paths)} path, expected the embeddings of two modalities or more")
    return paths[0], paths[1]


def _more(
    paths: list[str], names: str | None, labels: Path | None, index: Path | None, key: str | None
) -> Modalities | None:
    """The modalities when there are more than two, else None."""
    if len(paths) <= 2:
        return None
    for option, value in (("--labels", labels), ("--index", index), ("--key", key)):
        if value is not None:
            raise InputError(f"{option} {value}: is for two modalities, and {len(paths)} were given")
    return isthmus.Modalities.open(*paths, names=split_names(names))


def _row(name: str, e: Estimate) -> tuple[str, ...]:
    from isthmus.utils.format import number

    interval = "" if e.low != e.low else f"{number(e.low)} .. {number(e.high)}"
    value = "undefined" if e.undefined else number(e.value)
    return f"  {name}", value, interval, number(e.null) if e.null == e.null else "", e.unit


def _show_remarks(estimates: Any) -> None:
    """Reasons and notes under a table, each once with the measures that it is about."""
    remarks: dict[str, list[str]] = {}
    for name, e in estimates.items():
        never = e.no_interval and not e.undefined and f"no interval: {e.no_interval}"
        for remark in (e.undefined and f"undefined: {e.undefined}", e.note, never):
            if remark:
                remarks.setdefault(remark, []).append(name)
    if remarks:
        typer.echo("")
    for remark, measures in remarks.items():
        typer.echo(f"{', '.join(measures)}: {remark}")


def _write(found: PairwiseResults[Any], output: Path) -> None:
    from isthmus.utils.files import atomic_path

    with atomic_path(output) as part:
        part.write_text(found.to_json() + "\n", encoding="utf-8")


def _shown(found: PairwiseResults[Any]) -> tuple[list[str], list[str]]:
    """Which numbers of these results go into matrices, and which stand for one modality each."""
    (x, y), one = next(iter(found.items()))
    ends = (f"_{x}", f"_{y}")
    each = dict.fromkeys(name.removesuffix(end) for end in ends for name in one if name.endswith(end))
    others = [name for name in one if not name.endswith(ends) and not name.startswith(f"{y}_to_{x}_")]
    return [name.removeprefix(f"{x}_to_{y}_") for name in others], list(each)


def _show_matrices(found: PairwiseResults[Any], both: Any, each: Any) -> None:
    for name in both:
        typer.echo("\n".join([name, *_matrix(found, name), ""]))
    if each:
        lines = [(name, *(_cell(found.per_modality(name)[side].value) for side in found.names)) for name in each]
        print_table(("of each modality", *found.names), lines)
    if "R@1" in both:
        typer.echo("R@1: rows are queries, columns are searched.")


def _matrix(found: PairwiseResults[Any], name: str) -> Iterator[str]:
    cells = [["" if i == j else _cell(v) for j, v in enumerate(row)] for i, row in enumerate(found.matrix(name))]
    rows = [("", *found.names), *((side, *row) for side, row in zip(found.names, cells, strict=True))]
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    for row in rows:
        padded = [row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]
        yield "  " + "  ".join(padded).rstrip()


def _cell(value: float) -> str:
    from isthmus.utils.format import number

    return "undefined" if value != value else number(value if abs(value) > 1e-9 else 0.0)
