"""Judgement of whether the rows of two files match, and from which row on they do not."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from isthmus.compute.arrays import to_numpy, unit_rows
from isthmus.compute.threads import blas_limited
from isthmus.data.joins import select_rows
from isthmus.data.pairs import Pairs
from isthmus.data.sources import Source
from isthmus.statistics.common_rows import common_rows_clause
from isthmus.statistics.degeneracy import (
    NEGATED_ROWS,
    UNJUDGED_KINDS,
    Degeneracy,
    find_degeneracies,
    negated_rows_clause,
)
from isthmus.statistics.later_matches import later_matches
from isthmus.statistics.mean_intervals import debiased_mean_products
from isthmus.statistics.mean_variance import linear_variance
from isthmus.statistics.moments import Moments, moments_of
from isthmus.statistics.near_copies import find_near_copies
from isthmus.statistics.pairing_ranges import find_breaks
from isthmus.statistics.pairing_sentences import (
    PairingBreak,
    break_advice,
    negated_reason,
    no_match_reason,
    offset_clause,
    plain_fields,
    ranges_clause,
    reordered_reason,
    separate_spaces_reason,
    shifted_reason,
)
from isthmus.statistics.result import NAN
from isthmus.statistics.rotated_pairs import has_negated_pairs, has_rotated_pairs
from isthmus.statistics.row_offsets import matching_offset, offset_steps
from isthmus.utils.errors import InputError
from isthmus.utils.format import cosine_text, counted
from isthmus.utils.transposition import SEPARATE_SPACES, SEPARATE_SPACES_ADVICE, transposed_clause

#: Pairs in the sample of the test of all pairs.
MAX_SAMPLED_PAIRS = 2_000
#: Fewest valid pairs for that test.
MIN_PAIRS = 8
#: Standard errors by which the cosine of pairs must exceed that of non-matching rows: 3 in 100,000 by chance.
Z_THRESHOLD = 4.0
#: Largest z that is shown as a number: without a spread it has no meaning.
MAX_SHOWN_Z = 10_000
#: Kinds of answers that every function states: `measure`, `explain`, `report`, `compare` and `fit`.
REPORTED_KINDS = ("broken", "shifted", "negated", "rotated", "reordered", "unpaired")


@dataclass(frozen=True)
class Pairing:
    """Judgement of whether row i of one source matches row i of the other.

    Parameters
    ----------
    looks_paired : bool
        Whether `z` exceeds 4 and no range of rows fails to match.
    reason : str
        The answer in a sentence.
    paired : float
        Mean cosine of the pairs.
    unpaired : float
        Mean cosine of non-matching rows.
    z : float
        Difference of the two in standard errors.
    kind : {'paired', 'broken', 'shifted', 'negated', 'rotated', 'reordered', 'unpaired', 'unjudged'}
        All rows match, some ranges do not, one side is shifted, matching rows point away from each other, or they match
        in two different spaces. If nothing matches, the kind is 'reordered' if the two hold the same rows, and else
        'unpaired'. 'unjudged' data are degenerate or too few.
    breaks : tuple of PairingBreak
        The ranges that do not match.
    degenerate : tuple of Degeneracy
        Ways in which the sampled pairs are degenerate.

    Examples
    --------
    >>> import isthmus
    >>> judge_pairing(isthmus.demo.load("plain")).kind
    'paired'
    """

    looks_paired: bool
    reason: str
    paired: float = NAN
    unpaired: float = NAN
    z: float = NAN
    kind: str = "unjudged"
    breaks: tuple[PairingBreak, ...] = ()
    degenerate: tuple[Degeneracy, ...] = ()

    def remarks(self, kinds: Collection[str] | None = None) -> list[str]:
        """Return sentences about degenerate data and about rows that do not match.

        Parameters
        ----------
        kinds : collection of str, optional
            Kinds of degenerate data that count. Default: all.

        Returns
        -------
        list of str
            The sentences that `measure` and `explain` print, and of which fits and `compare` warn.
        """
        entries = [entry for entry in self.degenerate if kinds is None or entry.kind in kinds]
        messages = [f"{entry.message[0].upper()}{entry.message[1:]}." for entry in entries]
        return [*messages, self.sentence] if self.sentence else messages

    @property
    def sentence(self) -> str:
        """The answer as a sentence, the same in every function, '' if the rows match or cannot be judged."""
        text = self.reason.removeprefix("no: ").removeprefix("only in part: ")
        return f"{text[0].upper()}{text[1:]}." if self.kind in REPORTED_KINDS else ""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values.

        Returns
        -------
        dict
            One entry per field, NaN as None.
        """
        fields = plain_fields(self)
        del fields["degenerate"]  # results state the degeneracies of all pairs, and these are of a sample
        return {**fields, "breaks": [entry.to_dict() for entry in self.breaks], "sentence": self.sentence}


@blas_limited(1)  # the decompositions are small, and BLAS threads wait for each other on a busy machine
def looks_paired(
    x: Source, y: Source, /, *, names: tuple[str, str] = ("the first source", "the second source"), n_pairs: int = 0
) -> Pairing:
    """Judge whether row i of `x` matches row i of `y`, and where the rows stop to match.

    All rows match if the mean cosine of a sample of 2,000 pairs exceeds that of non-matching rows by more than 4
    standard errors. No range of rows may fail to match, see `find_breaks`. If a modality is constant or collapsed, this
    is the reason and not the order of the rows. If only a rotation of one modality would align the pairs, the rows
    match and the two spaces differ.

    Parameters
    ----------
    x, y : Source
        Rows (n, d).
    names : tuple of str
        Names of the two in the reason.
    n_pairs : int, default 0
        Number of all pairs, if the rows are those of a part of them.

    Returns
    -------
    Pairing
        The answer, the two mean cosines, their difference in standard errors, and the ranges that do not match.

    Examples
    --------
    >>> import isthmus, numpy as np
    >>> pairs = isthmus.demo.load("plain")
    >>> shuffled = pairs.take(np.random.default_rng(0).permutation(pairs.n_items))
    >>> looks_paired(pairs.x, shuffled.y).looks_paired
    False
    """
    if x.shape[1] != y.shape[1]:
        counts = "" if x.shape[0] == y.shape[0] else f", and {counted(x.shape[0], 'row')} against {y.shape[0]:,}"
        widths = f"width {x.shape[1]} against {y.shape[1]}{counts}"
        if clause := transposed_clause(x.shape, y.shape):
            return Pairing(False, f"no cosine to compare: {widths}; {clause}")
        reason = f"no cosine to compare: {widths}: they {SEPARATE_SPACES}; {SEPARATE_SPACES_ADVICE}"
        return Pairing(False, reason, kind="rotated")
    if x.shape[0] != y.shape[0]:
        return _judge_unequal(x, y, names)
    rows = np.arange(x.shape[0])
    if len(rows) > MAX_SAMPLED_PAIRS:
        rows = np.sort(np.random.default_rng(0).choice(len(rows), MAX_SAMPLED_PAIRS, replace=False))
    unit_x, unit_y = (unit_rows(to_numpy(source.take(rows)).astype(np.float64)) for source in (x, y))
    valid = np.isfinite(unit_x).all(axis=1) & np.isfinite(unit_y).all(axis=1) & unit_x.any(axis=1) & unit_y.any(axis=1)
    if valid.sum() < MIN_PAIRS:
        return Pairing(False, f"only {counted(valid.sum(), 'usable row')} to compare")
    moments = Moments.of(Pairs(x=unit_x[valid], y=unit_y[valid]), matmul_dtype="float64")
    paired, unpaired, z = numbers = _compared_cosines(moments)
    judged_pairs = f"{valid.sum():,} sampled pairs" if len(rows) < x.shape[0] else "pairs"
    judged_pairs = f"the first pairs of {valid.sum():,} items" if len(rows) == x.shape[0] < n_pairs else judged_pairs
    cosines = _cosines_clause(*numbers, judged_pairs)
    degeneracies = tuple(find_degeneracies(moments.numpy(), names))
    is_negated = any(entry.kind == NEGATED_ROWS for entry in degeneracies)  # the sentence states it
    degeneracies = tuple(entry for entry in degeneracies if entry.kind != NEGATED_ROWS)
    unjudged = [entry for entry in degeneracies if entry.kind in UNJUDGED_KINDS]
    near_copies = [] if unjudged else find_near_copies((unit_x[valid], unit_y[valid]), (x.shape[0], y.shape[0]), names)

    def judged(kind: str, reason: str, breaks: tuple[PairingBreak, ...] = ()) -> Pairing:
        return Pairing(kind == "paired", reason, *numbers, kind, breaks, (*degeneracies, *near_copies))

    if any(entry.kind == "constant" for entry in unjudged):
        numbers = (paired, unpaired, NAN)
        return judged("unjudged", f"cannot be judged: {unjudged[0].message}")
    breaks = () if unjudged else find_breaks(x, y)
    # Chance finds a range in a file whose rows are all shifted, although no rows around it match.
    if breaks and breaks[0].start == 0 and breaks[0].is_open and breaks[0].offset:
        steps = list(breaks[0].steps) or [(0, breaks[0].offset)]
        return judged("shifted", shifted_reason(cosines, breaks[0].stop, steps, names))
    if breaks:
        reason = f"only in part: {ranges_clause(breaks, names[1])}; {break_advice(breaks, names)}"
        return judged("broken", reason, breaks)
    if is_negated:
        return judged("negated", f"no: {negated_rows_clause(names)}")
    if z < -Z_THRESHOLD and not unjudged and has_negated_pairs(unit_x[valid], unit_y[valid]):
        return judged("negated", negated_reason(names, cosines))
    if z > Z_THRESHOLD:
        stated = [entry.message for entry in degeneracies if x.shape[0] >= n_pairs]  # other pairs may differ
        return judged("paired", "; ".join([f"yes: {cosines}", *stated]))
    if unjudged:
        reasons = ", and ".join(entry.message for entry in unjudged)
        return judged("unjudged", f"cannot be judged: {reasons}; {cosines}")
    if has_rotated_pairs(unit_x[valid], unit_y[valid]):
        return judged("rotated", separate_spaces_reason(cosines))
    if offset := matching_offset(x, y):
        steps = offset_steps(x, y, offset, 0, x.shape[0])
        steps = [(0, steps[0][1] or offset), *steps[1:]]
        return judged("shifted", shifted_reason(cosines, x.shape[0], steps, names))
    if clause := common_rows_clause(x, y, names):
        return judged("reordered", reordered_reason(clause, cosines))
    return judged("unpaired", no_match_reason(cosines, int(valid.sum()), z))


def _compared_cosines(moments: Moments) -> tuple[float, float, float]:
    """Return the mean cosines of pairs and of non-matching rows, and their difference in standard errors."""
    paired, unpaired = moments.mean_paired, debiased_mean_products(moments)[0]
    error = math.sqrt(linear_variance(moments, -moments.mean_y, -moments.mean_x, 1.0))
    difference = paired - unpaired
    z = difference / error if error else math.copysign(math.inf, difference) if difference else 0.0
    return paired, unpaired, z


def _cosines_clause(paired: float, unpaired: float, z: float, judged_pairs: str) -> str:
    extreme = f"more than {MAX_SHOWN_Z:,}" if z > 0 else f"less than {-MAX_SHOWN_Z:,}"
    size = f"{z:.1f}" if abs(z) < MAX_SHOWN_Z else extreme
    return (
        f"mean cosine {cosine_text(paired, 3)} for {judged_pairs} and {cosine_text(unpaired, 3)} for "
        f"non-matching rows, a difference of {size} standard errors"
    )


def _judge_unequal(x: Source, y: Source, names: tuple[str, str]) -> Pairing:
    """Return the judgement of sources of unequal length, by the rows that both have."""
    count = min(x.shape[0], y.shape[0])
    reason = f"no: {counted(x.shape[0], 'row')} against {y.shape[0]:,}"
    if count < MIN_PAIRS or not (x.is_numpy and y.is_numpy):
        return Pairing(False, reason)
    samples = (_sampled_rows(x), _sampled_rows(y))
    near_copies = tuple(find_near_copies(samples, (x.shape[0], y.shape[0]), names, paired=False))

    def judged(clause: str, kind: str = "unjudged", breaks: tuple[PairingBreak, ...] = ()) -> Pairing:
        return Pairing(False, f"{reason}{clause}", kind=kind, breaks=breaks, degenerate=near_copies)

    first, other = (select_rows(source, np.arange(count)) for source in (x, y))
    breaks = find_breaks(first, other)
    if breaks:
        return judged(f"; {ranges_clause(breaks, names[1])}; {break_advice(breaks, names)}", "broken", breaks)
    if offset := matching_offset(first, other):
        steps = offset_steps(first, other, offset, 0, count)
        return judged(f"; {offset_clause(steps[0][1] or offset, names[1], steps)}", "shifted")
    if clause := common_rows_clause(x, y, names):
        return judged(f"; {clause}", "reordered")
    return judged("")


def _sampled_rows(source: Source) -> np.ndarray:
    """Return the unit rows of at most 2,000 random rows, without those that have no direction."""
    rows = np.arange(source.shape[0])
    if len(rows) > MAX_SAMPLED_PAIRS:
        rows = np.sort(np.random.default_rng(0).choice(len(rows), MAX_SAMPLED_PAIRS, replace=False))
    unit = unit_rows(to_numpy(source.take(rows)).astype(np.float64))
    return np.asarray(unit[np.isfinite(unit).all(axis=1) & unit.any(axis=1)])


def first_pairs(pairs: Pairs, /) -> tuple[Source, Source]:
    """Return two sources of which row i of one matches row i of the other: the first pair of each item.

    Parameters
    ----------
    pairs : Pairs
        Pairs of n items.

    Returns
    -------
    x : Source
        One row for each item that has a pair.
    y : Source
        The first matching row of y for each of them.

    Examples
    --------
    >>> import numpy as np
    >>> pairs = Pairs(image=np.eye(2), text=np.arange(6.0).reshape(3, 2), index=[1, 1, 0])
    >>> first_pairs(pairs)[1].read(0, 2).tolist()
    [[4.0, 5.0], [0.0, 1.0]]
    """
    if pairs.index is None and pairs.y_groups is None:
        return pairs.x, pairs.y
    items, rows = pairs.first_pairs
    return select_rows(pairs.x, items), select_rows(pairs.y, rows)


def judge_items(pairs: Pairs, /, *, names: tuple[str, str]) -> Pairing:
    """Judge pairs by the first pair of each item, and by its next four if those match, or by all if they do not.

    Parameters
    ----------
    pairs : Pairs
        Pairs of n items.
    names : tuple of str
        Names of the two modalities in the reason.

    Returns
    -------
    Pairing
        See `looks_paired`.

    Examples
    --------
    >>> import isthmus
    >>> judge_items(isthmus.demo.load("plain"), names=("image", "text")).kind
    'paired'
    """
    pairing = looks_paired(*first_pairs(pairs), names=names, n_pairs=pairs.n_pairs)
    if pairing.kind == "paired":
        for number, x, y in later_matches(pairs):
            later = looks_paired(x, y, names=names)
            is_weak = pairing.z * math.sqrt(x.shape[0] / pairs.n_components) < 2 * Z_THRESHOLD
            if later.kind in REPORTED_KINDS and not (later.kind == "unpaired" and is_weak):
                matches = f"the matches number {number} of the items"
                clause = f"{matches} do not match (mean cosine {later.paired:z.3f}, first ones {pairing.paired:z.3f})"
                advice = "check their order"
                if later.breaks:
                    clause, advice = (
                        f"among {matches}, {ranges_clause(later.breaks, names[1])}",
                        break_advice(later.breaks, names),
                    )
                reason = f"only in part: {clause}; {advice}"
                return replace(later, reason=reason, kind="broken", degenerate=pairing.degenerate)
    if pairing.kind != "unpaired" or pairs.dependence is not None or pairs.n_pairs == pairs.n_components:
        return pairing
    sample = pairs.sample(MAX_SAMPLED_PAIRS)
    try:
        numbers = _compared_cosines(Moments.of(sample, matmul_dtype="float64"))
    except InputError:  # invalid rows, which the first pairs leave out
        return pairing
    paired, unpaired, z = numbers
    items = "items" if sample is pairs else "sampled items"
    cosines = _cosines_clause(*numbers, f"all pairs of {sample.n_components:,} {items}")
    kind = "paired" if z > Z_THRESHOLD else "unpaired"
    if kind == "paired":
        reason = "; ".join([f"yes: {cosines}", *(entry.message for entry in pairing.degenerate)])
    else:
        reason = no_match_reason(cosines, sample.n_components, z)
    return replace(
        pairing, looks_paired=kind == "paired", reason=reason, paired=paired, unpaired=unpaired, z=z, kind=kind
    )


#: Judgements of pairs that still exist.
_CACHE: WeakKeyDictionary[Pairs, Pairing] = WeakKeyDictionary()


def judge_pairing(pairs: Pairs, /) -> Pairing:
    """Judge whether the rows of pairs match, once while the pairs exist.

    Parameters
    ----------
    pairs : Pairs
        The pairs. See `judge_items` for items with several pairs.

    Returns
    -------
    Pairing
        See `looks_paired`.

    Examples
    --------
    >>> import isthmus
    >>> judge_pairing(isthmus.demo.load("warm")).looks_paired
    True
    """
    if pairs not in _CACHE and pairs.n_components < MIN_PAIRS:
        degeneracies = tuple(find_degeneracies(moments_of(pairs).numpy(), pairs.names))
        reason = f"only {counted(pairs.n_components, 'usable row')} to compare"
        _CACHE[pairs] = Pairing(False, reason, degenerate=degeneracies)
    elif pairs not in _CACHE:
        _CACHE[pairs] = judge_items(pairs, names=pairs.names)
    return _CACHE[pairs]
