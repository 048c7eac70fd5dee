"""Modalities after the second: their moments, their row maps, and rows that come by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from isthmus.align._maps import Affine, Map, arrays_of_map
from isthmus.align._statistics import Statistics
from isthmus.data.columns import as_source
from isthmus.data.cross_dim_pairs import CrossDimPairs
from isthmus.data.grouping import pairs_of_items
from isthmus.data.named_rows import column_modalities
from isthmus.data.opening import is_stack, two_modalities
from isthmus.data.pairs import Pairs
from isthmus.data.sources import Source
from isthmus.statistics.moments import Moments
from isthmus.utils.arguments import check_flags, list_of_names, shown
from isthmus.utils.errors import InputError

#: Begin of the names of the arrays of their maps.
MAP = "map."
#: Variance that every direction gets where two maps of the first modality are compared, relative to the mean variance.
RIDGE = 0.1

#: Arguments of the fit of `Auto` that no other fit has.
OPTIONS_OF_AUTO = ("labels", "class_texts")

Names = tuple[str, str]


@dataclass(frozen=True, eq=False)
class Cloud:
    """Number, mean (d,) and covariance (d, d) with divisor n of the rows of one modality."""

    n: int
    mean: np.ndarray
    cov: np.ndarray

    @classmethod
    def of_statistics(cls, statistics: Statistics, number: int) -> Cloud:
        """Return the statistics of the first (0) or the second modality (1)."""
        if number:
            return cls(statistics.n_y, statistics.mean_y, statistics.cov_y)
        return cls(statistics.n_x, statistics.mean_x, statistics.cov_x)

    def statistics(self, second: Cloud) -> Statistics:
        """Return the statistics of this modality as x and a second one as y."""
        return Statistics(self.n, second.n, self.mean, second.mean, self.cov, second.cov)


@dataclass(frozen=True, eq=False)
class Further:
    """Moments of the rows of a modality after the second.

    Attributes
    ----------
    moments : Moments
        NumPy moments whose y is this modality. x is the first modality if the rows are paired with it, else y again.
    is_paired : bool
        Whether row i belongs to row i of the first modality.
    """

    moments: Moments
    is_paired: bool

    @classmethod
    def of(
        cls, first: Source | None, source: Source, names: Names, *, is_paired: bool, group: bool, normalize: bool
    ) -> Further:
        """Return the moments of a source, which is paired with the rows of the first modality or alone."""
        if not is_paired:
            return cls(Moments.of(source, source, normalize=normalize).numpy(), False)
        pairs = CrossDimPairs(**dict(zip(names, (first, source), strict=True)))
        return cls(
            Moments.of(pairs_of_items(pairs, group=group, normalize=normalize), normalize=normalize).numpy(), True
        )

    @classmethod
    def alone(cls, cloud: Cloud, *, normalize: bool) -> Further:
        """Return the moments of rows with these statistics, without pairs."""
        return cls(cloud.statistics(cloud).moments(normalize=normalize), False)

    @property
    def cloud(self) -> Cloud:
        """Return the statistics of the rows."""
        return Cloud(self.moments.n, self.moments.mean_y, self.moments.cov_y)

    def __add__(self, other: Further) -> Further:
        if self.is_paired != other.is_paired:
            raise InputError("got paired and unpaired rows of one modality, expected all paired, or all unpaired")
        return Further(self.moments + other.moments, self.is_paired)


def rows_by_name(
    X: Any,
    Y: Any,
    names: Names | None,
    modalities: Mapping[str, Any],
    fitted_names: Names | None,
    *,
    paired: bool = True,
    min_rows: int = 2,
) -> tuple[Any, Any, Names | None, dict[str, Source]]:
    """Return the rows and names of the first two modalities, and the rows of further ones by name.

    Blocks of a stream may have fewer rows than other data: `min_rows`.
    """
    check_flags(paired=paired)
    for name in OPTIONS_OF_AUTO:
        if name in modalities and (X is not None or np.ndim(modalities[name]) != 2):
            raise InputError(f"got {name}=, which the fit of Auto alone uses; leave it out, or fit Auto")
    names = None if names is None else _pair_of_names(names)
    if Y is None and not modalities and fitted_names is None and is_stack(X):
        X, Y = two_modalities(X)
    if not modalities:
        own_names = (str(X.names[0]), str(X.names[1])) if isinstance(X, Pairs) else column_modalities(X, Y)
        names = names or own_names
        if min_rows < 2 and not isinstance(X, Pairs):
            sides = zip(names or fitted_names or ("x", "y"), (X, Y), strict=True)
            X, Y = (None if rows is None else as_source(name, rows, min_rows=min_rows) for name, rows in sides)
        return X, Y, names, {}
    if isinstance(modalities.get("unpaired"), bool):
        raise InputError("got unpaired=, which is an option of measure and explain, expected paired=False in fit")
    if X is not None or Y is not None:
        raise InputError("got rows by position and by name, expected all by name, such as image=X, text=Y, audio=Z")
    known = fitted_names or names or tuple(modalities)
    if len(known) < 2:
        raise InputError(f"got rows of {known[0]} alone, expected two or more modalities in the first call")
    sources = {n: as_source(n, rows, min_rows=min_rows) for n, rows in modalities.items() if rows is not None}
    first, second = sources.pop(known[0], None), sources.pop(known[1], None)
    return first, second, (known[0], known[1]), sources


def _pair_of_names(names: Any) -> Names:
    """Return the names of two modalities."""
    listed = list_of_names(names, "names")
    if len(listed) != 2 or listed[0] == listed[1] or not all(listed):
        raise InputError(f"names={shown(names)}, expected two different names, such as ('image', 'text')")
    return listed[0], listed[1]


def pairs_of_rows(
    X: Any,
    Y: Any,
    index: Any = None,
    /,
    *,
    names: Names | None = None,
    labels: Any = None,
    group: bool,
    normalize: bool,
    same_dim: bool = False,
    is_block: bool = False,
) -> Pairs:
    """Return the pairs of a fit or of a block of a stream, in which equal rows are one item unless `group` is False."""
    check_flags(group=group)
    if isinstance(X, Pairs):
        return pairs_of_items(X, group=group, normalize=normalize, is_block=is_block)
    rows = dict(zip(names or ("x", "y"), (X, Y), strict=True))
    pairs = (Pairs if same_dim else CrossDimPairs)(index=index, labels=labels, **rows)
    return pairs_of_items(pairs, group=group, normalize=normalize, is_block=is_block)


def with_further(
    earlier: Mapping[str, Further],
    first: Any,
    further: Mapping[str, Source],
    paired: bool,
    *,
    hub_name: str,
    dim: int | None,
    group: bool,
    normalize: bool,
) -> dict[str, Further]:
    """Return the moments of further modalities with new rows. `dim` is their dimension, or None for any."""
    hub = None if first is None else as_source("the first modality", first)
    more = dict(earlier)
    for name, source in further.items():
        if dim is not None and source.shape[1] != dim:
            raise InputError(
                f"{name}: its rows have another dimension, {source.shape[1]}, expected {dim}; give the rows of all "
                "modalities of one dimension to fit"
            )
        is_paired = paired and same_length(hub, source)
        block = Further.of(hub, source, (hub_name, name), is_paired=is_paired, group=group, normalize=normalize)
        more[name] = more[name] + block if name in more else block
    return more


def keeps_pairing(paired: bool, index: Any, first: Source | None, second: Source | None) -> bool:
    """Return whether rows that came by name count as pairs: if they should, and are not of different lengths."""
    return paired and (index is not None or first is None or second is None or same_length(first, second))


def same_length(first: Source | None, second: Source | None) -> bool:
    """Return whether both have rows, and equally many."""
    return first is not None and second is not None and first.shape[0] == second.shape[0]


def further_map(mapper: Any, name: str, first: Cloud, further: Further, map_first: Map) -> Map:
    """Return the row map of a modality after the second.

    The map is solved together with the first modality, as if there were these two. The maps of the first modality may
    then differ between its pairs. In this case an affine map carries the new modality from the space of its own pair to
    that of the first pair. It is the one that brings both maps of the first modality closest, in squares over its rows.

    Parameters
    ----------
    mapper : Aligner
        Row map, not fitted.
    name : str
        Modality.
    first : Cloud
        Number, mean and covariance of the rows of the first modality.
    further : Further
        Moments of this modality.
    map_first : Affine or NormalizedAffine
        Map of the first modality.

    Returns
    -------
    Affine or NormalizedAffine
        The map.

    Raises
    ------
    InputError
        If pairs are missing, or if different maps of the first modality are not affine.
    """
    moments = further.moments
    if not mapper.uses_pairs:
        moments = first.statistics(further.cloud).moments(normalize=moments.normalize)
    elif not further.is_paired:
        raise InputError(
            f"{type(mapper).__name__} needs pairs of the first modality with each other one, and the rows of {name} "
            "are not paired with it; give as many rows of both, or use a map that needs no pairs, such as Centering"
        )
    mapper.fit_moments(moments)
    own_first, own = mapper.map_x_, mapper.map_y_
    if _is_same(own_first, map_first):
        return own
    if not (isinstance(own_first, Affine) and isinstance(own, Affine) and isinstance(map_first, Affine)):
        raise InputError(
            f"{type(mapper).__name__} is not affine and maps the first modality differently for {name} than for the "
            "second one; use an affine map, such as KernelBlend or Centering"
        )
    return _carried(own, own_first, map_first, first)


def tables_of_further(number: int, cloud: Cloud, mapping: Map) -> dict[str, np.ndarray]:
    """Return the statistics and the map of a modality by name, for the fitted state."""
    tables = {MAP + key: table for key, table in arrays_of_map(mapping, str(number)).items()}
    return {f"mean.{number}": cloud.mean, f"cov.{number}": cloud.cov, **tables}


def _is_same(first: Map, second: Map) -> bool:
    """Return whether two maps are equal up to rounding."""
    a, b = arrays_of_map(first, "x"), arrays_of_map(second, "x")
    return a.keys() == b.keys() and all(
        a[key].shape == b[key].shape and np.allclose(a[key], b[key], rtol=1e-9, atol=1e-12) for key in a
    )


def _carried(own: Affine, own_first: Affine, map_first: Affine, first: Cloud) -> Affine:
    """Return the map of a modality, carried from the space of `own_first` to that of `map_first`."""
    dim = len(first.mean)
    (source, source_bias), (target, target_bias) = own_first.dense(dim), map_first.dense(dim)
    matrix, bias = (own.matrix, own.bias)
    # The additional variance makes the result exact for invertible maps, even where the rows span a subspace.
    spread = first.cov + RIDGE * np.trace(first.cov) / dim * np.eye(dim)
    weighted = source.T @ spread
    transfer = np.linalg.lstsq(weighted @ source, weighted @ target, rcond=1e-10)[0]
    offset = first.mean @ target + target_bias - (first.mean @ source + source_bias) @ transfer
    return Affine(
        transfer if matrix is None else matrix @ transfer, offset if bias is None else bias @ transfer + offset
    )
