"""The verbs fit, apply and adapt."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer

import isthmus
from isthmus.cli._applying import apply_columns, column_beside, columns_of_table, reading_option
from isthmus.cli._common import (
    DEFINED_SCORES,
    AsIs,
    ClassTexts,
    DropBad,
    Embeddings,
    Index,
    Json,
    Key,
    Labels,
    Names,
    check_classes_used,
    modality_paths,
    print_score_definition,
)
from isthmus.cli._fitting import ALIGNER_SUFFIXES, fit_to_files, fit_to_modalities, usable
from isthmus.cli.fit_facts import fit_lines
from isthmus.cli.printing import print_bullets, print_line, print_table
from isthmus.cli.progress import OPENING, WorkNoted, describe, stages
from isthmus.cli.reading import open_sources
from isthmus.utils.errors import InputError, IsthmusWarning
from isthmus.utils.format import fixed
from isthmus.utils.paths import check_output


def mount(app: typer.Typer) -> None:
    """Add the verbs to `app`."""
    for verb in (fit, apply, adapt):
        app.command()(verb)


def fit(
    aligner: Annotated[str, typer.Argument(help="name of the aligner; see `isthmus list aligners`")],
    x: Annotated[str, typer.Argument(help="embeddings of the first modality, or one file of saved moments")],
    y: Annotated[str | None, typer.Argument(help="embeddings of the second modality")] = None,
    further: Annotated[
        list[str] | None,
        typer.Argument(help="embeddings of further modalities; pairs are those of the first with each other one"),
    ] = None,
    output: Annotated[Path, typer.Option("-o", "--output", help="path of the aligner (.safetensors)")] = Path(
        "aligner.safetensors"
    ),
    options: Annotated[
        list[str] | None, typer.Option("--set", help="option of the aligner, such as --set energy=0.95")
    ] = None,
    unpaired: Annotated[
        bool,
        typer.Option("--unpaired", help="the rows are not paired by position; for aligners that need no pairs"),
    ] = False,
    labels: Labels = None,
    class_texts: ClassTexts = None,
    relevance: Annotated[
        float | None,
        typer.Option(help="also calibrate the relevance of hits; the value is the share of queries without a match"),
    ] = None,
    index: Index = None,
    key: Key = None,
    names: Names = None,
    drop_bad: DropBad = False,
    as_is: AsIs = False,
    sample: Annotated[
        int | None,
        typer.Option("--sample", help="number of items in the random sample that Auto chooses by; default: 2000"),
    ] = None,
    json_: Json = False,
) -> None:
    """Fit a correction (an aligner) to embeddings and save it."""
    check_output(output, ALIGNER_SUFFIXES, "an aligner", [x, y, *(further or []), labels, class_texts, index])
    estimator: Any = isthmus.align.get(aligner)().set_params(**_options(options or []))
    if sample is not None:
        if not isinstance(estimator, isthmus.align.Auto):
            raise InputError(f"--sample {sample}: is for Auto; {type(estimator).__name__} is fitted to all items")
        estimator.set_params(sample=sample)
    estimator.validate_options()
    check_classes_used(estimator, labels, class_texts)
    if relevance is not None and (further or unpaired or y is None or not hasattr(estimator, "relevance")):
        raise InputError(
            f"--relevance {relevance:g}: needs pairs of two files and a score correction, such as: isthmus fit "
            "ScoreCalibration image.npy text.npy --relevance 0.5"
        )
    if y is None and len(members := modality_paths([x])) > 1:
        x, y, *further = members
    if further and y is not None:
        if index is not None or key is not None or labels is not None or class_texts is not None:
            raise InputError("--index, --key, --labels and --class-texts are for two files; leave them out for more")
        paths = [x, y, *further]
        reading = {"drop_bad": drop_bad, "as_is": as_is}
        fitting_data = fit_to_modalities(estimator, paths, names, unpaired, **reading, quiet=json_)
    else:
        fitting_data = fit_to_files(
            estimator,
            x,
            y,
            names,
            unpaired,
            labels,
            class_texts,
            relevance,
            index,
            key,
            drop_bad=drop_bad,
            as_is=as_is,
            quiet=json_,
        )
    estimator.save(output)
    fit_info = {name: value for name, value in estimator.fit_info_.items() if name != "relevance"}
    sentences = [] if relevance is None else estimator.relevance().sentences()
    if json_:
        content = {
            "aligner": type(estimator).__name__,
            "options": estimator.json_options(),
            "fit_info": fit_info,
            **({} if relevance is None else {"relevance": sentences}),
            "path": str(output),
        }
        typer.echo(json.dumps(content, indent=1))
        return
    typer.echo(f"Fitted {type(estimator).__name__} to {fitting_data}: {output}")
    if isinstance(estimator, isthmus.align.Auto):
        _show_choice(estimator)
    else:
        for line in fit_lines(fit_info, estimator.modalities):
            print_line(f"  {line}")
    print_bullets(sentences)


def _show_choice(auto: Any) -> None:
    """Print the reasons of `Auto` and the table of its candidates."""
    print_bullets(auto.reasons_)
    if not auto.table_:
        return
    value = auto.fit_info_["score"].removeprefix("cross-modal ")
    lines = [
        (
            row["name"], fixed(row['value'], 3), fixed(row['recall'], 3),
            f"{fixed(row['change'], 3, sign=True)} ({fixed(row['change_error'], 3)})",
            "yes" if row["admissible"] else "no",
        )
        for row in auto.table_
        if not row["dropped"]
    ]  # fmt: skip
    header = ("candidate", value, "R@1", "its change (error)", "allowed")
    shown = [0, *range(2 if value == "R@1" else 1, len(header))]  # one column of R@1
    print_table([header[i] for i in shown], [[line[i] for i in shown] for line in lines], text=0)
    if value in DEFINED_SCORES:
        print_score_definition(value)
        print_line("R@1: in a search over the other modality. error: standard error of the change.")


def apply(
    aligner: Annotated[Path, typer.Argument(help="an aligner saved by `isthmus fit`")],
    rows: Embeddings,
    out: Annotated[
        str | None,
        typer.Argument(
            help="path of the aligned rows: .npy, .npz, .safetensors, a new folder of shards, or a column of a vector "
            "store; default for rows of a store: the column COLUMN_corrected beside them"
        ),
    ] = None,
    output: Annotated[str | None, typer.Option("-o", "--output", help="the same as OUT")] = None,
    modality: Annotated[str | None, typer.Option(help="modality of the rows; default: the name of the file")] = None,
    role: Annotated[
        str | None, typer.Option(help="stored or query: the form of the rows in an index; for score corrections")
    ] = None,
    queries: Annotated[
        str | None, typer.Option(help="modality of the queries, if the index serves queries of one modality only")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="continue the same call after an interruption")] = False,
    replace: Annotated[
        bool,
        typer.Option(
            "--replace", help="allow an existing column of a vector store to be replaced, also the one that is read"
        ),
    ] = False,
    codes: Annotated[
        str | None,
        typer.Option(help="write codes to OUT (.npy) and their ranges to OUT.ranges.npy: int8, uint8 or binary"),
    ] = None,
    code_ranges: Annotated[
        Path | None, typer.Option(help="ranges for --codes, as written for another modality of the same index")
    ] = None,
    drop_bad: DropBad = False,
    json_: Json = False,
) -> None:
    """Correct the rows of a file or a vector store, with constant memory.

    A table (Parquet, Arrow or CSV) may have columns of two or more modalities, such as image_embedding and
    text_embedding. They are aligned in one pass. ::COLUMN chooses one column, and ::COLUMN,COLUMN several.
    """
    from isthmus.align.streaming import apply as apply_to_source
    from isthmus.align.streaming import check_aligned_output, drift_warnings
    from isthmus.data.sources import modality_name_among, split_member
    from isthmus.data.sources._store import find_store
    from isthmus.utils.errors import without_password

    outputs = [name for name in (out, output) if name is not None]
    if len(outputs) > 1 or not (outputs or find_store(rows)):
        raise InputError("give one output, such as: isthmus apply aligner.safetensors image.npy aligned.npy")
    if code_ranges is not None and codes is None:
        raise InputError("--code-ranges is for --codes; give --codes int8 or uint8 with it")
    loaded = _load_aligner(aligner)
    columns = {} if modality or find_store(rows) else columns_of_table(rows, loaded)
    if columns:
        if resume or replace or codes:
            option = "resume" if resume else "replace" if replace else "codes"
            raise InputError(f"--{option} is for one column; leave it out, or choose a column with FILE::COLUMN")
        options = {"role": role, "queries": queries, "drop_bad": drop_bad}
        apply_columns(loaded, split_member(rows)[0], outputs[0], columns, json_=json_, **options)
        return
    for path in outputs:
        if Path(path).exists() and Path(path).samefile(aligner):
            raise InputError(f"{path}: is the aligner itself; choose another output")
        if find_store(path) is None:
            check_aligned_output(path, rows)
    modality = modality or modality_name_among(rows, loaded.modalities)
    with stages("aligning", quiet=json_) as progress:
        source = usable({modality: open_sources([rows], min_rows=1)[0]}, drop_bad, min_rows=1)[modality]
        path = outputs[0] if outputs else column_beside(rows, source)
        work = WorkNoted(progress)
        shape = apply_to_source(
            loaded,
            source,
            path,
            modality=modality,
            role=role,
            queries=queries,
            resume=resume,
            replace=replace,
            codes=codes,
            ranges=code_ranges,
            progress=work,
        )
    is_unchanged = not work.was_called and find_store(path) is not None
    for sentence in drift_warnings(loaded, source, modality):
        warnings.warn(sentence, IsthmusWarning, stacklevel=1)
    written_codes = {} if codes is None else {"codes": codes, "read_with": reading_option(codes, path, code_ranges)}
    if json_:
        content = {"path": without_password(path), "rows": shape[0], "width": shape[1], "unchanged": is_unchanged}
        typer.echo(json.dumps(content | written_codes))
        return
    if is_unchanged:
        counted = f"all {shape[0]:,} x {shape[1]} rows are in {without_password(path)} already"
        typer.echo(f"Nothing was left to do: {counted}")
        return
    kind = f"aligned rows as {codes} codes" if codes else "rows"
    typer.echo(f"Wrote {shape[0]:,} x {shape[1]} {kind}: {without_password(path)}")
    if codes:
        typer.echo(f"Read them with {reading_option(codes, path, code_ranges)}")


def adapt(
    aligner: Annotated[Path, typer.Argument(help="an aligner saved by `isthmus fit`")],
    x: Annotated[str, typer.Argument(help="rows of the new corpus, first modality")],
    y: Annotated[str | None, typer.Argument(help="rows of the new corpus, second modality, paired or not")] = None,
    output: Annotated[Path, typer.Option("-o", "--output", help="path of the new aligner (.safetensors)")] = Path(
        "adapted.safetensors"
    ),
    modality: Annotated[
        str | None, typer.Option(help="modality of a single file; default: the name of the file")
    ] = None,
    drop_bad: DropBad = False,
    json_: Json = False,
) -> None:
    """Update a saved aligner with the means and covariances of unpaired rows of a new corpus."""
    from isthmus.align.streaming import modality_number
    from isthmus.data.sources import modality_name_among

    check_output(output, ALIGNER_SUFFIXES, "an aligner", [x, y])
    loaded = _load_aligner(aligner)
    if y is not None and modality is not None:
        raise InputError(f"--modality {modality}: applies to one file, and two were given; leave it out")
    names = loaded.modalities[:2]
    if y is None:
        names = (loaded.modalities[modality_number(loaded, modality or modality_name_among(x, loaded.modalities))],)
    with stages(OPENING, quiet=json_):
        sources = dict(zip(names, open_sources([path for path in (x, y) if path is not None]), strict=True))
        rows = {name: source.read(0, source.shape[0]) for name, source in usable(sources, drop_bad).items()}
        describe("adapting")
        drift = loaded.drift(**rows)
        loaded.adapt(**rows).save(output)
    if json_:
        typer.echo(json.dumps({"path": str(output), "changed": bool(drift), "sentences": list(drift.sentences)}))
        return
    print_bullets(list(drift.sentences))
    typer.echo(f"Adapted {type(loaded).__name__}: {output}")


def _load_aligner(path: Path) -> Any:
    """Load a saved aligner, and refuse files that hold something else."""
    loaded = isthmus.align.load(path)
    if not isinstance(loaded, isthmus.align.Aligner):
        raise InputError(f"{path}: holds {type(loaded).__name__}, expected an aligner written by `isthmus fit`")
    return loaded


def _options(settings: list[str]) -> dict[str, Any]:
    """Parse NAME=VALUE settings. A value that is not JSON is text."""
    parameters: dict[str, Any] = {}
    for setting in settings:
        option, equals, value = setting.partition("=")
        if not equals:
            raise InputError(f"--set {setting}: expected NAME=VALUE, such as --set energy=0.95")
        try:
            parameters[option] = json.loads(value)
        except json.JSONDecodeError:
            parameters[option] = value
    return parameters
