"""`compare`: fit every aligner on some pairs, and evaluate it on others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from isthmus.align import (
    Aligner,
    Centering,
    HyperplaneRotation,
    Identity,
    KernelBlend,
    MeanRotation,
    PartialWhitening,
    ScoreCalibration,
    SharedSpaceProjection,
    get,
)
from isthmus.data.grouping import item_groups
from isthmus.data.opening import as_pairs
from isthmus.data.pairs import Pairs
from isthmus.data.shared_rows import sharing_rows
from isthmus.evaluation.grid import expand_grid
from isthmus.evaluation.held_out import check_disjoint, check_groups, fingerprint, warn_of_shared_rows
from isthmus.evaluation.splits import Design
from isthmus.evaluation.table import Comparison
from isthmus.evaluation.trial import Trial, TrialLog
from isthmus.statistics.data_warnings import warn_of_data
from isthmus.statistics.moments import moments_of
from isthmus.tasks import Task, ZeroShot, has_two_sided_truth, select_tasks
from isthmus.utils.arguments import check_callable, check_count, check_seed, shown
from isthmus.utils.errors import InputError, TooFewItemsError
from isthmus.utils.format import too_few
from isthmus.utils.progress import as_steps_of, report_progress
from isthmus.utils.validation import check_sample

#: More items than this are sampled, because the tasks cost n^2 for every aligner and split. Those that share rows of y
#: count as one.
MAX_ITEMS = 10_000
#: Fewer items than this cannot be halved into a set to fit on and a set to evaluate on.
MIN_ITEMS = 8

#: Name of the stage that is shown while it runs.
STAGE = "comparing corrections"
#: Scores of the clouds, which every map gets beside those of the tasks, and their directions.
GEOMETRY = {"gap_distance": "lower", "paired_cosine": "higher", "ceiling": "higher", "ceiling_reached": "higher"}

#: Called with the finished trials, all trials and the name of the last aligner.
Progress = Callable[[int, int, str], None]


def default_aligners() -> list[Aligner]:
    """Return the aligners that the report compares.

    Returns
    -------
    list of Aligner
        New aligners with their default options.

    Examples
    --------
    >>> [type(aligner).__name__ for aligner in default_aligners()][:2]
    ['ScoreCalibration', 'Centering']
    """
    return [
        ScoreCalibration(),
        Centering(),
        PartialWhitening(),
        KernelBlend(),
        MeanRotation(),
        HyperplaneRotation(),
        SharedSpaceProjection(),
        SharedSpaceProjection(estimator="published"),
    ]


@sharing_rows()
def compare(
    pairs: Any,
    y: Any = None,
    /,
    *,
    aligners: Sequence[Aligner | str] | None = None,
    tasks: Sequence[str] | None = None,
    fit: Any = None,
    splits: int = 5,
    rng: int = 0,
    normalize: bool = True,
    sweep: Mapping[str, Sequence[Any]] | None = None,
    fit_sizes: Sequence[int] | None = None,
    class_texts: Mapping[Any, Any] | None = None,
    journal: Any = None,
    progress: Progress | None = None,
    drop_bad: bool = False,
    group: bool = True,
    pool: str | None = None,
    sample: int | None = None,
) -> Comparison:
    """Fit each aligner on one half of the pairs and evaluate it on the other half, over several random halves.

    Identity (the raw embeddings) is always included. An aligner that refuses the data stays in the table with its
    reason.

    Parameters
    ----------
    pairs : Pairs, array-like or path
        Pairs of rows, or the rows of the first modality: an array, list, column or file. Items with the same row of x
        stay in one half.
    y : array-like or path, optional
        Rows of the second modality. Arrays are called 'x' and 'y'.
    aligners : sequence of Aligner or str, optional
        Aligners or their names. Default: `default_aligners`.
    tasks : sequence of str, optional
        Names in `isthmus.tasks.registry()`, or ['all']. Default: 'retrieval' and 'mixed_search', and 'two_sided_search'
        where several captions, or labels of at most ten items each, make rows of both modalities relevant. It then
        decides what is recommended.
    fit : Pairs or tuple of two array-likes or paths, optional
        Fitting pairs. If given, every aligner is fitted on them and evaluated on all of `pairs`, once.
    splits : int, default 5
        Number of random halves.
    rng : int, default 0
        Seed of the sample, the splits and the tasks.
    normalize : bool, default True
        Divide rows by their norm first.
    sweep : dict of str to sequence, optional
        Values of options. Every aligner that has an option is evaluated with each value, see `expand_grid`.
    fit_sizes : sequence of int, optional
        Numbers of fitting items. Every aligner is fitted on that many items of the fitting half. Items that share rows
        count once.
    class_texts : dict, optional
        Vector of shape (d,) for each label, for zero-shot classification. Default: the mean fitting text of each
        class.
    journal : path-like, optional
        JSON-lines file of finished trials. Trials in it are not computed again.
    progress : callable, optional
        Called as progress(done, total, aligner) after every trial.
    drop_bad : bool, default False
        Leave out pairs with a row that is NaN, infinite or all zero, with a warning that counts them.
    group : bool, default True
        Take equal rows of a modality as one item with several matches, with a warning that counts them.
    pool : {'mean', 'max', 'first'}, optional
        How several vectors of an item, (n, k, d), become one. Vectors that are all zero are padding.
    sample : int, optional
        Number of items in the random sample that is compared, 100 or more. Items that share rows of y are drawn
        together, and count as one. Default: 10,000. The table states how many items the sample has.

    Returns
    -------
    Comparison
        The table: one row for each aligner, with the change of each score from the raw embeddings.

    Raises
    ------
    InputError
        If there are fewer than 8 items, a task lacks labels, the sample is too small, or a name is unknown. Also if
        `fit` holds the test pairs: the same object, the same files or the same rows.

    Notes
    -----
    If a score is a mean or a median over items, the interval of its change comes from the differences of the items.
    Items with the same row of x count as one. The variance of the mean over S splits is 1.15 (C + D / S). Here C is
    the covariance of two splits, from the items that both hold out, and C + D is the variance of one split. If splits
    vary more than D explains, the excess is added, divided by S. Items move the median rank and the shares of the same
    modality also as stored rows. For score corrections and `MeanRotation` they count as fitting items, too, see the
    reference of tasks. The interval
    of other scores (ARI, Gini index) comes from the spread over three or more splits with the correction of [1]_.

    References
    ----------
    .. [1] Nadeau and Bengio 2003, Inference for the Generalization Error.

    Examples
    --------
    >>> import numpy as np, isthmus
    >>> X, Y = np.random.default_rng(0).normal(size=(2, 100, 8)) + [[[1.0]], [[2.0]]]
    >>> table = isthmus.compare(isthmus.Pairs(image=X, text=Y), splits=1)
    >>> table.rows[0].name, table.n_fit, table.n_test
    ('Identity', 50, 50)
    """
    check_sample(sample)
    splits = check_count(splits, "splits")
    check_seed(rng)
    check_callable(progress, "progress")
    if sweep is not None and not isinstance(sweep, Mapping):
        raise InputError(f"sweep={shown(sweep)}, expected a dictionary")
    pairs = as_pairs(pairs, y, drop_bad=drop_bad, group=group, pool=pool, normalize=normalize)
    fit = (
        None
        if fit is None
        else as_pairs(fit, names=pairs.names, drop_bad=drop_bad, group=group, pool=pool, normalize=normalize)
    )
    if class_texts is not None:
        ZeroShot.check_class_texts(class_texts, pairs.y.shape[1])
    selected_tasks = select_tasks(_default_tasks(pairs) if tasks is None else tasks)
    _check_arguments(pairs, fit, selected_tasks, class_texts)
    candidates = _candidates(aligners, sweep or {}, normalize)
    moments_of(pairs, normalize=normalize)  # reads every row, so that an invalid row is reported with its position
    warn_of_data(pairs)
    paths, dependence, n_items = (str(pairs.x.address), str(pairs.y.address)), pairs.dependence, pairs.n_items
    pairs = pairs.sample(MAX_ITEMS if sample is None else sample, rng=rng)
    item_group = item_groups(pairs)
    if fit is None:
        check_groups(item_group, MIN_ITEMS, pairs=pairs)
        warn_of_shared_rows(pairs, item_group)
    settings: dict[str, Any] = {
        "rng": rng,
        "normalize": normalize,
        "tasks": [task.name for task in selected_tasks],
        "fit": None if fit is None else fingerprint(fit),
        "class_texts": None if class_texts is None else sorted(map(str, class_texts)),
    }
    data_facts = _describe(pairs, paths, dependence, n_items)
    log = None if journal is None else TrialLog(journal, {"fingerprint": data_facts["fingerprint"], **settings})
    blocks = _blocks(candidates, fit_sizes)
    design = Design(pairs, fit, item_group, selected_tasks, blocks, class_texts, normalize, rng)
    trials = _run(design, splits if fit is None else 1, log, progress)
    better = {name: score.better for task in selected_tasks for name, score in task.scores.items()}
    return Comparison.from_trials(trials, data=data_facts, settings=settings, better=GEOMETRY | better)


def _default_tasks(pairs: Pairs) -> list[str]:
    """Return the tasks that judge by the exchange score, or by the two-sided truth where there is one."""
    truth = {"index": pairs.index, "y_groups": pairs.y_groups, "labels": pairs.labels}
    two_sided = has_two_sided_truth(pairs.n_items, pairs.n_pairs, **truth)
    return ["retrieval", "mixed_search", *(["two_sided_search"] if two_sided else [])]


def _check_arguments(pairs: Pairs, fit: Pairs | None, tasks: Sequence[Task], class_texts: Any) -> None:
    if fit is not None:
        check_disjoint(pairs, fit)
    if pairs.n_components < MIN_ITEMS:
        reason = "to fit on one half and evaluate on the other"
        raise TooFewItemsError(f"{too_few(pairs.n_components, 'item')} {reason}, expected {MIN_ITEMS} or more")
    for task in tasks:
        if task.needs == "labels" and pairs.labels is None:
            raise InputError(
                f"the task {task.name} needs labels: give Pairs(..., labels=), in the shell --labels FILE.npy"
            )
        if task.needs == "labels or captions" and pairs.labels is None and pairs.index is pairs.y_groups is None:
            advice = "give Pairs(..., labels=), in the shell --labels FILE.npy"
            raise InputError(f"the task {task.name} needs labels, or items with several rows of y: {advice}")
        if task.name == "zero_shot" and class_texts is None and fit is not None and fit.labels is None:
            raise InputError("zero_shot needs class_texts=, or labels on the fitting pairs to take mean texts from")


def _candidates(
    aligners: Sequence[Aligner | str] | None, sweep: Mapping[str, Sequence[Any]], normalize: bool
) -> list[Aligner]:
    """Return Identity, and every other aligner with every combination of the swept options."""
    if aligners is None:
        candidates = default_aligners()
    else:
        listed = aligners.split(",") if isinstance(aligners, str) else aligners
        if not isinstance(listed, Iterable):
            raise InputError(f"aligners={shown(aligners)}, expected a list of aligners or of their names")
        candidates = [get(a)(normalize=normalize) if isinstance(a, str) else a for a in listed]
        for candidate in candidates:
            if not isinstance(candidate, Aligner):
                raise InputError(f"aligners: got {shown(candidate)}, expected aligners such as Centering(), or names")
    fitted_aligners = [aligner for aligner in expand_grid(candidates, sweep) if type(aligner) is not Identity]
    return [Identity(normalize=normalize), *fitted_aligners]


def _blocks(candidates: list[Aligner], fit_sizes: Sequence[int] | None) -> list[tuple[int | None, Sequence[Aligner]]]:
    """Return the aligners for each number of fitting items. Identity is not fitted, so it appears once."""
    if fit_sizes is None:
        return [(None, candidates)]
    if not isinstance(fit_sizes, Iterable):
        raise InputError(f"fit_sizes={shown(fit_sizes)}, expected a list of numbers of items, such as [50, 100]")
    sizes = [check_count(size, "fit_sizes") for size in fit_sizes]
    return [(None, candidates[:1]), *((size, candidates[1:]) for size in sizes)]


def _run(design: Design, n_splits: int, log: TrialLog | None, progress: Progress | None) -> list[Trial]:
    """Run all trials that the journal does not hold, write each to it, and return them in the order of the table."""
    finished = {} if log is None else log.trials
    total = n_splits * len(design.rows)
    trials: list[Trial] = []
    report_progress(0, total, STAGE)
    with as_steps_of(STAGE, lambda: (len(trials), total, f"{len(trials) + 1} of {total}")):
        for trial in design.run(n_splits, finished):
            if log is not None and trial.key not in finished:
                log.append(trial)
            trials.append(trial)
            report_progress(len(trials), total, STAGE, trial.aligner)
            if progress is not None:
                progress(len(trials), total, trial.aligner)
    order = {key: position for position, key in enumerate(design.rows)}
    return sorted(trials, key=lambda trial: (trial.split, order[trial.summary_key]))


def _describe(pairs: Pairs, paths: tuple[str, str], dependence: str | None, n_items: int) -> dict[str, Any]:
    """Return the description of the data that is stored with the table. They are a sample of `n_items` items."""
    return {
        "name": _short_name(paths, pairs.names),
        "names": list(pairs.names),
        "paths": list(paths),
        "items": pairs.n_items,
        "pairs": pairs.n_pairs,
        "dim": pairs.dim,
        "pairing": pairs.pairing,
        "fingerprint": fingerprint(pairs),
        **({} if pairs.n_components == pairs.n_items else {"independent_items": pairs.n_components}),
        **({} if pairs.n_items == n_items else {"sampled_from": n_items}),
        **({} if dependence is None else {"no_interval": dependence}),
    }


def _short_name(paths: tuple[str, str], names: tuple[str, str]) -> str:
    """Return the names of the modalities, and the folders of their files."""
    folders = dict.fromkeys(Path(path).parent.name for path in paths if path not in names)
    return " / ".join(names) + (f" in {', '.join(folders)}" if any(folders) else "")
