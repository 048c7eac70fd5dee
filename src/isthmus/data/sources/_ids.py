"""Selection of the rows of an index by a file of ids."""

from __future__ import annotations

from typing import Any

import numpy as np

from isthmus.utils import paths
from isthmus.utils.errors import InputError
from isthmus.utils.files import load_npy


def selected_ids(file: str, ids: np.ndarray, address: str) -> np.ndarray:
    """Return the ids in an .npy file, each once, in ascending order.

    Parameters
    ----------
    file : str
        Path of the file.
    ids : numpy.ndarray
        Ids of the index.
    address : str
        Index that messages name.

    Returns
    -------
    numpy.ndarray
        Ids (m,).

    Raises
    ------
    InputError
        If the file holds no integers, or ids that are not in the index.
    """
    path = paths.check_readable(file, "an .npy file of ids")
    chosen = load_npy(path)
    if chosen is None:
        raise InputError(f"{path}: is not an .npy file of ids; save them with numpy.save")
    if chosen.ndim != 1 or not np.issubdtype(chosen.dtype, np.integer):
        raise InputError(f"{path}: holds {chosen.dtype} of shape {chosen.shape}, expected a list of integer ids")
    chosen = np.unique(chosen).astype(np.int64)
    absent = np.setdiff1d(chosen, ids)
    if len(absent):
        raise InputError(f"{path}: {len(absent):,} of its ids, such as {absent[0]}, are not in {address}")
    return chosen


class SelectedRows:
    """Rows of a matrix at some positions.

    Parameters
    ----------
    rows : array-like
        Rows (n, d).
    positions : numpy.ndarray
        Numbers of the selected rows (m,).
    """

    random_access = True

    def __init__(self, rows: Any, positions: np.ndarray):
        self.rows, self.positions = rows, positions
        self.shape = (len(positions), int(rows.shape[1]))
        self.dtype = rows.dtype

    def __getitem__(self, key: Any) -> np.ndarray:
        selected: np.ndarray = np.asarray(self.rows[self.positions[key[0] if isinstance(key, tuple) else key]])
        return selected
