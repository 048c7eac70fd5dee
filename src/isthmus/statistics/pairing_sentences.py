"""Ranges of rows that do not match, and the clauses about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from isthmus.utils.format import counted, json_number
from isthmus.utils.transposition import SEPARATE_SPACES, SEPARATE_SPACES_ADVICE

#: Changes of an offset that a clause names, and ranges, which are fewer if their clauses are longer than this.
MAX_STEPS, MAX_RANGES, MAX_CLAUSE = 3, 3, 200
#: First row of a range, the row after the last one, and the offset of its matches.
MovedPart = tuple[int, int, int]
#: Largest error of the ends of ranges in another order, as a share of the shortest one.
MAX_MISPLACED = 0.05
#: Clauses about rows and about a shard, by their state.
STATES = {
    "unordered": ("do not match", "does not match"),
    "group": ("match as a group and not row by row", "matches as a group and not row by row"),
    "negated": ("point away from their matches", "points away from its matches"),
}
#: Standard errors from which on a difference that shows no pairing is called a weak sign of one.
WEAK_Z = 2.0


@dataclass(frozen=True)
class PairingBreak:
    """Range of rows that do not match although the rows next to them do.

    Parameters
    ----------
    start, stop : int
        First row, and the row after the last one.
    offset : int
        Row i of x matches row i + offset of y there. It is 0 if no offset stands out.
    matches_as_group : bool
        Whether the rows match those of the range, but not row by row.
    shard : str or None
        Name of the shard whose rows they are.
    is_open : bool
        Whether the range ends with the file.
    cosine, other_cosine : float
        Mean cosine of the pairs in the range, and of the pairs outside all ranges.
    steps : tuple of tuple of int
        First row and offset of each part of the range, if rows are missing in several places. Default: ().
    is_negated : bool
        Whether the rows point away from their matches, as after a change of signs. Default: False.

    Examples
    --------
    >>> PairingBreak(250, 500, 0, False, None, True, 0.16, 0.31).sentence("text")
    'rows 250 to 499 do not match (mean cosine 0.160, others 0.310)'
    """

    start: int
    stop: int
    offset: int
    matches_as_group: bool
    shard: str | None
    is_open: bool
    cosine: float
    other_cosine: float
    steps: tuple[tuple[int, int], ...] = ()
    is_negated: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values.

        Returns
        -------
        dict
            One entry per field, NaN as None.
        """
        return plain_fields(self)

    def sentence(self, second: str) -> str:
        """Return a clause about the range.

        Parameters
        ----------
        second : str
            Name of the second modality.

        Returns
        -------
        str
            The clause.
        """
        rows = f"rows {self.start:,} to {self.stop - 1:,}"
        name = f"shard {self.shard} ({rows})" if self.shard else rows
        if self.offset:
            where = f"from row {self.start:,} on, " if self.is_open else f"in {name} "
            return f"{where if self.start or not self.is_open else ''}{offset_clause(self.offset, second, self.steps)}"
        plural, singular = STATES["negated" if self.is_negated else "group" if self.matches_as_group else "unordered"]
        verb = singular if self.shard else plural
        return f"{name} {verb} (mean cosine {self.cosine:z.3f}, others {self.other_cosine:z.3f})"


def separate_spaces_reason(cosines: str) -> str:
    """Return that matching rows lie in two different spaces, which is told apart from a wrong order of the rows."""
    return (
        f"the rows match, but the modalities are rotated against each other and {SEPARATE_SPACES}: {cosines}; "
        f"{SEPARATE_SPACES_ADVICE}"
    )


def negated_reason(names: tuple[str, str], cosines: str) -> str:
    """Return that the rows of the second modality point away from their matching rows."""
    return (
        f"no: the rows of {names[1]} point away from their matching rows of {names[0]}, as after a sign flip: "
        f"{cosines}; multiply the rows of one of them by -1"
    )


def reordered_reason(common_rows: str, cosines: str) -> str:
    """Return that both modalities hold the same rows in another order, given the clause about them."""
    return (
        f"no: {common_rows}, but in another order: {cosines}; give the file of the other modality, or pair the rows by "
        "a key (--key)"
    )


def no_match_reason(cosines: str, n_pairs: int, z: float) -> str:
    """Return that neither cosines nor a rotation show a pairing, and the three possible reasons.

    A difference `z` of two standard errors or more is a sign, but no clear one.
    """
    return (
        f"no {'clear ' if z >= WEAK_Z else ''}sign that the rows match: {cosines}; either their order is wrong, or the "
        f"encoders were not trained together, or {counted(n_pairs, 'pair')} are too few to show a weak pairing"
    )


def ranges_clause(breaks: Sequence[PairingBreak], second: str) -> str:
    """Return the clauses of the first ranges, with the number of the others."""
    clauses = [entry.sentence(second) for entry in breaks[:MAX_RANGES]]
    while len(clauses) > 1 and len(", ".join(clauses)) > MAX_CLAUSE:
        clauses.pop()
    n_hidden = len(breaks) - len(clauses)
    return ", ".join(clauses) + (f" and {counted(n_hidden, 'more range')}" if n_hidden else "")


def offset_clause(offset: int, second: str, steps: Sequence[tuple[int, int]] = ()) -> str:
    """Return where the match of a row is, if one side is shifted, and where this changes."""
    changes = [f", from row {row:,} on {_offset_text(offset)}" for row, offset in steps[1:]]
    hidden = changes[MAX_STEPS - 1 : -1]
    if hidden:
        changes = [*changes[: MAX_STEPS - 1], f", then {counted(len(hidden), 'more offset')}", changes[-1]]
    return f"the match of a row stands {_offset_text(offset)} in {second}{''.join(changes)}"


def break_advice(breaks: Sequence[PairingBreak], names: tuple[str, str]) -> str:
    """Return what to do about ranges that do not match."""
    if all(entry.is_negated for entry in breaks):
        return "multiply these rows of one file by -1"
    if not all(entry.offset for entry in breaks):
        return "check the order of these rows"
    ranges = [(entry.start, entry.stop, entry.steps or ((entry.start, entry.offset),)) for entry in breaks]
    if are_reordered(moves := [move for entry in ranges for move in moved_parts(*entry)]):
        return reordering_advice(moves)
    entry = breaks[0]
    if len(breaks) > 1 or entry.steps or not entry.is_open:
        return "check which rows are missing"
    shorter, longer = names if entry.offset > 0 else names[::-1]
    rows = counted(abs(entry.offset), "row")
    return f"{shorter} lacks {rows} there, or {longer} has {rows} more"


def moved_parts(start: int, stop: int, steps: Sequence[tuple[int, int]]) -> list[MovedPart]:
    """Return the parts of a range of rows that stand at one offset, given the first row and offset of each."""
    edges = [start, *(row for row, _ in steps[1:]), stop]
    return [(first, last, offset) for (first, last), (_, offset) in zip(pairwise(edges), steps, strict=True)]


def are_reordered(moves: Sequence[MovedPart]) -> bool:
    """Return whether ranges of rows stand in the places of each other.

    Parameters
    ----------
    moves : sequence of tuple of int
        First row of each range, the row after the last one, and its offset.

    Returns
    -------
    bool
        True if the matches of all ranges together are the rows of these ranges, up to a twentieth of a range.

    Examples
    --------
    >>> are_reordered([(20, 40, 60), (80, 100, -60)]), are_reordered([(20, 40, 60)])
    (True, False)
    >>> are_reordered([(0, 20, 40), (20, 40, 40), (40, 80, -40)])
    True
    """
    offsets = [offset for _, _, offset in moves if offset]
    if not offsets or min(offsets) > 0 or max(offsets) < 0:
        return False
    shortest = min(min(stop - start, abs(offset)) for start, stop, offset in moves if offset)
    tolerance = max(shortest * MAX_MISPLACED, 1)
    rows = _joined_ranges([(start, stop) for start, stop, _ in moves], tolerance)
    matches = _joined_ranges([(start + offset, stop + offset) for start, stop, offset in moves], tolerance)
    if len(rows) != len(matches):
        return False
    return float(np.abs(np.subtract(rows, matches)).max()) <= tolerance


def reordering_advice(moves: Sequence[MovedPart]) -> str:
    """Return what to do about ranges that stand in the places of each other."""
    count = len([offset for _, _, offset in moves if offset])
    state = "the two ranges are exchanged" if count == 2 else f"the {count} ranges are in another order"
    return f"{state}, so restore their order in one of the files"


def _joined_ranges(ranges: Sequence[tuple[int, int]], tolerance: float) -> list[tuple[int, int]]:
    """Return sorted ranges, of which those are one that touch. Ranges that overlap by more stay apart."""
    joined: list[tuple[int, int]] = []
    for start, stop in sorted(ranges):
        if joined and abs(start - joined[-1][1]) <= tolerance:
            joined[-1] = joined[-1][0], stop
        else:
            joined.append((start, stop))
    return joined


def shifted_reason(cosines: str, stop: int, steps: Sequence[tuple[int, int]], names: tuple[str, str]) -> str:
    """Return that all rows up to `stop` are shifted, and what to do about it."""
    clause = offset_clause(offset := steps[0][1], names[1], steps)
    if len(steps) > 1:
        moves = moved_parts(0, stop, steps)
        return f"no: {clause}; {reordering_advice(moves) if are_reordered(moves) else 'check which rows are missing'}"
    rows = f"first {abs(offset):,} rows" if abs(offset) != 1 else "first row"
    return f"no: {clause}: {cosines}; leave out the {rows} of {names[offset > 0]}"


def _offset_text(offset: int) -> str:
    if offset == 0:
        return "beside it again"
    return f"{counted(abs(offset), 'row')} {'later' if offset > 0 else 'earlier'}"


def plain_fields(report: Any) -> dict[str, Any]:
    """Return the fields of a report as plain values, NaN as None."""
    fields: dict[str, Any] = {k: json_number(v) if isinstance(v, float) else v for k, v in vars(report).items()}
    return {k: [list(step) for step in v] if k == "steps" else v for k, v in fields.items()}
