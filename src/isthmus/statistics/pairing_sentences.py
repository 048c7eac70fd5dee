"""Ranges of rows that do not match, and the clauses about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from isthmus.utils.format import counted, json_number
from isthmus.utils.transposition import SEPARATE_SPACES, SEPARATE_SPACES_ADVICE

#: Changes of an offset that a clause names.
MAX_STEPS = 4
#: Largest error of the ends of two exchanged ranges, as a share of the shorter one.
MAX_MISPLACED = 0.05
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
        verb = "match as a group and not row by row" if self.matches_as_group else "do not match"
        verb = verb.replace("match as", "matches as").replace("do not", "does not") if self.shard else verb
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
    """Return the clauses of the first three ranges, with the number of the others."""
    listed = ", ".join(entry.sentence(second) for entry in breaks[:3])
    return listed + (f" and {len(breaks) - 3} more ranges" if len(breaks) > 3 else "")


def offset_clause(offset: int, second: str, steps: Sequence[tuple[int, int]] = ()) -> str:
    """Return where the match of a row is, if one side is shifted, and where this changes."""
    changes = [f", from row {row:,} on {_offset_text(offset)}" for row, offset in steps[1:]]
    hidden = changes[MAX_STEPS - 1 : -1]
    if hidden:
        changes = [*changes[: MAX_STEPS - 1], f", then {counted(len(hidden), 'more offset')}", changes[-1]]
    return f"the match of a row stands {_offset_text(offset)} in {second}{''.join(changes)}"


def break_advice(breaks: Sequence[PairingBreak], names: tuple[str, str]) -> str:
    """Return what to do about ranges that do not match."""
    if not all(entry.offset for entry in breaks):
        return "check the order of these rows"
    if are_exchanged(breaks):
        return "the two ranges are exchanged, so restore their order in one of the files"
    entry = breaks[0]
    if len(breaks) > 1 or entry.steps or not entry.is_open:
        return "check which rows are missing"
    shorter, longer = names if entry.offset > 0 else names[::-1]
    rows = counted(abs(entry.offset), "row")
    return f"{shorter} lacks {rows} there, or {longer} has {rows} more"


def are_exchanged(breaks: Sequence[PairingBreak]) -> bool:
    """Return whether ranges that do not match are two ranges of rows, each in the place of the other.

    Parameters
    ----------
    breaks : sequence of PairingBreak
        Ranges, or one of two ranges that touch, whose offsets stand out.

    Returns
    -------
    bool
        True if the rows of both ranges are found where the other one stands, up to a twentieth of a range.

    Examples
    --------
    >>> first, second = (PairingBreak(*place, False, None, False, 0.1, 0.3) for place in ((20, 40, 60), (80, 100, -60)))
    >>> are_exchanged([first, second]), are_exchanged([first])
    (True, False)
    """
    if len(breaks) == 2:
        first, second = breaks
        lengths = [first.stop - first.start, second.stop - second.start]
        distances = [second.start - first.start - first.offset, first.offset + second.offset, lengths[0] - lengths[1]]
        is_forward = first.offset > 0
    elif len(breaks) == 1 and len(breaks[0].steps) == 2:
        first = breaks[0]
        (_, forward), (row, backward) = first.steps
        lengths = [row - first.start, first.stop - row]
        distances = [lengths[0] + backward, lengths[1] - forward]
        is_forward = forward > 0
    else:
        return False
    return is_forward and max(map(abs, distances)) <= max(min(lengths) * MAX_MISPLACED, 1)


def shift_advice(offset: int, names: tuple[str, str]) -> str:
    """Return what to do about files of which all rows are shifted."""
    rows = f"first {abs(offset):,} rows" if abs(offset) != 1 else "first row"
    return f"leave out the {rows} of {names[offset > 0]}"


def _offset_text(offset: int) -> str:
    if offset == 0:
        return "beside it again"
    return f"{counted(abs(offset), 'row')} {'later' if offset > 0 else 'earlier'}"


def plain_fields(report: Any) -> dict[str, Any]:
    """Return the fields of a report as plain values, NaN as None."""
    fields: dict[str, Any] = {k: json_number(v) if isinstance(v, float) else v for k, v in vars(report).items()}
    return {k: [list(step) for step in v] if k == "steps" else v for k, v in fields.items()}
