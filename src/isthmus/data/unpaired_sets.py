"""Two sets of rows without pairs, such as an index and queries that belong to no row of it."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from isthmus.compute.arrays import to_numpy
from isthmus.compute.resources import block_rows
from isthmus.data.columns import as_source, same_library
from isthmus.data.pairs import Pairs
from isthmus.data.sources import Source
from isthmus.utils.errors import InputError
from isthmus.utils.format import counted
from isthmus.utils.transposition import check_same_dim

#: Rows of each set that measures of rows use, as many of both.
MAX_SAMPLED_ROWS = 10_000

#: Reason why a measure of pairs is undefined.
NO_PAIRS = "the rows have no matching pairs (--unpaired)"


class UnpairedSets:
    """Two named sets of rows of one width without pairs. Their sizes may differ.

    Parameters
    ----------
    **modalities : array-like, path or Source
        Exactly two, in order, as in `isthmus.Pairs`.

    Attributes
    ----------
    names : tuple of str
        Names of the modalities.
    x, y : Source
        Rows of the two modalities.

    Raises
    ------
    InputError
        If the widths differ or a dtype is not a float.

    Examples
    --------
    >>> sets = UnpairedSets(image=np.eye(3), text=np.eye(3)[:2])
    >>> sets.names, sets.sizes
    (('image', 'text'), (3, 2))
    """

    def __init__(self, **modalities: Any):
        if len(modalities) != 2:
            raise InputError(
                f"got {counted(len(modalities), 'modality')}, expected two, such as UnpairedSets(image=X, text=Y)"
            )
        self.names: tuple[str, str] = tuple(modalities)  # type: ignore[assignment]
        self.x, self.y = same_library(*(as_source(name, rows) for name, rows in modalities.items()))
        #: True if equal rows of a set have been looked for, as in `Pairs`.
        self.rows_are_items = False
        self._random_pairs: dict[int, Pairs] = {}
        check_same_dim(self.x.shape, self.y.shape, self.x.address, self.y.address)

    @property
    def sizes(self) -> tuple[int, int]:
        """Numbers of rows of x and of y."""
        return self.x.shape[0], self.y.shape[0]

    @cached_property
    def seeds(self) -> tuple[int, int]:
        """Seeds of the samples of x and y: 0 for the larger set, else for that whose rows come first."""
        n_x, n_y = self.sizes
        return (0, 1) if n_x > n_y or (n_x == n_y and _comes_first(self.x, self.y)) else (1, 0)

    @property
    def dim(self) -> int:
        """Width of the rows."""
        return self.x.shape[1]

    @property
    def pairing(self) -> dict[str, Any]:
        """Sizes of the sets, which have no pairs, as plain values."""
        return {"by": "none", "rows": dict(zip(self.names, self.sizes, strict=True))}

    def random_pairs(self, sample: int | None = None) -> Pairs:
        """Return as many random rows of x as of y, in random order.

        Rows i are as independent of each other as any other two rows. Statistics of two sets that leave out equal row
        numbers are therefore right for them.

        Parameters
        ----------
        sample : int, optional
            Rows that are needed. Default: 10,000, which is also the least.

        Returns
        -------
        Pairs
            The rows of the same number as pairs.
        """
        count = min(*self.sizes, max(sample or 0, MAX_SAMPLED_ROWS))
        if count not in self._random_pairs:
            self._random_pairs[count] = self._drawn_pairs(count)
        return self._random_pairs[count]

    def _drawn_pairs(self, count: int) -> Pairs:
        x, y = (sample_rows(source, count, seed) for source, seed in zip((self.x, self.y), self.seeds, strict=True))
        pairs = Pairs(**dict(zip(self.names, (x, y), strict=True)))
        pairs.rows_are_items = True
        return pairs

    def __repr__(self) -> str:
        return f"UnpairedSets({self.names[0]}={self.x!r}, {self.names[1]}={self.y!r})"


def _comes_first(x: Source, y: Source) -> bool:
    """Return whether the first number in which the rows differ is smaller in x, or if none differs. NaN is smallest."""
    size = block_rows(x.shape[1])
    for start in range(0, x.shape[0], size):
        blocks = [to_numpy(source.read(start, start + size)) for source in (x, y)]
        a, b = (np.where(np.isnan(block), -np.inf, block) for block in blocks)
        if (is_different := a != b).any():
            position = np.unravel_index(is_different.argmax(), a.shape)
            return bool(a[position] < b[position])
    return True


def sample_rows(source: Source, count: int, seed: int) -> np.ndarray:
    """Return `count` random rows, or all if there are no more, in random order.

    >>> sample_rows(Source(np.eye(3), address="x"), 5, 0).sum()
    np.float64(3.0)
    """
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.choice(source.shape[0], min(count, source.shape[0]), replace=False))
    return np.asarray(to_numpy(source.take(rows)))[rng.permutation(len(rows))]
