"""Options and readers of arguments that several verbs share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import isthmus
from isthmus.cli.printing import print_bullets, print_line
from isthmus.cli.reading import reading_options
from isthmus.utils.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from isthmus.data.pairs import Pairs
    from isthmus.data.unpaired_sets import UnpairedSets
    from isthmus.diagnosis import Explanation

#: Task and score of the scores of a search over both modalities, by their names in sentences.
DEFINED_SCORES = {
    "exchange score": ("mixed_search", "exchange_R@1"),
    "two-sided NDCG@10": ("two_sided_search", "two_sided_NDCG@10"),
}

Embeddings = Annotated[
    str,
    typer.Argument(
        help="embeddings: .npy, .npz, .safetensors, .parquet, .arrow, .h5, .pt, .tar, a folder of shards, or the URL "
        "of a parquet file; FILE::NAME selects an array or column; or a vector store, such as lancedb://FOLDER/TABLE::COLUMN"
    ),
]
Names = Annotated[
    str | None, typer.Option("--names", help="comma-separated names of the modalities, such as image,text")
]
Key = Annotated[
    str | None,
    typer.Option(
        "--key",
        help="pair rows by this column of both files; or COLUMN,COLUMN, or files of keys: ids_x.npy,ids_y.npy. The "
        "keys 7 and 007 differ",
    ),
]
DropBad = Annotated[
    bool, typer.Option("--drop-bad", help="leave out pairs with a row that is NaN, infinite or all zeros")
]
AsIs = Annotated[
    bool, typer.Option("--as-is", help="treat equal rows as different rows, not as one row with several matches")
]
Unpaired = Annotated[
    bool,
    typer.Option("--unpaired", help="the rows are not paired, and sizes may differ; compute only what needs no pairs"),
]
Json = Annotated[bool, typer.Option("--json", help="print JSON")]
Sample = Annotated[
    int | None,
    typer.Option("--sample", help="number of items in the random sample for measures that need rows; default: 10000"),
]
SampleOfItems = Annotated[
    int | None, typer.Option("--sample", help="number of items in the random sample that is evaluated; default: 10000")
]
Raw = Annotated[bool, typer.Option("--no-normalize", help="do not divide rows by their norms")]
Labels = Annotated[
    Path | None,
    typer.Option("--labels", help="file with the class of each row of the first modality, in a format of --index"),
]
Index = Annotated[
    Path | None,
    typer.Option(
        "--index",
        help="file with, for each row of the second modality, the number of its matching row in the first: .npy, .txt, "
        ".csv, .jsonl or .parquet (FILE::COLUMN)",
    ),
]
ClassTexts = Annotated[
    Path | None,
    typer.Option(
        "--class-texts",
        help="file with one embedding in the second modality for each class, in the order of the sorted classes",
    ),
]


def open_pairs(
    x: str,
    y: str,
    names: str | None,
    key: str | None = None,
    *,
    labels: Path | None = None,
    index: Path | None = None,
    same_dim: bool = True,
    drop_bad: bool = False,
    as_is: bool = False,
    normalize: bool = True,
) -> Pairs:
    """Open two embedding files as pairs, with the options of the command line."""
    return isthmus.open_pairs(
        x,
        y,
        names=split_names(names),
        index=None if index is None else str(index),
        labels=None if labels is None else str(labels),
        key=key if key is None or "," not in key else tuple(key.split(",")),
        same_dim=same_dim,
        drop_bad=drop_bad,
        group=not as_is,
        normalize=normalize,
        **reading_options(),
    )


def two_paths(x: str, y: str | None) -> tuple[str, str]:
    """Return the paths of two modalities. One file may hold a stack (2, n, d) of both."""
    if y is not None:
        return x, y
    from isthmus.data.opening import is_stack, one_path_error, two_modalities

    if is_stack(x):
        return two_modalities(x)
    raise one_path_error(x)


def modality_paths(paths: Sequence[str]) -> list[str]:
    """Return the paths, or those of all modalities if one file holds a stack (k, n, d) of them."""
    from isthmus.data.sources._stacks import stack_members

    return (stack_members(paths[0]) if len(paths) == 1 else []) or list(paths)


def open_sets(
    x: str, y: str, names: str | None, *, drop_bad: bool, group: bool, normalize: bool, **options: Any
) -> UnpairedSets:
    """Open two embedding files as sets without pairs. Options that are about pairs raise `InputError`."""
    from isthmus.data.opening_sets import open_sets as open_unpaired

    for name, value in options.items():
        if value:
            raise InputError(f"--{name.replace('_', '-')} is about pairs, and --unpaired sets have none; leave one out")
    reading = {"drop_bad": drop_bad, "group": group, "normalize": normalize, **reading_options()}
    return open_unpaired(x, y, names=split_names(names), **reading)


def split_names(names: str | None) -> list[str] | None:
    """Return the comma-separated names as a list, or None."""
    return None if names is None else names.split(",")


def check_classes_used(estimator: Any, labels: Path | None, class_texts: Path | None) -> None:
    """Raise `InputError` if classes are given to an aligner that does not use them."""
    aims = {"--class-texts": ("classification",), "--labels": ("search", "classification")}
    for (option, used_by), path in zip(aims.items(), (class_texts, labels), strict=True):
        if path is not None and getattr(estimator, "aim", None) not in used_by:
            settings = " or ".join(f"aim={aim}" for aim in used_by)
            raise InputError(
                f"{option} is for Auto with --set {settings}; this {type(estimator).__name__} does not use it"
            )


def read_class_texts(path: Path | None, pairs: Pairs) -> dict[Any, np.ndarray] | None:
    """Return the text vector of each class by its label. Row c belongs to the c-th of the sorted classes."""
    if path is None:
        return None
    if pairs.labels is None:
        raise InputError("--class-texts needs --labels: the classes are those of the labels, sorted")
    import numpy as np

    from isthmus.data.sources import open_source

    source, classes = open_source(path), np.unique(pairs.labels)
    texts = source.read(0, source.shape[0])
    if texts.shape != (len(classes), pairs.y.shape[1]):
        raise InputError(
            f"{path}: has shape {texts.shape}, expected ({len(classes)}, {pairs.y.shape[1]}): one row for each class"
        )
    return dict(zip(classes.tolist(), texts, strict=True))


def print_verdict(explanation: Explanation) -> None:
    """Print the sentences of the verdict as a list, the recommended correction first."""
    from isthmus.diagnosis.recommendation import recommendation_sentence

    comparison = explanation.comparison
    recommendation = "" if comparison is None else recommendation_sentence(comparison)
    print_bullets(sorted(explanation.verdict, key=lambda sentence: sentence != recommendation))
    for score in DEFINED_SCORES:
        if score in recommendation.partition("decides")[0]:
            print_score_definition(score)


def print_score_definition(name: str) -> None:
    """Print the definition of one of `DEFINED_SCORES`."""
    from isthmus.tasks import registry

    task, score = DEFINED_SCORES[name]
    definition = registry()[task].scores[score].definition
    text = definition if definition.startswith(name) else f"{name}: {definition}"
    print_line(f"{text[0].upper()}{text[1:]}.")
