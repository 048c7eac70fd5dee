"""Selection of one array of a file that can hold several."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from isthmus.data.sources._source import Source
from isthmus.utils.errors import InputError, unknown_name

#: Names that a message lists.
MAX_LISTED = 5


class SeveralArraysError(InputError):
    """Raised if a file holds several arrays or columns and none is selected."""

    def __init__(self, holds: str, addresses: Sequence[str]):
        self.holds, self.addresses = holds, list(addresses)
        super().__init__(f"{holds}; select one, such as {addresses[0]}")


def listed(names: Sequence[str]) -> str:
    """Return the first names and the number of the others."""
    more = f" and {len(names) - MAX_LISTED:,} more" if len(names) > MAX_LISTED else ""
    return ", ".join(name[:30] for name in names[:MAX_LISTED]) + more


def select_member(path: Path, names: Sequence[str], member: str | None) -> str:
    """Return `member` if it is among `names`. If it is None, return the only name."""
    if not names:
        raise InputError(f"{path}: holds no array, expected one or more; save the embeddings again")
    if member is None:
        if len(names) > 1:
            raise SeveralArraysError(f"{path}: holds the arrays {listed(names)}", [f"{path}::{name}" for name in names])
        return names[0]
    if member not in names:
        raise unknown_name(f"array in {path}", member, names)
    return member


def check_has_matrix(path: Path, candidates: Sequence[str], names: Sequence[str], member: str | None) -> None:
    """Raise `InputError` if none of several arrays is a matrix and none is selected, as if each were one vector."""
    if member is None and not candidates and len(names) > 1:
        raise InputError(
            f"{path}: holds no (n, d) array of floats, only {len(names):,} other arrays ({listed(names)}); if each is "
            "the vector of one item, save np.stack(list(arrays.values())) with np.save"
        )


def member_name(source: Source) -> str:
    """Return the name of the array that `source` reads in its file, or 'rows' if it has none."""
    return source.address.partition("::")[2] or "rows"
