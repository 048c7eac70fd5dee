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
    open_pairs,
    print_score_definition,
    read_class_texts,
    split_names,
    two_paths,
)
from isthmus.cli.fit_facts import fit_lines
from isthmus.cli.printing import print_bullets, print_line, print_table
from isthmus.cli.progress import WorkNoted, stages
from isthmus.cli.reading import open_sources
from isthmus.utils.errors import InputError, IsthmusWarning
from isthmus.utils.format import counted, fixed
from isthmus.utils.paths import check_output

#: Endings of the names of aligners. A name without ending is kept.
ALIGNER_SUFFIXES = (".safetensors", "")


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
    json_: Json = False,
) -> None:
    """Fit a correction (an aligner) to embeddings and save it."""
    check_output(output, ALIGNER_SUFFIXES, "an aligner", [x, y, *(further or []), labels, class_texts, index])
    estimator: Any = isthmus.align.get(aligner)().set_params(**_options(options or []))
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
        fitting_data = _fit_modalities(estimator, paths, names, unpaired, **reading, quiet=json_)
    else:
        fitting_data = _fit(
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


def _fit(
    estimator: Any,
    x: str,
    y: str | None,
    names: str | None,
    unpaired: bool,
    labels: Path | None,
    class_texts: Path | None,
    relevance: float | None,
    index: Path | None,
    key: str | None,
    *,
    drop_bad: bool,
    as_is: bool,
    quiet: bool,
) -> str:
    """Fit `estimator` to the files and return a phrase that describes the data."""
    given = [o for o, v in {"--index": index, "--key": key, "--labels": labels}.items() if v is not None]
    if y is None:
        if Path(x).suffix not in ALIGNER_SUFFIXES or Path(x).is_dir():
            two_paths(x, None)  # its error says what is expected
        moments = isthmus.align.load(x)
        if not isinstance(moments, isthmus.Moments):
            raise InputError(f"{x}: is an aligner; expected saved moments, or two embedding files")
        if given:
            raise InputError(f"{given[0]} is about pairs, and saved moments hold none; leave it out")
        name_list = split_names(names)
        estimator.fit_moments(moments, names=None if name_list is None else tuple(name_list))
        return f"saved moments of {moments.n:,} pairs"
    if unpaired and given:
        raise InputError(f"{given[0]} is about pairs, and --unpaired rows have none; leave one out")
    sources = open_sources([x, y])
    if getattr(estimator, "constraint", "none") == "no_pairs" and index is None and key is None:
        unpaired = unpaired or sources[0].shape[0] != sources[1].shape[0]
    if unpaired:
        modalities = isthmus.data.opening.modality_names(x, y, split_names(names))
        sources = list(_usable(dict(zip(modalities, sources, strict=True)), drop_bad).values())
        with stages("fitting to unpaired rows", quiet=quiet):
            estimator.fit(*sources, paired=False, names=modalities)
            estimator.map_x_  # noqa: B018  # forces the solution while the progress is shown
        counts = [f"{source.shape[0]:,} {name}" for source, name in zip(sources, modalities, strict=True)]
        return f"unpaired rows, {' and '.join(counts)}"
    same_dim = not estimator.allows_different_dims
    reading: dict[str, Any] = {"drop_bad": drop_bad, "as_is": as_is, "normalize": getattr(estimator, "normalize", True)}
    pairs = open_pairs(x, y, names, key, labels=labels, index=index, same_dim=same_dim, **reading)
    texts = read_class_texts(class_texts, pairs)
    with stages(f"fitting to {pairs.n_pairs:,} pairs", quiet=quiet):
        estimator.fit(pairs, **({} if texts is None else {"class_texts": texts}))
        estimator.map_x_  # noqa: B018  # forces the solution while the progress is shown
        if relevance is not None:
            n_stored = dict(zip(pairs.names, pairs.n_distinct, strict=True))
            estimator.relevance(pairs, share_without_match=relevance, n_stored=n_stored)
    return f"{pairs.n_pairs:,} pairs of {' and '.join(pairs.names)}"


def _usable(sources: dict[str, Any], drop_bad: bool, *, paired: bool = False, min_rows: int = 2) -> dict[str, Any]:
    """Return the sources, without their invalid rows if `drop_bad`."""
    from isthmus.data.invalid_rows import usable_sources

    return usable_sources(sources, paired=paired, min_rows=min_rows) if drop_bad else sources


def _fit_modalities(
    estimator: Any, paths: list[str], names: str | None, unpaired: bool, *, drop_bad: bool, as_is: bool, quiet: bool
) -> str:
    """Fit an aligner to the files of three or more modalities and return a phrase that describes the data."""
    from isthmus.data.sources import distinct_modality_names
    from isthmus.data.sources._stacks import stack_names

    modalities = split_names(names) or stack_names(paths) or distinct_modality_names(paths)
    if len(modalities) != len(paths) or len(set(modalities)) != len(paths):
        raise InputError(
            f"got the names {', '.join(modalities)} for {counted(len(paths), 'file')}, expected as many different "
            "ones; name them with --names image,text,audio"
        )
    sources = _usable(dict(zip(modalities, open_sources(paths), strict=True)), drop_bad, paired=not unpaired)
    with stages(f"fitting to {counted(len(paths), 'modality')}", quiet=quiet):
        estimator.fit(**sources, paired=not unpaired, group=not as_is)
        estimator.map_x_  # noqa: B018  # forces the solution while the progress is shown
    return ", ".join(f"{source.shape[0]:,} {name}" for name, source in sources.items())


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
    source = _usable({modality: open_sources([rows], min_rows=1)[0]}, drop_bad, min_rows=1)[modality]
    path = outputs[0] if outputs else column_beside(rows, source)
    with stages("aligning", quiet=json_) as progress:
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
    sources = dict(zip(names, open_sources([path for path in (x, y) if path is not None]), strict=True))
    rows = {name: source.read(0, source.shape[0]) for name, source in _usable(sources, drop_bad).items()}
    with stages("adapting", quiet=json_):
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
