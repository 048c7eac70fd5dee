"""The verbs demo, inspect, fit, apply and adapt."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer

import isthmus
from isthmus.cli._common import (
    ClassTexts,
    Embeddings,
    Index,
    Json,
    Key,
    Labels,
    Names,
    open_pairs,
    print_bullets,
    print_table,
    read_class_texts,
    split_names,
)
from isthmus.cli.progress import progress_bar, spinner
from isthmus.utils.errors import InputError, IsthmusWarning
from isthmus.utils.validation import check_writable


def mount(app: typer.Typer) -> None:
    """Add the verbs to `app`."""
    for verb in (demo, inspect, fit, apply, adapt):
        app.command()(verb)


def demo(
    run: Annotated[str, typer.Option(help="plain, warm or collapsed; see `isthmus list runs`")] = "plain",
    output: Annotated[Path, typer.Option("-o", "--output", help="where the page goes")] = Path("isthmus-demo.html"),
    export: Annotated[
        Path | None, typer.Option(help="also write the embeddings as .npy files into this folder")
    ] = None,
) -> None:
    """The whole job on the embedded data: digits and their captions, held-out rows."""
    check_writable(output)
    if export is not None:
        for path in isthmus.demo.export(export, run):
            typer.echo(f"Wrote {path}")
    from isthmus.reporting.demo_predictions import predictions

    title = f"Digits and captions: the run '{run}'"
    testing, fitting = isthmus.demo.load(run, split="test"), isthmus.demo.load(run, split="train")
    with spinner(f"measuring {testing.n_pairs} held-out pairs of the run {run!r}"):
        explanation = isthmus.report(testing, output, fit=fitting, title=title, extra=predictions(run))
    print_bullets(explanation.verdict)
    typer.echo(f"\nThe page: {output.resolve()}")


def inspect(
    paths: Annotated[list[str], typer.Argument(help="one or more embedding files or folders")],
    key: Key = None,
    json_: Json = False,
) -> None:
    """Shape, dtype, norms, rows that cannot be used, duplicates, and whether two sources look paired."""
    from isthmus.diagnosis.inspection import first_pairs, looks_paired
    from isthmus.diagnosis.inspection import inspect as look

    sources = [isthmus.sources.open_source(path) for path in paths]
    if key is not None and len(sources) != 2:
        raise InputError(f"--key {key}: got {len(sources)} paths, expected the two that it pairs")
    pairs = None if key is None else open_pairs(paths[0], paths[1], "x,y", key)
    with spinner("reading", quiet=json_):
        looks = [look(source) for source in sources]
        pairing = None
        if pairs is not None:
            pairing = looks_paired(*first_pairs(pairs))
        elif len(sources) == 2:
            pairing = looks_paired(*sources)
    if json_:
        found: dict[str, Any] = {
            "format": 1,
            "version": isthmus.__version__,
            "sources": [i.to_dict() for i in looks],
        }
        typer.echo(json.dumps(found | {"pairing": pairing.to_dict() if pairing else None}, indent=1))
        return
    from isthmus.utils.format import number

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


def fit(
    aligner: Annotated[str, typer.Argument(help="name of the aligner; see `isthmus list aligners`")],
    x: Annotated[str, typer.Argument(help="embeddings of the first side, or a file of saved moments alone")],
    y: Annotated[str | None, typer.Argument(help="embeddings of the second side")] = None,
    output: Annotated[Path, typer.Option("-o", "--output", help="where the aligner goes (.safetensors)")] = Path(
        "aligner.safetensors"
    ),
    options: Annotated[
        list[str] | None, typer.Option("--set", help="option of the aligner, such as --set energy=0.95")
    ] = None,
    unpaired: Annotated[
        bool, typer.Option("--unpaired", help="rows do not belong together; for aligners that need no pairs")
    ] = False,
    labels: Labels = None,
    class_texts: ClassTexts = None,
    index: Index = None,
    key: Key = None,
    names: Names = None,
    json_: Json = False,
) -> None:
    """Fit an aligner to embeddings and save it."""
    check_writable(output)
    made = isthmus.align.get(aligner)().set_params(**_options(options or []))
    made.validate_options()
    how = _fit(made, x, y, names, unpaired, labels, class_texts, index, key, quiet=json_)
    made.save(output)
    if json_:
        facts = {
            "aligner": type(made).__name__,
            "options": made.get_params(),
            "facts": made.fit_info_,
            "path": str(output),
        }
        typer.echo(json.dumps(facts, indent=1))
        return
    typer.echo(f"Fitted {type(made).__name__} to {how}: {output}")
    if isinstance(made, isthmus.align.Auto):
        _show_choice(made)
        return
    for fact, value in made.fit_info_.items():
        typer.echo(f"  {fact}: {value}")


def _fit(
    made: Any,
    x: str,
    y: str | None,
    names: str | None,
    unpaired: bool,
    labels: Path | None,
    class_texts: Path | None,
    index: Path | None,
    key: str | None,
    *,
    quiet: bool,
) -> str:
    """Fit `made` to what was given; says to what."""
    if y is None:
        moments = isthmus.load(x)
        if not isinstance(moments, isthmus.Moments):
            raise InputError(f"{x}: is an aligner; expected saved moments, or two embedding files")
        called = split_names(names)
        made.fit_moments(moments, names=None if called is None else tuple(called))
        return f"saved moments of {moments.n:,} pairs"
    if unpaired:
        modalities = isthmus.data.opening.modality_names(x, y, split_names(names))
        sources = [isthmus.sources.open_source(path) for path in (x, y)]
        with spinner("fitting to unpaired rows", quiet=quiet):
            made.fit(*sources, paired=False, names=modalities)
            made.map_x_  # noqa: B018  # solved here, under the spinner
        counts = [f"{source.shape[0]:,} {name}" for source, name in zip(sources, modalities, strict=True)]
        return f"unpaired rows, {' and '.join(counts)}"
    pairs = open_pairs(x, y, names, key, labels=labels, index=index, same_dim=not made.allows_different_dims)
    texts = read_class_texts(class_texts, pairs)
    if texts is not None and not isinstance(made, isthmus.align.Auto):
        raise InputError(
            f"--class-texts is for Auto with --set aim=classification; {type(made).__name__} has no use for it"
        )
    with spinner(f"fitting to {pairs.n_pairs:,} pairs", quiet=quiet):
        made.fit(pairs, **({} if texts is None else {"class_texts": texts}))
        made.map_x_  # noqa: B018  # solved here, under the spinner
    return f"{pairs.n_pairs:,} pairs of {' and '.join(pairs.names)}"


def _show_choice(auto: Any) -> None:
    print_bullets(auto.reasons_)
    if not auto.table_:
        return
    value = {"search": "mixed R@1", "retrieval": "R@1", "classification": "accuracy"}[auto.aim]
    lines = [
        (
            row["name"], f"{row['value']:.3f}", f"{row['recall']:.3f}", f"{row['change']:+.3f}",
            f"{row['change_error']:.3f}", "yes" if row["admissible"] else "no",
        )
        for row in auto.table_
    ]  # fmt: skip
    print_table(("candidate", value, "R@1", "change of R@1", "standard error", "allowed"), lines)


def apply(
    aligner: Annotated[Path, typer.Argument(help="a saved aligner")],
    rows: Embeddings,
    out: Annotated[
        Path | None,
        typer.Argument(help="where the aligned rows go: .npy, .npz, .safetensors, or a new folder of shards"),
    ] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="the same as OUT")] = None,
    side: Annotated[str | None, typer.Option(help="which modality the rows are; default: the name of the file")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="go on where the same call was cut short")] = False,
    json_: Json = False,
) -> None:
    """Align the rows of a file, in order and in constant memory."""
    from isthmus.align.streaming import apply as run
    from isthmus.align.streaming import drift_warnings
    from isthmus.data.sources import modality_name

    if (out is None) == (output is None):
        raise InputError("give one output, such as: isthmus apply aligner.safetensors image.npy aligned.npy")
    path = out or output
    assert path is not None
    loaded = _aligner_in(aligner)
    if path.exists() and path.samefile(aligner):
        raise InputError(f"{path}: is the aligner itself; choose another output")
    source = isthmus.sources.open_source(rows)
    side = side or modality_name(rows)
    with progress_bar("aligning", quiet=json_) as progress:
        shape = run(loaded, source, path, side=side, resume=resume, progress=progress)
    for sentence in drift_warnings(loaded, source, side):
        warnings.warn(sentence, IsthmusWarning, stacklevel=1)
    if json_:
        typer.echo(json.dumps({"path": str(path), "rows": shape[0], "width": shape[1]}))
    else:
        typer.echo(f"Wrote {shape[0]:,} x {shape[1]} rows: {path}")


def adapt(
    aligner: Annotated[Path, typer.Argument(help="a saved aligner")],
    x: Annotated[str, typer.Argument(help="rows of the new corpus, first side")],
    y: Annotated[str | None, typer.Argument(help="rows of the new corpus, second side; need not be partners")] = None,
    output: Annotated[Path, typer.Option("-o", "--output", help="where the new aligner goes (.safetensors)")] = Path(
        "adapted.safetensors"
    ),
    side: Annotated[
        str | None, typer.Option(help="with one file: which modality; default: the name of the file")
    ] = None,
    json_: Json = False,
) -> None:
    """Refit a saved aligner to unpaired rows of a new corpus, as far as they suffice."""
    from isthmus.align.streaming import modality_number
    from isthmus.data.sources import modality_name

    check_writable(output)
    loaded = _aligner_in(aligner)
    if y is not None and side is not None:
        raise InputError(f"--side {side}: is for one file; two are the first and the second side")
    rows = [isthmus.sources.open_source(path) for path in (x, y) if path is not None]
    given = [source.read(0, source.shape[0]) for source in rows]
    if y is None and modality_number(loaded, side or modality_name(x)) == 1:
        given.insert(0, None)
    with spinner("adapting", quiet=json_):
        found = loaded.drift(*given)
        loaded.adapt(*given).save(output)
    if json_:
        typer.echo(json.dumps({"path": str(output), "changed": bool(found), "sentences": list(found.sentences)}))
        return
    print_bullets(list(found.sentences))
    typer.echo(f"Adapted {type(loaded).__name__}: {output}")


def _aligner_in(path: Path) -> Any:
    loaded = isthmus.load(path)
    if not isinstance(loaded, isthmus.align.Aligner):
        raise InputError(f"{path}: holds {type(loaded).__name__}, expected an aligner written by `isthmus fit`")
    return loaded


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
