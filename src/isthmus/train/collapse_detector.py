"""Saying in words that the dimensions of an encoder collapse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from isthmus.train.snapshot import GapSnapshot
from isthmus.utils.errors import InputError
from isthmus.utils.format import number


@dataclass
class CollapseDetector:
    """Compares each reading with the best one before it.

    A side collapses when `patience` readings in a row show that its effective rank fell below the share `rank` of its
    highest, or its spread 1 - |mean|^2 below the share `spread` of its largest. Each is said once, and again only after
    it recovered. Untrained encoders spread over random directions: readings of the first `ignore` steps are not used.

    >>> from isthmus import Moments, demo
    >>> watch = CollapseDetector()
    >>> watch(GapSnapshot.of(Moments.of(demo.load("plain")), step=100))
    []
    """

    rank: float = 0.5
    spread: float = 0.25
    patience: int = 2
    ignore: int = 0
    _best: dict[str, tuple[float, int]] = field(default_factory=dict, repr=False)
    _low: dict[str, int] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        for name in ("rank", "spread"):
            if not 0 < getattr(self, name) < 1:
                raise InputError(f"{name}={getattr(self, name)}, expected a share between 0 and 1")
        if self.patience < 1 or self.ignore < 0:
            raise InputError(f"patience={self.patience}, ignore={self.ignore}: expected at least 1 and at least 0")

    def __call__(self, reading: GapSnapshot, /) -> list[str]:
        """Sentences about what has just been found, usually none."""
        if reading.step <= self.ignore:
            return []
        said = []
        for side in reading.names:
            kinds: list[tuple[str, float, float, Callable[[float], str]]] = [
                ("effective rank", reading.effective_ranks[side], self.rank, number),
                ("spread around the mean", 1 - reading.lengths[side] ** 2, self.spread, number),
            ]
            for what, value, share, shown in kinds:
                best = self._falls(f"{side} {what}", value, share, reading.step)
                if best is not None:
                    said.append(
                        f"{side} collapses: its {what} fell from {shown(best[0])} at step {best[1]:,} to "
                        f"{shown(value)} at step {reading.step:,}. Lower the learning rate, raise the temperature, or "
                        "add a term that keeps the dimensions, such as isthmus.train.VarianceCovariance"
                    )
        return said

    def _falls(self, key: str, value: float, share: float, step: int) -> tuple[float, int] | None:
        """The best value and its step when `value` is low for the `patience`-th time in a row, else None."""
        best = self._best.get(key)
        if best is None or value > best[0]:
            self._best[key], self._low[key] = (value, step), 0
            return None
        self._low[key] = self._low[key] + 1 if value < share * best[0] else 0
        return best if self._low[key] == self.patience else None
