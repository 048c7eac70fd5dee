"""A new corpus: whether it is like the one that was fitted, what it costs if not, and what can be refitted."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from isthmus.align._statistics import Statistics
from isthmus.compute.arrays import to_numpy, unit_rows
from isthmus.data.sources import Source
from isthmus.statistics.intervals import satterthwaite_p_value
from isthmus.utils.errors import InputError

if TYPE_CHECKING:
    from isthmus.align._base import Aligner

#: Level of the test of the means.
LEVEL = 0.01
#: Draws of the null of the covariance fidelity.
DRAWS = 5
#: Before rows are mapped: how many are looked at, how few say nothing, and the offset (in their spread) that is told.
SAMPLE, LEAST_ROWS, OFFSET = 5_000, 100, 0.1


@dataclass(frozen=True)
class ModalityDrift:
    """One side of a new corpus against that side of the fit.

    Attributes
    ----------
    n : new rows
    shift : length of the difference of the means; for unit rows between 0 and 2
    standard_errors : `shift` in units of what two samples of one population of these sizes differ by (root mean square)
    p_value : of equal means (Satterthwaite's approximation of a quadratic form)
    cosine : of the two means
    residual : |new mean - fitted mean| / root of the total variance of the new rows: what centring with the fitted mean
        leaves in common to all rows, in units of their spread
    fidelity : tr (S^1/2 T S^1/2)^1/2 / sqrt(tr S tr T) of the two covariances, 0 (disjoint) to 1 (proportional)
    fidelity_null : the least of `DRAWS` fidelities of samples of these sizes from one Gaussian, covariance pooled
    """

    name: str
    n: int
    shift: float
    standard_errors: float
    p_value: float
    cosine: float
    residual: float
    fidelity: float
    fidelity_null: float

    @property
    def shifted(self) -> bool:
        """Whether the mean has moved (p < .01)."""
        return self.p_value < LEVEL

    @property
    def reshaped(self) -> bool:
        """Whether the covariance differs by more than samples of one population do."""
        return self.fidelity < self.fidelity_null


@dataclass(frozen=True)
class Drift:
    """The sides that were given, and the same in `sentences`; true when anything has changed."""

    sides: tuple[ModalityDrift, ...]
    sentences: tuple[str, ...]

    def __bool__(self) -> bool:
        return any(side.shifted or side.reshaped for side in self.sides)

    def __str__(self) -> str:
        return " ".join(self.sentences)


def drift(aligner: Aligner, X_new: Any = None, Y_new: Any = None, /) -> Drift:
    """Compare unpaired rows of a new corpus, (n, d) for either side, with the fit.

    The test of the means takes rows as independent and clouds as nearly Gaussian; its size holds on anisotropic clouds.
    Errors: `InputError` when neither side is given, or the aligner was saved without statistics.

    >>> import isthmus
    >>> run = isthmus.demo.arrays("plain", split="test")
    >>> aligner = isthmus.align.Centering().fit(isthmus.demo.load("plain", split="train"))
    >>> bool(aligner.drift(run.image[run.labels == 1]))
    True
    """
    old, new = _statistics(aligner), _replaced(aligner, X_new, Y_new)
    sides = []
    for number, (side, rows) in enumerate((("x", X_new), ("y", Y_new))):
        if rows is not None:
            name = aligner.names_[number] if aligner.names_ else side
            sides.append(_compared(name, *(_side(s, side) for s in (old, new))))
    sentences = tuple(s for side in sides for s in _sentences(side, aligner))
    return Drift(tuple(sides), sentences)


def drift_warnings(aligner: Aligner, source: Source, number: int, /) -> list[str]:
    """What to say before the rows of `source`, of side `number`, are used: the sentences of the drift, when their
    common offset from the fit is more than a tenth of their spread; else nothing.

    At most 5,000 rows are looked at, spread over the whole. Fewer than 100 say nothing.
    """
    if source.shape[0] < LEAST_ROWS or aligner._statistics is None:
        return []
    chosen = np.unique(np.linspace(0, source.shape[0] - 1, SAMPLE).astype(np.int64))
    rows = to_numpy(source.take(chosen))
    found = drift(aligner, *((rows, None) if number == 0 else (None, rows)))
    side = found.sides[0]
    if not (side.shifted and side.residual > OFFSET):
        return []
    return [*_swapped(aligner, rows, number, side), *found.sentences]


def _swapped(aligner: Aligner, rows: np.ndarray, number: int, side: ModalityDrift) -> list[str]:
    """A sentence when the mean of the rows lies at most half as far from that of the other side as from their own."""
    other = aligner.statistics_.mean_x if number else aligner.statistics_.mean_y
    if rows.shape[1] != len(other):
        return []
    unit = unit_rows(rows) if aligner.normalize else rows
    distance = float(np.linalg.norm(unit.mean(axis=0) - other))
    if distance > side.shift / 2:
        return []
    name = aligner.names_[1 - number] if aligner.names_ else "xy"[1 - number]
    return [
        f"These rows of {side.name} lie {distance:.3f} from the mean of {name} and {side.shift:.3f} from their own: "
        f"are they rows of {name}?"
    ]


def adapt(aligner: Any, X_new: Any = None, Y_new: Any = None, /) -> Any:
    """A copy of `aligner` refitted to unpaired rows of a new corpus; see `Aligner.adapt`.

    >>> import numpy as np, isthmus
    >>> X, Y = np.random.default_rng(0).normal(size=(2, 50, 3)) + 1.0
    >>> aligner = isthmus.align.Centering(normalize=False).fit(X, Y).adapt(X + 5.0)
    >>> bool(np.allclose(aligner.transform_x(X + 5.0).mean(axis=0), 0))
    True
    """
    statistics = _replaced(aligner, X_new, Y_new)
    aligner._solved()
    fresh = copy.copy(aligner)
    fresh.fit_info_ = dict(aligner.fit_info_)
    fresh._maps = fresh._adapted(statistics)
    fresh._statistics, fresh.moments_ = statistics, None
    return fresh


def _statistics(aligner: Aligner) -> Statistics:
    if aligner._statistics is None and aligner.moments_ is None and aligner._maps is not None:
        raise InputError(
            f"this {type(aligner).__name__} was saved without statistics of its rows; fit and save it again"
        )
    return aligner.statistics_


def _replaced(aligner: Aligner, X_new: Any, Y_new: Any) -> Statistics:
    if X_new is None and Y_new is None:
        raise InputError("no rows came: give those of the new corpus for x, y or both")
    found = _statistics(aligner)
    for number, (side, rows) in enumerate((("x", X_new), ("y", Y_new))):
        if rows is None:
            continue
        if rows.ndim != 2 or rows.shape[1] != aligner._width(number):
            raise InputError(
                f"rows of shape {tuple(rows.shape)} came for {side}, expected (n, {aligner._width(number)})"
            )
        found = found.with_side(side, rows, normalize=aligner.normalize)
    return found


def _side(statistics: Statistics, side: str) -> tuple[int, np.ndarray, np.ndarray]:
    return tuple(getattr(statistics, f"{part}_{side}") for part in ("n", "mean", "cov"))


def _compared(
    name: str, old: tuple[int, np.ndarray, np.ndarray], new: tuple[int, np.ndarray, np.ndarray]
) -> ModalityDrift:
    (n_old, mean_old, cov_old), (n_new, mean_new, cov_new) = old, new
    shift = mean_new - mean_old
    error = cov_old / max(n_old - 1, 1) + cov_new / max(n_new - 1, 1)  # covariance of the difference of the means
    trace = float(np.trace(error))
    squared = float(shift @ shift)
    p_value = satterthwaite_p_value(squared, error)
    lengths = float(np.linalg.norm(mean_old) * np.linalg.norm(mean_new))
    spread = float(np.trace(cov_new))
    return ModalityDrift(
        name=name,
        n=n_new,
        shift=float(np.sqrt(squared)),
        standard_errors=float(np.sqrt(squared / trace)) if trace > 0 else (0.0 if squared == 0 else float("inf")),
        p_value=p_value,
        cosine=float(mean_old @ mean_new) / lengths if lengths > 0 else float("nan"),
        residual=float(np.sqrt(squared / spread)) if spread > 0 else float("inf"),
        fidelity=_fidelity(_root(cov_old), _root(cov_new)),
        fidelity_null=_null(cov_old, n_old, cov_new, n_new),
    )


def _root(cov: np.ndarray) -> np.ndarray:
    """A factor F (d, r) with F F' = cov."""
    values, vectors = np.linalg.eigh(cov)
    kept = values > 1e-14 * max(float(values[-1]), 0.0)
    return vectors[:, kept] * np.sqrt(values[kept])


def _fidelity(a: np.ndarray, b: np.ndarray) -> float:
    total = float(np.sum(a * a) * np.sum(b * b))
    return float(np.linalg.svd(a.T @ b, compute_uv=False).sum()) / float(np.sqrt(total)) if total > 0 else float("nan")


def _null(cov_old: np.ndarray, n_old: int, cov_new: np.ndarray, n_new: int) -> float:
    """The least fidelity of samples of these sizes from one Gaussian."""
    rng = np.random.default_rng(0)
    factor = _root((n_old * cov_old + n_new * cov_new) / (n_old + n_new))
    found = []
    for _ in range(DRAWS):
        halves = [_sampled(factor, n, rng) for n in (n_old, n_new)]
        found.append(_fidelity(*halves))
    return min(found)


def _sampled(factor: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """A factor of the covariance of n Gaussian rows: Bartlett's triangle when there are more rows than columns."""
    rank = factor.shape[1]
    if n - 1 <= rank:
        return factor @ rng.normal(size=(rank, n - 1)) / np.sqrt(n)
    triangle = np.tril(rng.normal(size=(rank, rank)), -1)
    triangle[np.diag_indices(rank)] = np.sqrt(rng.chisquare(n - 1 - np.arange(rank)))
    return factor @ triangle / np.sqrt(n)


def _sentences(side: ModalityDrift, aligner: Aligner) -> list[str]:
    found = []
    if side.shifted:
        found.append(
            f"The mean of the {side.n:,} new rows of {side.name} lies {side.shift:.3f} from the fitted one, "
            f"{side.standard_errors:.1f} standard errors (cosine {side.cosine:.3f})."
        )
        cost = f"{side.residual:.0%} of the spread of the new rows"
        if aligner.uses_means:
            found.append(
                f"Centring with the fitted mean leaves all of them a common offset of {cost}, which every score then "
                "carries: expect less recall and a corpus sorted by modality again; adapt() subtracts the new mean."
            )
        else:
            found.append(f"The offset is {cost}; a map made from the fitted means no longer meets the new ones.")
    if side.reshaped:
        found.append(
            f"The covariance of {side.name} has fidelity {side.fidelity:.3f} with the fitted one, where samples of one "
            f"population of these sizes have at least {side.fidelity_null:.3f}: directions are weighed for another one."
            + (" adapt() renews what unpaired rows can; the paired part needs new pairs." if aligner.uses_pairs else "")
        )
    if not found:
        found.append(f"The {side.n:,} new rows of {side.name} do not differ measurably from those of the fit.")
    return found
