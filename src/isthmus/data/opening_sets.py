"""Opening of two sets of rows without pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from isthmus.data.grouping import distinct_sets
from isthmus.data.invalid_rows import usable_sources
from isthmus.data.named_rows import check_one_argument
from isthmus.data.opening import is_stack, named_sources, two_modalities
from isthmus.data.pairs import Pairs
from isthmus.data.unpaired_sets import UnpairedSets
from isthmus.utils.arguments import check_flags
from isthmus.utils.errors import InputError


def open_sets(
    x: Any,
    y: Any = None,
    /,
    *,
    names: Sequence[str] | None = None,
    drop_bad: bool = False,
    group: bool = True,
    normalize: bool = True,
    **reading: Any,
) -> UnpairedSets:
    """Open two sets of rows without pairs, whose sizes may differ.

    Parameters
    ----------
    x : UnpairedSets, Pairs, array-like, path or mapping
        Sets, pairs whose pairing is not used, rows of the first modality, or two modalities by name.
    y : array-like or path, optional
        Rows of the second modality, if `x` holds the first one alone.
    names : sequence of str, optional
        Names of the two modalities, as in `open_pairs`.
    drop_bad : bool
        Whether rows that are NaN, infinite or all zero are left out, with a warning. Default: False.
    group : bool
        Whether equal rows of a set count once, as in `distinct_sets`. Default: True.
    normalize : bool
        Whether rows of different lengths may be equal. Default: True.
    **reading
        Options of `isthmus.sources.open_source`, as in `open_pairs`.

    Returns
    -------
    UnpairedSets
        The sets.

    Raises
    ------
    InputError
        If the second modality is missing, or the widths differ.

    Examples
    --------
    >>> import numpy as np
    >>> open_sets(np.eye(3), np.eye(3)[:2]).sizes
    (3, 2)
    """
    check_flags(drop_bad=drop_bad, group=group, normalize=normalize)
    if isinstance(x, UnpairedSets) and not drop_bad:
        return distinct_sets(x, group=group, normalize=normalize)
    if isinstance(x, (Pairs, UnpairedSets)):
        modalities = dict(zip(x.names, (x.x, x.y), strict=True))
    else:
        if y is None and isinstance(x, Mapping) and len(x) == 2:
            (x, y), names = x.values(), tuple(x)
        elif y is None and is_stack(x):
            x, y = two_modalities(x)
        elif y is None and isinstance(x, tuple) and len(x) == 2:
            x, y = x
        if y is None:
            check_one_argument(x)
            raise InputError(f"got one {type(x).__name__}, expected two modalities: give (x, y)")
        sources, opened_names = named_sources(x, y, names, reading)
        modalities = dict(zip(opened_names, sources, strict=True))
    sets = UnpairedSets(**(usable_sources(modalities, paired=False) if drop_bad else modalities))
    return distinct_sets(sets, group=group, normalize=normalize)
