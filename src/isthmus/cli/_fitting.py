"""Opening of the files that the verb `fit` fits an aligner to, with its progress."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import isthmus
from isthmus.cli._common import open_pairs, read_class_texts, split_names, two_paths
from isthmus.cli.progress import OPENING, describe, stages
from isthmus.cli.reading import open_sources
from isthmus.utils.errors import InputError
from isthmus.utils.format import counted
from isthmus.utils.progress import report_progress

#: Endings of the names of aligners. A name without ending is kept.
ALIGNER_SUFFIXES = (".safetensors", "")


def fit_to_files(
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
    with stages(OPENING, quiet=quiet):
        sources = open_sources([x, y])
        if getattr(estimator, "constraint", "none") == "no_pairs" and index is None and key is None:
            unpaired = unpaired or sources[0].shape[0] != sources[1].shape[0]
        reading: dict[str, Any] = {"drop_bad": drop_bad}
        if unpaired:
            modalities = isthmus.data.opening.modality_names(x, y, split_names(names))
            sources = list(usable(dict(zip(modalities, sources, strict=True)), **reading).values())
            describe("fitting to unpaired rows")
            _fit_and_solve(estimator, *sources, paired=False, names=modalities)
            counts = [f"{source.shape[0]:,} {name}" for source, name in zip(sources, modalities, strict=True)]
            return f"unpaired rows, {' and '.join(counts)}"
        reading |= {"as_is": as_is, "normalize": getattr(estimator, "normalize", True)}
        same_dim = not estimator.allows_different_dims
        pairs = open_pairs(x, y, names, key, labels=labels, index=index, same_dim=same_dim, **reading)
        texts = read_class_texts(class_texts, pairs)
        _fit_and_solve(estimator, pairs, **({} if texts is None else {"class_texts": texts}))
        if relevance is not None:
            report_progress(0, None, "calibrating the relevance")
            n_stored = dict(zip(pairs.names, pairs.n_distinct, strict=True))
            estimator.relevance(pairs, share_without_match=relevance, n_stored=n_stored)
    return f"{pairs.n_pairs:,} pairs of {' and '.join(pairs.names)}"


def _fit_and_solve(estimator: Any, *rows: Any, **options: Any) -> None:
    """Fit an aligner and solve for its maps, in two stages."""
    report_progress(0, 1, "reading rows")
    estimator.fit(*rows, **options)
    stage = f"solving {type(estimator).__name__}"
    report_progress(0, 1, stage)
    estimator.map_x_  # noqa: B018  # forces the solution while the progress is shown
    report_progress(1, 1, stage)


def usable(sources: dict[str, Any], drop_bad: bool, *, paired: bool = False, min_rows: int = 2) -> dict[str, Any]:
    """Return the sources, without their invalid rows if `drop_bad`."""
    from isthmus.data.invalid_rows import usable_sources

    return usable_sources(sources, paired=paired, min_rows=min_rows) if drop_bad else sources


def fit_to_modalities(
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
    with stages(OPENING, quiet=quiet):
        sources = usable(dict(zip(modalities, open_sources(paths), strict=True)), drop_bad, paired=not unpaired)
        describe(f"fitting to {counted(len(paths), 'modality')}")
        _fit_and_solve(estimator, **sources, paired=not unpaired, group=not as_is)
    return ", ".join(f"{source.shape[0]:,} {name}" for name, source in sources.items())
