"""Pairs: two named modalities whose rows belong together."""

from __future__ import annotations

import os
import uuid
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, wraps
from typing import Any, ClassVar, ParamSpec

import numpy as np

from isthmus.compute import arrays
from isthmus.compute.arrays import Array
from isthmus.compute.resources import block_rows
from isthmus.data.joins import KeyJoin, join_keys, read_keys, select_rows
from isthmus.data.sources import Source, modality_name, open_source
from isthmus.utils import validation
from isthmus.utils.errors import InputError, IsthmusWarning

Rng = int | np.random.Generator
P = ParamSpec("P")


class Pairs:
    """Two named modalities, `x` and `y`, in one space of width d.

    Parameters
    ----------
    **modalities : exactly two, in order: arrays (n, d) of any array library, or `Source`s
        `Pairs(image=X, text=Y)` names them; the first is x, the second y. Rows need not be unit.
    index : (n_y,) ints, optional
        Row j of y belongs to row `index[j]` of x: several captions per image. Without it row i belongs to row i.
    labels : (n_x,), optional
        A class for each row of x.

    Errors: `InputError` when widths or lengths differ, dtypes are not floats, or an index points nowhere.

    >>> import numpy as np
    >>> X = np.eye(3)
    >>> pairs = Pairs(image=X, text=X[[0, 0, 1, 2]], index=[0, 0, 1, 2])
    >>> pairs.names, pairs.n_pairs, pairs.n_items, pairs.dim
    (('image', 'text'), 4, 3, 3)
    """

    #: Whether both sides must have one width.
    same_dim: ClassVar[bool] = True

    def __init__(self, *, index: Any = None, labels: Any = None, **modalities: Any):
        if len(modalities) != 2:
            raise InputError(
                f"got {len(modalities)} modalities ({', '.join(modalities) or 'none'}), expected two, such "
                "as Pairs(image=X, text=Y); isthmus.Modalities takes more than two"
            )
        self.names: tuple[str, str] = tuple(modalities)  # type: ignore[assignment]
        self.open_spec: OpenSpec | None = None
        self.x, self.y = (_source(name, rows) for name, rows in modalities.items())
        if self.same_dim:
            validation.check_same_dim(self.x.shape[1], self.y.shape[1], self.x.where, self.y.where)
        self.index: np.ndarray | None = None
        if index is None:
            validation.check_same_length(self.x.shape[0], self.y.shape[0], self.x.where, self.y.where)
        else:
            self.index = _index(index, self.x.shape[0], self.y.shape[0])
        #: How the rows of two files were matched by a key; None when they were paired by position or `index`.
        self.key_join: KeyJoin | None = None
        self.labels = None if labels is None else np.asarray(labels)
        if self.labels is not None:
            validation.check_labels(self.labels.shape, self.x.shape[0], self.names[0])

    @property
    def n_pairs(self) -> int:
        """Number of pairs: rows of y."""
        return self.y.shape[0]

    @property
    def n_items(self) -> int:
        """Number of items: rows of x. Less than `n` when items have several partners."""
        return self.x.shape[0]

    @property
    def dim(self) -> int:
        """Width d of both sides."""
        return self.x.shape[1]

    def blocks(
        self, size: int | None = None, first: int = 0, last: int | None = None
    ) -> Iterator[tuple[Array, Array, np.ndarray | None]]:
        """Blocks (x rows, y rows, owner) of the items first .. last - 1, default all of them: `owner[j]` is the row of
        the block's x that row j of its y belongs to, None when row i belongs to row i. All partners of an item are in
        its block."""
        size = size or block_rows(self.dim)
        last = self.n_items if last is None else min(last, self.n_items)
        if self.index is None:
            for start in range(first, last, size):
                stop = min(start + size, last)
                yield self.x.read(start, stop), self.y.read(start, stop), None
            return
        order, begins = self._captions
        for start in range(first, last, size):
            stop = min(start + size, last)
            rows = order[begins[start] : begins[stop]]
            if len(rows):
                yield self.x.read(start, stop), self.y.take(rows), self.index[rows] - start

    @cached_property
    def _captions(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows of y sorted by item, and where each item's rows begin."""
        assert self.index is not None
        order = np.argsort(self.index, kind="stable")
        return order, np.concatenate([[0], np.cumsum(np.bincount(self.index, minlength=self.n_items))])

    def take(self, items: np.ndarray) -> Pairs:
        """The items with these numbers and all their partners, in memory."""
        items = np.asarray(items)
        labels = None if self.labels is None else self.labels[items]
        x = self.x.take(items)
        if self.index is None:
            return self._part(x, self.y.take(items), None, labels)
        order, begins = self._captions
        counts = begins[items + 1] - begins[items]
        rows = np.concatenate([order[begins[i] : begins[i + 1]] for i in items])
        return self._part(x, self.y.take(rows), np.repeat(np.arange(len(items)), counts), labels)

    def _part(self, x: Array, y: Array, index: np.ndarray | None, labels: np.ndarray | None) -> Pairs:
        """Pairs of rows taken from these, which still say where they came from."""
        sides = {
            name: Source(rows, where=source.where, format=source.format)
            for name, rows, source in zip(self.names, (x, y), (self.x, self.y), strict=True)
        }
        made = type(self)(index=index, labels=labels, **sides)
        made.key_join = self.key_join
        return made

    def sample(self, most: int, /, *, rng: Rng = 0) -> Pairs:
        """At most `most` items drawn without replacement, in their own order; these pairs when there are no more."""
        if self.n_items <= most:
            return self
        chosen = np.random.default_rng(rng).choice(self.n_items, size=most, replace=False)
        sample = self.take(np.sort(chosen))
        if self.open_spec is not None and self.open_spec.sample is None and isinstance(rng, int):
            sample.open_spec = replace(self.open_spec, sample=(most, rng), key=f"{self.open_spec.key} {most} {rng}")
        return sample

    def split_half(self, *, rng: Rng) -> tuple[Pairs, Pairs]:
        """A random half of the items to fit on and the other half to test on; an item's partners stay together."""
        order = np.random.default_rng(rng).permutation(self.n_items)
        return self.take(order[: self.n_items // 2]), self.take(order[self.n_items // 2 :])

    def unit(self, *, normalize: bool = True) -> tuple[Array, Array]:
        """Both sides whole and in memory, rows unit: float32, or float64 when the data are."""
        sides = []
        for source in (self.x, self.y):
            clean = arrays.RowNormalizer(arrays.compute_dtype(source.dtype), normalize=normalize)
            try:
                sides.append(clean(source.read(0, source.shape[0])))
            except arrays.InvalidRowsError:
                raise bad_rows(self) from None
        return sides[0], sides[1]

    @property
    def pairing(self) -> dict[str, Any]:
        """How rows were paired, as plain values: by position, index or key, with the rows that have no partner."""
        if self.key_join is None:
            return {"by": "position" if self.index is None else "index"}
        return {
            "by": "key",
            "key": self.key_join.key,
            "unmatched": dict(zip(self.names, self.key_join.unmatched, strict=True)),
        }

    def __repr__(self) -> str:
        return f"Pairs({self.names[0]}={self.x!r}, {self.names[1]}={self.y!r})"


class CrossDimPairs(Pairs):
    """Pairs whose sides may differ in width: they have moments, and maps between them, but no cosine.

    >>> import numpy as np
    >>> pairs = CrossDimPairs(image=np.eye(3), text=np.eye(4)[:3])
    >>> pairs.x.shape, pairs.y.shape
    ((3, 3), (3, 4))
    """

    same_dim: ClassVar[bool] = False


@dataclass(frozen=True, eq=False)
class OpenSpec:
    """How pairs were opened, so that a process elsewhere can open the same ones (without their labels)."""

    open_: Callable[..., Pairs]
    arguments: tuple[Any, ...]
    options: dict[str, Any]
    sample: tuple[int, int] | None = None  # (most, rng) of `Pairs.sample`
    key: str = field(default_factory=lambda: uuid.uuid4().hex)

    def open(self) -> Pairs:
        """The pairs."""
        pairs = self.open_(*self.arguments, **self.options)
        return pairs if self.sample is None else pairs.sample(self.sample[0], rng=self.sample[1])


def _recording_open_spec(opens: Callable[P, Pairs]) -> Callable[P, Pairs]:
    """Keeps what the pairs were opened with; paths are made absolute, for workers live in other folders."""

    @wraps(opens)
    def open_and_keep(*paths: P.args, **options: P.kwargs) -> Pairs:
        pairs = opens(*paths, **options)
        there = tuple(str(p) if "://" in str(p) else os.path.abspath(str(p)) for p in paths)
        pairs.open_spec = OpenSpec(open_and_keep, there, {**options, "names": pairs.names})
        return pairs

    return open_and_keep


@_recording_open_spec
def open_pairs(
    x: str | os.PathLike[str],
    y: str | os.PathLike[str],
    /,
    *,
    names: Sequence[str] | None = None,
    index: Any = None,
    labels: Any = None,
    key: Any = None,
    same_dim: bool = True,
) -> Pairs:
    """The pairs in two files or folders, memory-mapped and never read whole.

    `names` are the modalities; without them the stems of the paths are (`image.npy`, `img_emb/` -> image).
    Rows are paired by position, by `index` (see `Pairs`), or by `key`: the name of a column that both have, or two
    such names, files of keys (`.npy`, `FILE.parquet::COLUMN`) or arrays, one for each side. The keys of x are
    different; a key may stand in several rows of y (captions of one image). Rows whose key the other side has not are
    left out, counted in `.key_join` and warned about. `labels` are one for each row of x's file.
    `same_dim=False` lets the sides differ in width (`CrossDimPairs`).
    Errors: `InputError` for any path that cannot be used, when both paths would give one name, and for keys that
    repeat, are null, or have no match.
    """
    sources = [open_source(path) for path in (x, y)]
    kind = Pairs if same_dim else CrossDimPairs
    called = modality_names(x, y, names)
    if key is None:
        return kind(index=index, labels=labels, **dict(zip(called, sources, strict=True)))
    if index is not None:
        raise InputError("got index and key, expected one of them: both say which rows belong together")
    key_join = _matched(sources, key)
    if any(key_join.unmatched):
        warnings.warn(key_join.summary(called), IsthmusWarning, stacklevel=3)
    sides = [select_rows(source, rows) for source, rows in zip(sources, (key_join.x, key_join.y), strict=True)]
    if labels is not None:
        labels = np.asarray(labels)
        validation.check_labels(labels.shape, sources[0].shape[0], called[0])
        labels = labels[key_join.x]
    pairs = kind(index=key_join.index, labels=labels, **dict(zip(called, sides, strict=True)))
    pairs.key_join = key_join
    return pairs


def modality_names(
    x: str | os.PathLike[str], y: str | os.PathLike[str], names: Sequence[str] | None = None
) -> tuple[str, str]:
    """The names of the modalities at two paths: those given, or those that the paths speak of."""
    if names is None:
        names = [modality_name(path) for path in (x, y)]
        if names[0] == names[1]:
            raise InputError(
                f"{x} and {y} would both be called {names[0]!r}; name them with --names image,text "
                "(names=('image', 'text') in Python)"
            )
    if len(names) != 2 or names[0] == names[1] or not all(names):
        raise InputError(f"got the names {', '.join(map(repr, names))}, expected two different ones such as image,text")
    reserved = {"index", "labels"} & set(names)
    if reserved:
        raise InputError(f"{reserved.pop()!r} cannot be the name of a modality; choose another with --names")
    return names[0], names[1]


def _matched(sources: Sequence[Source], key: Any) -> KeyJoin:
    keys = (key, key) if isinstance(key, (str, os.PathLike)) else tuple(key)
    if len(keys) != 2:
        raise InputError(f"got {len(keys)} keys, expected one column for both sides, or one for each of the two")
    (keys_x, where_x), (keys_y, where_y) = (read_keys(source, k) for source, k in zip(sources, keys, strict=True))
    said = [str(k) if isinstance(k, (str, os.PathLike)) else "an array" for k in keys]
    return join_keys(keys_x, keys_y, key=", ".join(dict.fromkeys(said)), where=(where_x, where_y))


def bad_rows(pairs: Pairs, first: int = 0, last: int | None = None) -> InputError:
    """The error that names the rows without a direction among the items first .. last - 1; called once such a row was
    met."""
    found = {pairs.x.where: find_bad_rows(pairs.x, first, last)}
    found[pairs.y.where] = find_bad_rows(pairs.y, *((first, last) if pairs.index is None else (0, None)))
    where = next((w for w, (non_finite, zero) in found.items() if len(non_finite) or len(zero)), None)
    if where is None:  # only float32 on a device, or in another library, stumbles over them
        return InputError(
            f"{pairs.x.where} or {pairs.y.where}: rows shorter than 1e-15 or longer than 1e15 leave the range of "
            "float32; use matmul_dtype='float64', or scale the rows"
        )
    return validation.invalid_rows(where, *found[where])


def find_bad_rows(source: Source, first: int = 0, last: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the rows first .. last - 1 with NaN or infinite values, and of those that are all zero."""
    non_finite, zero = [], []
    size = block_rows(source.shape[1])
    last = source.shape[0] if last is None else last
    for start in range(first, last, size):
        block = arrays.to_numpy(source.read(start, min(start + size, last)))
        non_finite.append(start + np.flatnonzero(~np.isfinite(block).all(axis=1)))
        zero.append(start + np.flatnonzero(~block.any(axis=1)))
    return source.numbers(np.concatenate(non_finite)), source.numbers(np.concatenate(zero))


def _source(name: str, rows: Any) -> Source:
    if isinstance(rows, Source):
        return rows
    if isinstance(rows, (list, tuple)):
        rows = np.asarray(rows, dtype=np.float64)
    if not hasattr(rows, "shape"):
        raise InputError(f"{name}: is a {type(rows).__name__}, expected an array of shape (n, d)")
    if isinstance(rows, np.ndarray):
        validation.check_float_dtype(rows.dtype, name)
    elif "float" not in str(rows.dtype):
        raise InputError(f"{name}: has dtype {rows.dtype}, expected floats")
    return Source(rows, where=name)


def _index(index: Any, n_x: int, n_y: int) -> np.ndarray:
    index = np.asarray(index)
    if index.shape != (n_y,) or index.dtype.kind not in "iu":
        raise InputError(
            f"index has shape {index.shape} and dtype {index.dtype}, expected {n_y:,} whole numbers: for "
            "each row of the second side the row of the first that it belongs to"
        )
    if n_y and (index.min() < 0 or index.max() >= n_x):
        bad = np.flatnonzero((index < 0) | (index >= n_x))
        raise InputError(f"index points outside the {n_x:,} rows of the first side at {validation.format_rows(bad)}")
    return index.astype(np.int64)
