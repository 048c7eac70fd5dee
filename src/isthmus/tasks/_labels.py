"""Labels of the items, as tasks require them."""

from __future__ import annotations

import numpy as np

from isthmus.tasks._base import TaskData
from isthmus.utils.errors import InputError


def require_labels(data: TaskData, name: str, /) -> np.ndarray:
    """Return the labels, or raise if a task cannot use them.

    Parameters
    ----------
    data : TaskData
        Input of the task.
    name : str
        Name of the task, used in messages.

    Returns
    -------
    np.ndarray of shape (n_x,)
        Class of each item.

    Raises
    ------
    InputError
        If there are no labels, their number is not the number of items, or they name fewer than two classes.

    Examples
    --------
    >>> require_labels(TaskData(np.eye(2), np.eye(2), labels=np.array(["cat", "dog"])), "my_task").tolist()
    ['cat', 'dog']
    """
    if data.labels is None:
        raise InputError(f"{name} needs labels: give Pairs(..., labels=), one class for each row of the first modality")
    labels = np.asarray(data.labels)
    if len(labels) != data.n_items:
        raise InputError(f"{name} got {len(labels):,} labels for {data.n_items:,} rows of the first modality")
    if len(np.unique(labels)) < 2:
        same = f"all {len(labels):,} labels are {labels[:1].tolist()[0]!r}"
        raise InputError(f"{name} needs two classes or more, but {same}")
    return labels
