"""Zero-shot classification: each row of x takes the class whose text is nearest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from isthmus.compute.arrays import unit_rows
from isthmus.compute.score_matrix import TILE_SHAPE
from isthmus.statistics.concentration import gini
from isthmus.tasks._base import Score, TaskData, TaskScores, require_labels, task
from isthmus.utils.errors import InputError


@dataclass(frozen=True, eq=False)
class ZeroShot:
    """Predicted classes of n rows, (n,), among C `classes`, and their true `labels`.

    >>> import numpy as np
    >>> found = ZeroShot.of(np.eye(3), ["a", "b", "b"], np.eye(3)[:2], class_names=["a", "b"])
    >>> round(found.accuracy, 3), found.per_class, found.counts.tolist()
    (0.667, {'a': 1.0, 'b': 0.5}, [2, 1])
    """

    predicted: np.ndarray
    labels: np.ndarray
    classes: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray, labels: Any, class_texts: np.ndarray, /, *, class_names: Any) -> ZeroShot:
        """Each row of x (n, d) takes the class of the nearest of `class_texts` (C, d) by inner product.

        The first of equal classes wins. `class_names[c]` is the label that class text c stands for.
        Errors: `InputError` when numbers do not fit or a label has no class text.
        """
        labels, classes = np.asarray(labels), np.asarray(class_names)
        if len(classes) != len(class_texts) or len(labels) != len(x):
            raise InputError(
                f"got {len(class_texts)} class texts with {len(classes)} names and {len(labels):,} labels for "
                f"{len(x):,} rows; expected one name for each text and one label for each row"
            )
        cls.check_texts(labels, classes)
        predicted = np.empty(len(x), dtype=np.int64)
        for start in range(0, len(x), TILE_SHAPE[0]):
            block = slice(start, start + TILE_SHAPE[0])
            predicted[block] = np.argmax(x[block] @ class_texts.T, axis=1)
        return cls(classes[predicted], labels, classes)

    @staticmethod
    def check_texts(labels: np.ndarray, classes: np.ndarray) -> None:
        """`InputError` when a label has no class text."""
        missing = np.setdiff1d(labels, classes)
        if len(missing):
            shown = ", ".join(map(str, missing[:5]))
            raise InputError(
                f"no class text for {len(missing)} of the labels ({shown}); give one vector for each class"
            )

    @property
    def hits(self) -> np.ndarray:
        """Whether each row got its class, (n,)."""
        return self.predicted == self.labels

    @property
    def accuracy(self) -> float:
        return float(np.mean(self.hits))

    @property
    def per_class(self) -> dict[Any, float]:
        """Accuracy of the rows of each class (its recall); NaN for a class without rows."""
        found = {}
        for name in self.classes:
            mine = self.labels == name
            found[name.item()] = float(np.mean(self.hits[mine])) if mine.any() else float("nan")
        return found

    @property
    def counts(self) -> np.ndarray:
        """How often each class was predicted, (C,)."""
        return _counts(self.predicted, self.classes)

    @property
    def gini(self) -> float:
        """Gini index of the predicted classes: 0 when all are predicted equally often, 1 - 1/C when only one is."""
        return gini(self.counts)

    @property
    def label_gini(self) -> float:
        """Gini index of the true classes: what the predictions of a perfect classifier would have."""
        return gini(_counts(self.labels, self.classes))

    @property
    def entropy(self) -> float:
        """Entropy of the predicted classes divided by log C: 1 when all are predicted equally often."""
        shares = self.counts[self.counts > 0] / len(self.predicted)
        return float(-np.sum(shares * np.log(shares)) / np.log(len(self.classes)))


def mean_texts(y: np.ndarray, owner: np.ndarray, labels: Any, /) -> tuple[np.ndarray, np.ndarray]:
    """(class names, (C, d) unit mean of the rows of y of each class): class texts made of labelled captions.

    They are stronger than a bare class name, because they average many captions; say which ones you used, and do not
    take them from the rows that are judged.
    """
    classes, number = np.unique(np.asarray(labels)[owner], return_inverse=True)
    sums = np.zeros((len(classes), y.shape[1]))
    order = np.argsort(number, kind="stable")
    begins = np.searchsorted(number[order], np.arange(len(classes)))
    sums[:] = np.add.reduceat(np.asarray(y[order], dtype=np.float64), begins, axis=0)
    return classes, unit_rows(sums).astype(y.dtype)


@task(
    "zero_shot",
    needs="labels",
    scores={
        "zero_shot_accuracy": Score("higher", "share of rows of x whose nearest class text is that of their class"),
        "predicted_class_gini": Score("lower", "Gini index of the predicted classes; 0 is even"),
        "predicted_class_entropy": Score("higher", "entropy of the predicted classes over log C; 1 is even"),
    },
    source="Radford et al. 2021, arXiv 2103.00020",
)
def zero_shot(data: TaskData) -> TaskScores:
    """Assign each row of x to the class of the nearest class text. Without given class texts the unit mean of the
    labelled fitting texts represents a class."""
    labels = require_labels(data, "zero_shot")
    names, texts = data.class_names, data.class_texts
    if names is None or texts is None:
        raise InputError("zero_shot needs class texts: give class_texts=, or labels on the fitting pairs")
    result = ZeroShot.of(data.x, labels, texts, class_names=names)
    return TaskScores(
        {"zero_shot_accuracy": result.hits.astype(float)},
        {"predicted_class_gini": result.gini, "predicted_class_entropy": result.entropy},
    )


def _counts(found: np.ndarray, classes: np.ndarray) -> np.ndarray:
    order = np.argsort(classes)
    return np.bincount(order[np.searchsorted(classes, found, sorter=order)], minlength=len(classes))
