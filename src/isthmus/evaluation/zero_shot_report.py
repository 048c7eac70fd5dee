"""Zero-shot classification of rows by class texts, and what the gap does to it. No text is repeated for any row."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from isthmus.compute.arrays import to_numpy, unit_rows
from isthmus.compute.resources import block_rows
from isthmus.data.equal_rows import find_equal_rows
from isthmus.data.grouping import row_groups
from isthmus.data.invalid_rows import usable_sources, valid_mask
from isthmus.data.joins import select_rows
from isthmus.data.opening_sets import open_sets
from isthmus.data.row_values import known_entries, read_row_values
from isthmus.data.unpaired_sets import UnpairedSets
from isthmus.metrics import measure
from isthmus.statistics.intervals import wilson_interval
from isthmus.statistics.result import Estimate
from isthmus.statistics.shares import share_change_interval
from isthmus.statistics.unpaired_moments import moments_of_rows
from isthmus.tasks.zero_shot import ZeroShot
from isthmus.utils import validation
from isthmus.utils.errors import InputError, IsthmusWarning
from isthmus.utils.files import FORMAT_VERSION
from isthmus.utils.format import counted, fixed, json_number, percent
from isthmus.utils.tabular import Tabular
from isthmus.utils.version import __version__

#: Classes that a sentence lists.
LISTED_CLASSES = 3
#: Kinds of degenerate data for which classification means little.
CONSTANT_KINDS = ("constant", "narrow")


@dataclass(frozen=True, eq=False, repr=False)
class ZeroShotReport(Tabular):
    """Zero-shot classification of rows as they are, and after both means are removed: a table with a line a class.

    Parameters
    ----------
    names : tuple of str
        Names of the rows and of the class texts.
    raw : ZeroShot
        Classes by the nearest class text.
    centred : ZeroShot
        Classes after the mean row and the mean class text are subtracted, which closes the gap.
    gap_angle : Estimate
        Angle between the two means.

    Examples
    --------
    >>> X, T = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6]]), np.eye(2)
    >>> evaluate_zero_shot(X, T, ["cat", "dog", "cat"], class_names=["cat", "dog"]).accuracy.value
    0.6666666666666666
    """

    kind: ClassVar[str] = "zero-shot report"

    names: tuple[str, str]
    raw: ZeroShot
    centred: ZeroShot
    gap_angle: Estimate

    def __repr__(self) -> str:
        return "\n".join(self.sentences())

    @property
    def accuracy(self) -> Estimate:
        """Share of rows whose nearest class text is that of their class. The null is the share of the largest class."""
        hits = self.raw.hits
        counts = np.unique(self.raw.labels, return_counts=True)[1]
        return Estimate(
            self.raw.accuracy,
            *wilson_interval(float(hits.sum()), len(hits)),
            null=float(counts.max() / len(hits)),
            unit="share",
        )

    @property
    def change(self) -> Estimate:
        """Change of the accuracy if both means are removed, with the interval of the paired differences."""
        gained, lost = (
            int(np.count_nonzero(a & ~b))
            for a, b in ((self.centred.hits, self.raw.hits), (self.raw.hits, self.centred.hits))
        )
        n = len(self.raw.hits)
        return Estimate((gained - lost) / n, *share_change_interval(gained, lost, n), null=0.0, unit="share")

    def rows(self) -> list[dict[str, Any]]:
        """Return one row for each class.

        Returns
        -------
        list of dict
            'class', 'rows', 'accuracy' with the ends 'low' and 'high' of its 95 % interval, 'predicted' (rows that are
            assigned to it) and 'centred_accuracy'. A class without rows has None.
        """
        raw, centred = self.raw.per_class, self.centred.per_class
        classes = []
        for name, count in zip(self.raw.classes.tolist(), self.raw.counts, strict=True):
            n_rows = int(np.count_nonzero(self.raw.labels == name))
            low, high = wilson_interval(raw[name] * n_rows, n_rows) if n_rows else (math.nan, math.nan)
            classes.append(
                {
                    "class": name,
                    "rows": n_rows,
                    "accuracy": json_number(raw[name]),
                    "low": json_number(low),
                    "high": json_number(high),
                    "predicted": int(count),
                    "centred_accuracy": json_number(centred[name]),
                }
            )
        return classes

    def columns(self) -> dict[str, list[Any]]:
        """Return one line for each class as columns.

        Returns
        -------
        dict of str to list
            The values of `rows`. Classes are texts, and absent numbers are NaN.
        """
        rows = self.rows()
        columns = {name: [math.nan if row[name] is None else row[name] for row in rows] for name in rows[0]}
        return {**columns, "class": [str(row["class"]) for row in rows]}

    def sentences(self) -> list[str]:
        """Return accuracy, the weakest classes, and what the gap does to them.

        Returns
        -------
        list of str
            Complete sentences.
        """
        accuracy, change = self.accuracy, self.change
        x, y = self.names
        classes = [row for row in self.rows() if row["accuracy"] is not None]
        weakest = sorted(classes, key=lambda row: row["accuracy"])[:LISTED_CLASSES]
        listed = ", ".join(f"class {row['class']} ({percent(row['accuracy'])})" for row in weakest)
        angle = self.gap_angle
        gap = f"has no angle ({angle.undefined})" if angle.undefined else f"is {fixed(angle.value, 1)} degrees"
        removal = f"{percent(self.centred.accuracy)}, {fixed(100 * change.value, 1, sign=True)} points"
        interval = f"95 %: {fixed(100 * change.low, 1, sign=True)} to {fixed(100 * change.high, 1, sign=True)}"
        if change.low > 0 or change.high < 0:
            effect = f"{'raises' if change.low > 0 else 'lowers'} the accuracy: {removal} ({interval})"
        else:
            largest = 100 * max(-change.low, change.high)
            effect = (
                f"gives {removal}: no change can be told from noise, and one of more than {fixed(largest, 1)} points "
                f"is excluded ({interval})"
            )
        return [
            f"The nearest of {counted(len(self.raw.classes), 'class text')} is right for {percent(accuracy.value)} of "
            f"the {counted(len(self.raw.labels), 'row')} of {x} (95 %: {percent(accuracy.low)} to "
            f"{percent(accuracy.high)}; the largest class has {percent(accuracy.null)}).",
            f"Lowest accuracy: {listed}. Gini index of the predicted classes {fixed(self.raw.gini, 3)}, of the true "
            f"ones {fixed(self.raw.label_gini, 3)}.",
            f"The gap between {x} and {y} {gap}. Removing both means {effect}.",
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values.

        Returns
        -------
        dict
            'accuracy', 'centred_accuracy', 'change', 'gap_angle', Gini indices, and 'classes' with `rows`.
        """
        return {
            "format": FORMAT_VERSION,
            "version": __version__,
            "names": list(self.names),
            "n": len(self.raw.labels),
            "accuracy": self.accuracy.to_dict(),
            "centred_accuracy": self.centred.accuracy,
            "change": self.change.to_dict(),
            "gap_angle": self.gap_angle.to_dict(),
            "predicted_class_gini": self.raw.gini,
            "label_gini": self.raw.label_gini,
            "classes": self.rows(),
        }

    def _saved(self) -> dict[str, Any]:
        classes = self.raw.classes.tolist()
        numbers = {name: number for number, name in enumerate(classes)}
        columns = {"labels": self.raw.labels, "predicted": self.raw.predicted, "centred": self.centred.predicted}
        classified = {name: [numbers[row] for row in values.tolist()] for name, values in columns.items()}
        return {**super()._saved(), "class_of_rows": classified}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], /) -> ZeroShotReport:
        """Return the report that `save` wrote.

        Parameters
        ----------
        content : mapping
            Content of the JSON file.

        Returns
        -------
        ZeroShotReport
            The report, with the class of each row.
        """
        classes = np.asarray([row["class"] for row in content["classes"]])
        rows = {
            name: classes[np.asarray(numbers, dtype=np.int64)] for name, numbers in content["class_of_rows"].items()
        }
        raw, centred = (ZeroShot(rows[name], rows["labels"], classes) for name in ("predicted", "centred"))
        return cls((content["names"][0], content["names"][1]), raw, centred, Estimate.from_dict(content["gap_angle"]))


def evaluate_zero_shot(
    x: Any,
    class_texts: Any,
    /,
    labels: Any,
    *,
    class_names: Any = None,
    names: Sequence[str] | None = None,
    drop_bad: bool = False,
    group: bool = True,
    normalize: bool = True,
    **reading: Any,
) -> ZeroShotReport:
    """Classify rows by the nearest class text, as they are and after both means are removed.

    Parameters
    ----------
    x : array-like or path
        Rows (n, d), such as images. Files are read in blocks.
    class_texts : array-like or path
        One row (C, d) for each class. The class text of each row of x, (n, d), is taken too: it counts once.
    labels : array-like or path
        Class of each row of x, (n,), or a file of them.
    class_names : array-like or path, optional
        Class of each class text, (C,), or a file of them. Default: if the labels are whole numbers from 0 to C - 1, row
        c belongs to class c. Else it belongs to the c-th of the sorted labels.
    names : sequence of str, optional
        Names of x and of the class texts, as in `isthmus.open_pairs`.
    drop_bad : bool, default False
        Whether rows that are NaN, infinite or all zero are left out with their labels, with a warning.
    group : bool, default True
        Whether equal rows of a class count once, with a warning.
    normalize : bool, default True
        Whether rows are divided by their norms.
    **reading
        Options of `isthmus.sources.open_source`.

    Returns
    -------
    ZeroShotReport
        Accuracy, per class, and what the gap does to it.

    Raises
    ------
    InputError
        If the numbers do not match, a label has no class text, a class has several, or the widths differ.

    Examples
    --------
    >>> X = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6]])
    >>> evaluate_zero_shot(X, np.eye(2), [0, 1, 1]).accuracy.value
    1.0
    """
    labels, class_names = read_row_values(labels, "labels", drop_bad=drop_bad), read_row_values(class_names, "classes")
    sets = open_sets(x, class_texts, names=names, group=False, **reading)
    labels, unknown = known_entries(labels, "labels", drop_bad=drop_bad)
    if unknown is not None and len(unknown) == sets.sizes[0]:
        sets, labels = _labelled_rows(sets, labels, ~unknown)
    sets, labels, classes = _classified_sets(sets, labels, class_names, normalize=normalize)
    if drop_bad:
        sets, labels, classes = _without_invalid_rows(sets, labels, classes)
    ZeroShot.check_class_names(labels, classes)
    if group:
        sets, labels = _distinct_rows(sets, labels, normalize=normalize)
    n, n_classes = sets.sizes
    moments = moments_of_rows(sets, normalize=normalize)
    texts = to_numpy(sets.y.read(0, n_classes)).astype(np.float64)
    texts = unit_rows(texts) if normalize else texts
    centred_texts = unit_rows(texts - moments.mean_y)
    predicted, predicted_centred = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64)
    size = block_rows(sets.dim)
    for start in range(0, n, size):
        rows = to_numpy(sets.x.read(start, start + size)).astype(np.float64)
        rows = unit_rows(rows) if normalize else rows
        predicted[start : start + size] = np.argmax(rows @ texts.T, axis=1)
        # The norm of a row does not change the order of its scores.
        predicted_centred[start : start + size] = np.argmax((rows - moments.mean_x) @ centred_texts.T, axis=1)
    result = measure(sets, metrics=["centroid_angle"], normalize=normalize)
    for entry in result.pairs["degenerate"]:
        if entry["kind"] in CONSTANT_KINDS:
            message = str(entry["message"])
            warnings.warn(f"{message[0].upper()}{message[1:]}.", IsthmusWarning, stacklevel=2)
    raw, centred = (ZeroShot(classes[numbers], labels, classes) for numbers in (predicted, predicted_centred))
    return ZeroShotReport(sets.names, raw, centred, result["centroid_angle"])


def _labelled_rows(sets: UnpairedSets, labels: Any, is_known: np.ndarray) -> tuple[UnpairedSets, np.ndarray]:
    """Return the rows whose label is known, with their labels, and their class texts if each row has its own."""
    (x, y), rows = sets.names, np.flatnonzero(is_known)
    texts = select_rows(sets.y, rows) if sets.sizes[1] == len(is_known) else sets.y
    return UnpairedSets(**{x: select_rows(sets.x, rows), y: texts}), np.asarray(labels)[rows]


def _classified_sets(
    sets: UnpairedSets, labels: Any, class_names: Any, *, normalize: bool
) -> tuple[UnpairedSets, np.ndarray, np.ndarray]:
    """Return the rows and one text for each class, the labels, and the class of each text, after a check of each."""
    (x, y), labels = sets.names, np.asarray(labels)
    n, n_texts = sets.sizes
    if labels.shape != (n,):
        swapped = f"; give {y} first, if the labels are those of its rows" if labels.shape == (n_texts,) else ""
        raise InputError(
            f"got labels of shape {labels.shape} for {counted(n, 'row')} of {x}, expected one each{swapped}"
        )
    validation.check_no_missing_label(labels, "labels", "leave these rows out")
    groups = find_equal_rows(sets.y, normalize=normalize)
    if groups is not None and class_names is None and n_texts == n:
        names, first, label_numbers = np.unique(labels, return_index=True, return_inverse=True)
        if np.array_equal(groups[first][label_numbers], groups):
            message = f"{y} repeats the class text of each row of {x}: {len(names)} of its {counted(n, 'row')} are used"
            warnings.warn(message, IsthmusWarning, stacklevel=3)
            return UnpairedSets(**{x: sets.x, y: select_rows(sets.y, first)}), labels, names
    classes = _class_names(labels, n_texts, sets.y.address) if class_names is None else np.asarray(class_names)
    if classes.shape != (n_texts,):
        raise InputError(
            f"got {counted(classes.size, 'class name')} for {counted(n_texts, 'class text')}, expected one for each"
        )
    validation.check_no_missing_label(classes, "class_names", "give a name for each class text")
    names, counts = np.unique(classes, return_counts=True)
    if counts.max() > 1:
        raise InputError(
            f"{y}: holds {counted(counts.max(), 'text')} of the class {names[counts.argmax()]}, expected one for each "
            "class; give their mean, or that of their unit rows"
        )
    if groups is not None:
        repeated = int(np.flatnonzero(np.bincount(groups)[groups] > 1)[-1])
        original = int(np.argmax(groups == groups[repeated]))
        message = (
            f"the texts of the classes {classes[original]} and {classes[repeated]} are equal, and "
            f"{int(groups.max()) + 1} of {n_texts} are distinct: rows of such classes are assigned to the first of them"
        )
        warnings.warn(message, IsthmusWarning, stacklevel=3)
    return sets, labels, classes


def _without_invalid_rows(
    sets: UnpairedSets, labels: np.ndarray, classes: np.ndarray
) -> tuple[UnpairedSets, np.ndarray, np.ndarray]:
    """Leave out the rows that are NaN, infinite or all zero, with their labels and classes."""
    is_valid_x, is_valid_y = valid_mask(sets.x)[0], valid_mask(sets.y)[0]
    usable = usable_sources({sets.names[0]: sets.x, sets.names[1]: sets.y}, paired=False)
    return UnpairedSets(**usable), labels[is_valid_x], classes[is_valid_y]


def _distinct_rows(sets: UnpairedSets, labels: np.ndarray, *, normalize: bool) -> tuple[UnpairedSets, np.ndarray]:
    """Return the distinct rows of each class with their labels."""
    groups = row_groups(sets.x, labels, normalize=normalize)
    if groups is None:
        return sets, labels
    (x, y), first = sets.names, np.unique(groups, return_index=True)[1]
    message = (
        f"{len(first):,} of {len(groups):,} {x} rows are distinct: equal rows of a class count once; --as-is, or "
        "group=False in Python, takes every row as it is"
    )
    warnings.warn(message, IsthmusWarning, stacklevel=3)
    return UnpairedSets(**{x: select_rows(sets.x, first), y: sets.y}), labels[first]


def _class_names(labels: np.ndarray, n_classes: int, address: str) -> np.ndarray:
    """Return the class of each class text: 0 to C - 1, or the sorted labels."""
    if labels.dtype.kind in "iu" and len(labels) and labels.min() >= 0 and labels.max() < n_classes:
        n_labels = int(labels.max()) + 1
        if 2 * n_labels <= n_classes:
            message = (
                f"{address}: no row has the label of the class texts {n_labels} to {n_classes - 1}, which still may be "
                "the nearest; give one text for each class, such as the mean of several, or the class of each text"
            )
            warnings.warn(message, IsthmusWarning, stacklevel=4)
        return np.arange(n_classes)
    classes = np.unique(labels)
    if len(classes) != n_classes:
        raise InputError(
            f"{address}: has {counted(n_classes, 'class text')}, and the labels name "
            f"{counted(len(classes), 'class')}; give one text for each class in sorted order, or the class of each "
            "text (--classes FILE.npy, class_names=)"
        )
    return classes
