"""All snapshots of a training run as one result."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, overload

from isthmus.train.snapshot import GapSnapshot
from isthmus.utils.tabular import Tabular


@dataclass(frozen=True, eq=False, repr=False)
class GapHistory(Tabular, Sequence[GapSnapshot]):
    """Snapshots of a training run in the order of their steps, as a sequence, a table, a file and a figure.

    Parameters
    ----------
    snapshots : tuple of GapSnapshot
        The snapshots.

    Examples
    --------
    >>> import isthmus
    >>> moments = isthmus.Moments.of(isthmus.demo.load("collapsed"))
    >>> history = GapHistory(tuple(GapSnapshot.of(moments, step=step) for step in (100, 200)))
    >>> history.columns()["step"], round(history.columns()["angle"][0])
    ([100, 200], 60)
    """

    kind: ClassVar[str] = "gap history"

    snapshots: tuple[GapSnapshot, ...]

    @overload
    def __getitem__(self, index: int) -> GapSnapshot: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[GapSnapshot]: ...

    def __getitem__(self, index: int | slice) -> GapSnapshot | Sequence[GapSnapshot]:
        return self.snapshots[index]

    def __iter__(self) -> Iterator[GapSnapshot]:
        return iter(self.snapshots)

    def __len__(self) -> int:
        return len(self.snapshots)

    def columns(self) -> dict[str, list[Any]]:
        """Return one row for each snapshot.

        Returns
        -------
        dict of str to list
            'step', 'n', and every number that is defined in one of the snapshots. It is NaN where it is not.
        """
        rows = [{name: cells[0] for name, cells in snapshot.columns().items()} for snapshot in self.snapshots]
        names = dict.fromkeys(name for row in rows for name in row)
        return {name: [row.get(name, math.nan) for row in rows] for name in names}

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values.

        Returns
        -------
        dict
            'snapshots' with every snapshot.
        """
        return {"snapshots": [snapshot._saved() for snapshot in self.snapshots]}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], /) -> GapHistory:
        """Return the history that `save` wrote.

        Parameters
        ----------
        content : mapping
            Content of the JSON file.

        Returns
        -------
        GapHistory
            The history.
        """
        return cls(tuple(GapSnapshot.from_dict(snapshot) for snapshot in content["snapshots"]))

    def __repr__(self) -> str:
        lines = [f"  {snapshot}" for snapshot in self.snapshots[-10:]]
        return "\n".join([f"GapHistory of {len(self)} snapshots", *lines])
