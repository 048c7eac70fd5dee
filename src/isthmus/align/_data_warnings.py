"""Warnings of `fit` about collapsed modalities, and about rows that do not match."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from isthmus.align._further import Names, same_length
from isthmus.data.columns import as_source
from isthmus.data.cross_dim_pairs import CrossDimPairs
from isthmus.data.pairs import Pairs
from isthmus.data.sources import Source
from isthmus.statistics.data_warnings import warn_of_data
from isthmus.statistics.near_copies import NEAR_COPIES

#: Kinds of degenerate data of which a fit warns. Few items and few directions are no error of the data.
KINDS = ("constant", "narrow", NEAR_COPIES)


def warn_of_fit(
    aligner: Any,
    X: Any,
    Y: Any,
    further: Mapping[str, Source],
    *,
    index: Any,
    paired: bool,
    names: Names | None,
    rotated: bool | None = None,
) -> None:
    """Warn once if the pairs of a fit are collapsed or do not match. It is called by `fit`.

    Parameters
    ----------
    aligner : Aligner
        The aligner.
    X, Y : array of shape (n, d), Source or Pairs
        Rows of the first two modalities.
    further : mapping of str to Source
        Rows of further modalities. Those that have as many rows as the first one are paired with it.
    index : array of int, optional
        Row of X that each row of Y belongs to.
    paired : bool
        Whether rows belong together. If not, nothing happens.
    names : tuple of str or None
        Names of the first two modalities.
    rotated : bool, optional
        Whether to warn of matching rows in two spaces. Default: unless the aligner needs pairs and may align them.
    """
    if not paired:
        return
    rotated = aligner._accepts_unpaired if rotated is None else rotated
    x, y = names or ("x", "y")
    every_pair = [X] if isinstance(X, Pairs) else [] if Y is None else [CrossDimPairs(index=index, **{x: X, y: Y})]
    if further:
        first = X.x if isinstance(X, Pairs) else as_source(x, X)
        hub_pairs = {name: rows for name, rows in further.items() if same_length(first, rows)}
        every_pair += [CrossDimPairs(**{x: first, name: rows}) for name, rows in hub_pairs.items()]
    for pairs in every_pair:
        if pairs.x.shape[1] == pairs.y.shape[1]:
            warn_of_data(pairs, rotated=rotated, kinds=KINDS, named=bool(further), stacklevel=4)
