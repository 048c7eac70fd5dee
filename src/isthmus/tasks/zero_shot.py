"""Zero-shot classification: each row of x is assigned to the class of the nearest class text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from isthmus.compute.arrays import to_numpy, unit_rows
from isthmus.compute.score_matrix import TILE_SHAPE
from isthmus.statistics.concentration import gini
from isthmus.tasks._base import Score, TaskData, TaskScores, task
from isthmus.tasks._labels import require_labels
from isthmus.utils.arguments import shown
from isthmus.utils.errors import InputError


@dataclass(frozen=True, eq=False)
class ZeroShot:
    """Zero-shot classification: the predicted and the true class of each row.

    Parameters
    ----------
    predicted : np.ndarray of shape (n,)
        Predicted class of each row.
    labels : np.ndarray of shape (n,)
        True class of each row.
    classes : np.ndarray of shape (C,)
        All classes.

    References
    ----------
    Radford et al. 2021, arXiv 2103.00020.

    Examples
    --------
    >>> import numpy as np
    >>> result = ZeroShot.of(np.eye(3), ["a", "b", "b"], np.eye(3)[:2], class_names=["a", "b"])
    >>> round(result.accuracy, 3), result.per_class, result.counts.tolist()
    (0.667, {'a': 1.0, 'b': 0.5}, [2, 1])
    """

    predicted: np.ndarray
    labels: np.ndarray
    classes: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray, labels: Any, class_texts: np.ndarray, /, *, class_names: Any) -> ZeroShot:
        """Assign each row of x to the class text with the largest inner product, and to the first of equal ones.

        Parameters
        ----------
        x : np.ndarray of shape (n, d)
            Rows.
        labels : array-like of shape (n,)
            True class of each row.
        class_texts : np.ndarray of shape (C, d)
            Vector that represents each class.
        class_names : array-like of shape (C,)
            Class of each class text.

        Returns
        -------
        ZeroShot
            Predicted and true classes.

        Raises
        ------
        InputError
            If the numbers do not match, or a label has no class text.
        """
        labels, classes = np.asarray(labels), np.asarray(class_names)
        if len(classes) != len(class_texts) or len(labels) != len(x):
            raise InputError(
                f"got {len(class_texts)} class texts with {len(classes)} names and {len(labels):,} labels for "
                f"{len(x):,} rows; expected one name for each text and one label for each row"
            )
        cls.check_class_names(labels, classes)
        predicted = np.empty(len(x), dtype=np.int64)
        for start in range(0, len(x), TILE_SHAPE[0]):
            block = slice(start, start + TILE_SHAPE[0])
            predicted[block] = np.argmax(x[block] @ class_texts.T, axis=1)
        return cls(classes[predicted], labels, classes)

    @staticmethod
    def check_class_names(labels: np.ndarray, classes: np.ndarray, /) -> None:
        """Raise if a label has no class text.

        Parameters
        ----------
        labels : np.ndarray of shape (n,)
            True class of each row.
        classes : np.ndarray of shape (C,)
            Classes that have a text.

        Raises
        ------
        InputError
            If a label is not among the classes.
        """
        missing = np.setdiff1d(labels, classes)
        if len(missing):
            examples = ", ".join(map(str, missing[:5]))
            raise InputError(
                f"no class text for {len(missing)} of the labels ({examples}); give one vector for each class"
            )

    @staticmethod
    def check_class_texts(class_texts: Any, dim: int, /, *, labels: np.ndarray | None = None) -> None:
        """Raise if class texts are no vectors by class, or if a label has none.

        Parameters
        ----------
        class_texts : mapping of label to array of shape (d,)
            A vector for each class.
        dim : int
            Width d of the vectors.
        labels : np.ndarray of shape (n,), optional
            Classes that need a vector.

        Raises
        ------
        InputError
            If there is no dictionary, a label is missing, or an entry is not a vector of d finite numbers with a
            direction.

        Examples
        --------
        >>> ZeroShot.check_class_texts({"cat": [1.0, 0.0]}, 2)
        """
        if not isinstance(class_texts, Mapping):
            raise InputError(f"class_texts={shown(class_texts)}, expected a dictionary of a vector for each class")
        for label, vector in class_texts.items():
            try:
                values = np.asarray(to_numpy(vector), dtype=np.float64)
            except (TypeError, ValueError):
                values = np.empty(0)
            if values.shape != (dim,) or not np.isfinite(values).all() or not values.any():
                raise InputError(
                    f"class_texts: got {shown(vector)} for the class {shown(label)}, expected a vector of {dim} finite "
                    "numbers that are not all zero"
                )
        if labels is not None:
            ZeroShot.check_class_names(labels, np.asarray(list(class_texts)))

    @property
    def hits(self) -> np.ndarray:
        """Return whether each row is assigned to its class, as booleans of shape (n,)."""
        return self.predicted == self.labels

    @property
    def accuracy(self) -> float:
        """Return the share of rows that are assigned to their class."""
        return float(np.mean(self.hits))

    @property
    def per_class(self) -> dict[Any, float]:
        """Return the accuracy of the rows of each class (its recall), NaN for a class without rows."""
        recalls = {}
        for name in self.classes.tolist():
            is_member = self.labels == name
            recalls[name] = float(np.mean(self.hits[is_member])) if is_member.any() else float("nan")
        return recalls

    @property
    def counts(self) -> np.ndarray:
        """Return the number of rows that are assigned to each class, of shape (C,)."""
        return _counts(self.predicted, self.classes)

    @property
    def gini(self) -> float:
        """Return the Gini index of the predicted classes: 0 if even, 1 - 1/C if one class is predicted alone."""
        return gini(self.counts)

    @property
    def label_gini(self) -> float:
        """Return the Gini index of the true classes, which a perfect classifier would have."""
        return gini(_counts(self.labels, self.classes))

    @property
    def entropy(self) -> float:
        """Return the entropy of the predicted classes over log C: 1 if all are predicted equally often."""
        shares = self.counts[self.counts > 0] / len(self.predicted)
        return float(-np.sum(shares * np.log(shares)) / np.log(len(self.classes)))


def mean_texts(y: np.ndarray, owner: np.ndarray, labels: Any, /) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean caption of each class, as class texts.

    Mean captions are stronger than a bare class name, because they average many captions. Do not take them from the
    test rows.

    Parameters
    ----------
    y : np.ndarray of shape (n_y, d)
        Rows of captions.
    owner : np.ndarray of shape (n_y,)
        Item of each caption.
    labels : array-like of shape (n_items,)
        Class of each item.

    Returns
    -------
    class_names : np.ndarray of shape (C,)
        Classes in sorted order.
    class_texts : np.ndarray of shape (C, d)
        Unit mean of the rows of each class.

    Examples
    --------
    >>> import numpy as np
    >>> captions = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 2.0]])
    >>> names, texts = mean_texts(captions, np.arange(3), ["dog", "cat", "cat"])
    >>> names.tolist(), texts.tolist()
    (['cat', 'dog'], [[0.0, 1.0], [1.0, 0.0]])
    """
    classes, class_numbers = np.unique(np.asarray(labels)[owner], return_inverse=True)
    order = np.argsort(class_numbers, kind="stable")
    begins = np.searchsorted(class_numbers[order], np.arange(len(classes)))
    sums = np.add.reduceat(np.asarray(y[order], dtype=np.float64), begins, axis=0)
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
    """Assign each row of x to the class of the nearest class text.

    Without given class texts the unit mean of the labelled fitting texts represents a class.
    """
    labels = require_labels(data, "zero_shot")
    names, texts = data.class_names, data.class_texts
    if names is None or texts is None:
        raise InputError("zero_shot needs class texts: give class_texts=, or labels on the fitting pairs")
    classification = ZeroShot.of(data.x, labels, texts, class_names=names)
    return TaskScores(
        {"zero_shot_accuracy": classification.hits.astype(float)},
        {"predicted_class_gini": classification.gini, "predicted_class_entropy": classification.entropy},
    )


def _counts(values: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Count the values of each class, in the order of the classes."""
    order = np.argsort(classes)
    return np.bincount(order[np.searchsorted(classes, values, sorter=order)], minlength=len(classes))
