"""The verbs measure, explain and report, for two modalities and for more."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import isthmus
from isthmus.cli._common import (
    AsIs,
    DropBad,
    Index,
    Json,
    Key,
    Labels,
    Names,
    Raw,
    Sample,
    Unpaired,
    modality_paths,
    open_pairs,
    open_sets,
    print_verdict,
    split_names,
    two_paths,
)
from isthmus.cli.matrices import print_matrices
from isthmus.cli.measure_table import print_measures
from isthmus.cli.printing import print_bullets, print_line
from isthmus.cli.progress import OPENING, describe, stages
from isthmus.cli.reading import reading_options
from isthmus.utils.errors import InputError
from isthmus.utils.format import counted
from isthmus.utils.paths import PAGE_SUFFIXES, check_output, check_readable
from isthmus.utils.tabular import SUFFIXES

if TYPE_CHECKING:
    from isthmus.data.pairs import Pairs
    from isthmus.data.unpaired_sets import UnpairedSets
    from isthmus.diagnosis import Explanation, Modalities, PairwiseResults
    from isthmus.statistics.result import Estimate, Result

Paths = Annotated[
    list[str],
    typer.Argument(
        metavar="X Y [Z...]",
        help="embeddings of two or more modalities: files in a format of `isthmus list formats`, folders of shards, or "
        "vector stores; FILE::NAME selects an array or column",
    ),
]
TableFile = Annotated[
    Path | None, typer.Option("-o", "--output", help="also write this file: .json, .csv, .md or .tex")
]
#: Measures that `measure` prints without --all.
HEADLINES = (
    "centroid_angle", "centroid_distance", "relative_modality_gap", "mean_paired_cosine", "mean_unpaired_cosine",
    "linear_separability", "effective_rank_{side}", "overlap_dimensions", "smallest_principal_angle",
    "{x}_to_{y}_R@1", "{y}_to_{x}_R@1",
)  # fmt: skip
#: Default matrices for more than two modalities, and default numbers of each single modality.
SUMMARY = ("centroid_angle", "centroid_distance", "relative_modality_gap", "mean_paired_cosine", "R@1")
#: Default matrices of sets without pairs.
UNPAIRED_SUMMARY = ("centroid_angle", "centroid_distance", "mean_unpaired_cosine")
MODALITY_SUMMARY = ("mean_resultant_length", "effective_rank", "uniformity")
#: Matrices of explanations.
BUDGET = ("spectrum", "centre", "orientation", "pairing", "total", "reached")


def mount(app: typer.Typer) -> None:
    """Add the verbs to `app`."""
    for verb in (measure, explain, report):
        app.command()(verb)


def measure(
    paths: Paths,
    names: Names = None,
    metrics: Annotated[
        str | None,
        typer.Option(
            help="all, fast (means and covariances alone), a family such as neighbours, or comma-separated names"
        ),
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="print all measures, as --json and -o do")] = False,
    labels: Labels = None,
    index: Index = None,
    key: Key = None,
    output: TableFile = None,
    drop_bad: DropBad = False,
    as_is: AsIs = False,
    unpaired: Unpaired = False,
    sample: Sample = None,
    json_: Json = False,
    raw: Raw = False,
) -> None:
    """Measure the gap, with 95 % intervals and the values expected by chance."""
    metrics = "all" if all_ else metrics
    if output is not None:
        check_output(output, SUFFIXES, "a result", paths)
    paths = modality_paths(paths)
    if len(paths) > 2:
        opened_modalities = _open_modalities(paths, names, labels, index, key, unpaired=unpaired)
        with stages(f"measuring {len(opened_modalities.pairs)} pairs of modalities", quiet=json_):
            results = opened_modalities.measure(
                metrics=metrics or "all", normalize=not raw, drop_bad=drop_bad, sample=sample, group=not as_is
            )
        if output is not None:
            results.save(output)
        if json_:
            typer.echo(results.to_json())
        else:
            summary = UNPAIRED_SUMMARY if unpaired else SUMMARY
            print_matrices(
                results, *((summary, MODALITY_SUMMARY) if metrics in (None, "all") else _measure_names(results))
            )
        return
    data: Pairs | UnpairedSets
    with stages(OPENING, quiet=json_):
        if unpaired:
            reading: dict[str, Any] = {"drop_bad": drop_bad, "group": not as_is, "normalize": not raw}
            data = open_sets(*_two_paths(paths), names, labels=labels, index=index, key=key, **reading)
        else:
            reading = {"drop_bad": drop_bad, "as_is": as_is, "normalize": not raw}
            data = open_pairs(*_two_paths(paths), names, key, labels=labels, index=index, **reading)
        describe(f"measuring {_count(data)}")
        headlines = _headlines(labelled=labels is not None, paired=not unpaired)
        measured = metrics or ("all" if json_ or output is not None else headlines)
        result = isthmus.measure(data, metrics=measured, normalize=not raw, sample=sample)
    if output is not None:
        result.save(output)
    if json_:
        typer.echo(result.to_json())
        return
    families = isthmus.metrics.families(data.names)
    printed = _printed(result, headlines, data.names) if metrics is None else result.metrics
    print_bullets([f"{entry['message'][0].upper()}{entry['message'][1:]}." for entry in result.pairs["degenerate"]])
    print_bullets([sentence for sentence in [result.pairs["matching"].get("sentence")] if sentence])
    print_measures(printed, families, result.pairs)
    if metrics is None:
        hidden = len(families) - len(printed)
        typer.echo("")
        print_line(
            f"{hidden} more values: add --all, or --metrics with names from `isthmus list metrics`. "
            "`isthmus list NAME` states the formula of a measure."
        )


def explain(
    paths: Paths,
    names: Names = None,
    cosine: Annotated[
        float | None,
        typer.Option(help="also explain this cosine, such as 0.25, and how often a first hit with it is a match"),
    ] = None,
    temperature: Annotated[
        float, typer.Option(help="temperature that the encoders were trained with, for the assumptions of the theorems")
    ] = 0.01,
    output: TableFile = None,
    index: Index = None,
    key: Key = None,
    drop_bad: DropBad = False,
    as_is: AsIs = False,
    unpaired: Unpaired = False,
    sample: Sample = None,
    json_: Json = False,
    raw: Raw = False,
) -> None:
    """Explain the gap: verdict, components of the cosine deficit, collapse, and the theorems that apply."""
    from isthmus.diagnosis.printing import explanation_lines
    from isthmus.diagnosis.unpaired_intervals import UNPAIRED_COMPONENTS

    if cosine is not None and not -1 <= cosine <= 1:
        raise InputError(f"--cosine {cosine:g}: expected a number between -1 and 1")
    if output is not None:
        check_output(output, SUFFIXES, "a result", paths)
    paths = modality_paths(paths)
    if len(paths) > 2:
        opened_modalities = _open_modalities(paths, names, None, index, key, unpaired=unpaired)
        if cosine is not None:
            raise InputError(f"--cosine needs two modalities, and {len(paths)} were given; give two files")
        with stages(f"explaining {len(opened_modalities.pairs)} pairs of modalities", quiet=json_):
            explanations = opened_modalities.explain(
                normalize=not raw, temperature=temperature, drop_bad=drop_bad, sample=sample, group=not as_is
            )
        if output is not None:
            explanations.save(output)
        if json_:
            typer.echo(explanations.to_json())
            return
        _print_verdicts(explanations)
        typer.echo("")
        print_matrices(explanations, ("centroid_angle", *(UNPAIRED_COMPONENTS if unpaired else BUDGET)))
        return
    from isthmus.data.shared_rows import sharing_rows

    data: Pairs | UnpairedSets
    with sharing_rows(), stages(OPENING, quiet=json_):
        if unpaired:
            reading: dict[str, Any] = {"drop_bad": drop_bad, "group": not as_is, "normalize": not raw}
            data = open_sets(*_two_paths(paths), names, cosine=cosine, index=index, key=key, **reading)
        else:
            reading = {"drop_bad": drop_bad, "as_is": as_is, "normalize": not raw}
            data = open_pairs(*_two_paths(paths), names, key, index=index, **reading)
        describe(f"explaining {_count(data)}")
        explanation = isthmus.explain(data, normalize=not raw, temperature=temperature, sample=sample)
        values = explanation.to_dict(cosine)  # computes assumptions and calibration while the progress is shown
    if output is not None:
        explanation.save(output)
    if json_:
        typer.echo(json.dumps(values, indent=1, allow_nan=False))
        return
    print_bullets(explanation.verdict)
    for line in explanation_lines(explanation, cosine):
        print_line(line)


def report(
    paths: Paths,
    output: Annotated[Path, typer.Option("-o", "--output", help="HTML file of the page")] = Path("report.html"),
    names: Names = None,
    labels: Labels = None,
    index: Index = None,
    key: Key = None,
    captions: Annotated[
        Path | None, typer.Option(help="text file with one line for each item, shown beside points and examples")
    ] = None,
    ids: Annotated[Path | None, typer.Option(help="text file with an identifier for each item")] = None,
    images: Annotated[
        Path | None, typer.Option(help="folder of images, or text file with one path in each line; shown as thumbnails")
    ] = None,
    title: Annotated[str | None, typer.Option(help="heading of the page")] = None,
    drop_bad: DropBad = False,
    as_is: AsIs = False,
    sample: Sample = None,
    json_: Json = False,
    raw: Raw = False,
) -> None:
    """Write one self-contained page: verdict, figures, and corrections evaluated on held-out pairs."""
    check_output(output, PAGE_SUFFIXES, "a page", [*paths, labels, index, captions, ids, images])
    paths = modality_paths(paths)
    if len(paths) > 2:
        from isthmus.reporting.modalities_page import modalities_page

        opened_modalities = _open_modalities(paths, names, labels, index, key)
        with stages(f"explaining {len(opened_modalities.pairs)} pairs of modalities", quiet=json_):
            explanations = opened_modalities.explain(
                metrics="all", normalize=not raw, drop_bad=drop_bad, sample=sample, group=not as_is
            )
            modalities_page(explanations, output, title=title)
        if json_:
            typer.echo(json.dumps({"page": str(output)} | explanations.to_dict(), indent=1))
            return
        _print_verdicts(explanations)
    else:
        reading: dict[str, Any] = {"drop_bad": drop_bad, "as_is": as_is, "normalize": not raw}
        with stages(OPENING, quiet=json_):
            pairs = open_pairs(*_two_paths(paths), names, key, labels=labels, index=index, **reading)
            describe(f"measuring and comparing {counted(pairs.n_pairs, 'pair')}")
            texts: dict[str, Any] = {"captions": _lines_of(captions), "ids": _lines_of(ids), "images": images}
            explanation = isthmus.report(pairs, output, title=title, normalize=not raw, sample=sample, **texts)
        if json_:
            values = {"page": str(output), "verdict": explanation.verdict} | explanation.result.to_dict()
            typer.echo(json.dumps(values, indent=1))
            return
        print_verdict(explanation)
    typer.echo(f"\nThe page: {output.resolve()}")


def _lines_of(path: Path | None) -> list[str] | None:
    """Return the lines of a text file, None without one."""
    if path is None:
        return None
    from isthmus.reporting.thumbnails import lines_of

    return lines_of(check_readable(path, "a text file with a line for each item"))


def _headlines(*, labelled: bool, paired: bool) -> list[str]:
    """Return the measures that are printed by default, with those of labels if there are labels."""
    registered = isthmus.metrics.registry()
    of_labels = [m.name for m in registered.values() if m.requires == "labels"] if labelled else []
    return [name for name in (*HEADLINES, *of_labels) if paired or not registered[name].needs_pairs]


def _count(data: Pairs | UnpairedSets) -> str:
    """Return the number of pairs, or of the rows of each set, in words."""
    sizes = getattr(data, "sizes", None)
    return counted(data.n_pairs, "pair") if sizes is None else f"{sizes[0]:,} and {counted(sizes[1], 'row')}"  # type: ignore[union-attr]


def _printed(result: Result, measures: Sequence[str], modalities: tuple[str, str]) -> dict[str, Estimate]:
    """Return the estimates of these measures by their printed name."""
    registered = isthmus.metrics.registry()
    return {name: result[name] for measure in measures for name in registered[measure].names(*modalities)}


def _two_paths(paths: Sequence[str]) -> tuple[str, str]:
    return two_paths(paths[0], paths[1] if len(paths) == 2 else None)


def _open_modalities(
    paths: Sequence[str],
    names: str | None,
    labels: Path | None,
    index: Path | None,
    key: str | None,
    *,
    unpaired: bool = False,
) -> Modalities:
    """Open more than two modalities. Options for two modalities raise `InputError`."""
    for option, value in (("--labels", labels), ("--index", index), ("--key", key)):
        if value is not None:
            advice = f"give two modalities at a time, or leave {option} out"
            if option == "--key":
                advice = (
                    "give two modalities at a time, or one row for each item in every file, with NaN where a modality "
                    "is missing, and --drop-bad"
                )
            raise InputError(f"{option} {value}: is for two modalities, and {len(paths)} were given; {advice}")
    return isthmus.Modalities.open(*paths, names=split_names(names), unpaired=unpaired, **reading_options())


def _print_verdicts(explanations: PairwiseResults[Explanation]) -> None:
    for number_of_pair, (pair, explanation) in enumerate(explanations.items()):
        typer.echo(("\n" if number_of_pair else "") + " and ".join(pair))
        print_bullets(explanation.verdict)


def _measure_names(results: PairwiseResults[Any]) -> tuple[list[str], list[str]]:
    """Return the names of the matrices of these results, and of the numbers of single modalities."""
    (x, y), result = next(iter(results.items()))
    suffixes = (f"_{x}", f"_{y}")
    of_one = dict.fromkeys(name.removesuffix(s) for s in suffixes for name in result if name.endswith(s))
    of_two = [name for name in result if not name.endswith(suffixes) and not name.startswith(f"{y}_to_{x}_")]
    return [name.removeprefix(f"{x}_to_{y}_") for name in of_two], list(of_one)
