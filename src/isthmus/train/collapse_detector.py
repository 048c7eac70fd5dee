"""Detection of dimension collapse from the snapshots of a training run."""

from __future__ import annotations

from dataclasses import dataclass, field

from isthmus.statistics.degeneracy import COLLAPSED_KINDS, NEGATED_ROWS
from isthmus.train.snapshot import GapSnapshot
from isthmus.utils.errors import InputError
from isthmus.utils.format import number

#: Advice about degenerate pairs, by the kind of the finding.
ADVICE = {
    **dict.fromkeys(
        COLLAPSED_KINDS,
        "Check the encoder and its normalization, lower the learning rate, or train from another initialization",
    ),
    "equal rows": "Check that the features of two modalities are given",
    NEGATED_ROWS: "Check the sign of the features that the loss takes",
    "equal cosines": "Check that the features of the two modalities come from the same step",
    "few items": "Raise window= or the batch size",
}


@dataclass
class CollapseDetector:
    """Compare each snapshot with the best one before it and report collapses.

    A modality is low if its effective rank is below `rank_fraction` of its maximum, or its spread 1 - |mean|^2 below
    `spread_fraction` of its maximum. It collapses if it is low in `patience` snapshots in a row. Each collapse is
    reported once, and again only after a recovery. Degenerate pairs in the first snapshot, such as rows that are all
    the same, are reported at once.

    Parameters
    ----------
    rank_fraction : float, default 0.5
        Fraction of the highest effective rank, between 0 and 1.
    spread_fraction : float, default 0.25
        Fraction of the largest spread, between 0 and 1.
    patience : int, default 2
        Number of consecutive low snapshots before a report.
    warmup_steps : int, default 0
        Snapshots up to this step are ignored, because untrained encoders spread over random directions.

    Raises
    ------
    InputError
        If a parameter is out of range.

    Examples
    --------
    >>> from isthmus import Moments, demo
    >>> detector = CollapseDetector()
    >>> detector(GapSnapshot.of(Moments.of(demo.load("plain")), step=100))
    []
    """

    rank_fraction: float = 0.5
    spread_fraction: float = 0.25
    patience: int = 2
    warmup_steps: int = 0
    _best: dict[str, tuple[float, int]] = field(default_factory=dict, init=False, repr=False)
    _low_counts: dict[str, int] = field(default_factory=dict, init=False, repr=False)
    _has_started: bool = field(default=False, init=False, repr=False)

    def __post_init__(self) -> None:
        for name in ("rank_fraction", "spread_fraction"):
            if not 0 < getattr(self, name) < 1:
                raise InputError(f"{name}={getattr(self, name)}, expected a number between 0 and 1")
        if self.patience < 1 or self.warmup_steps < 0:
            raise InputError(
                f"patience={self.patience}, warmup_steps={self.warmup_steps}: expected at least 1 and at least 0"
            )

    def __call__(self, snapshot: GapSnapshot, /) -> list[str]:
        """Return one message for each collapse that this snapshot confirms, usually none.

        Parameters
        ----------
        snapshot : GapSnapshot
            Next snapshot of the training run.

        Returns
        -------
        list of str
            Messages with the modality, the quantity, its values and steps, and what to do.
        """
        if snapshot.step <= self.warmup_steps:
            return []
        messages = self.first_messages(snapshot)
        for modality in snapshot.names:
            quantities = [
                ("effective rank", snapshot.effective_ranks[modality], self.rank_fraction),
                ("spread around the mean", 1 - snapshot.lengths[modality] ** 2, self.spread_fraction),
            ]
            for name, value, fraction in quantities:
                peak = self._confirmed_fall(f"{modality} {name}", value, fraction, snapshot.step)
                if peak is not None:
                    messages.append(
                        f"{modality} collapses: its {name} fell from {number(peak[0])} at step {peak[1]:,} to "
                        f"{number(value)} at step {snapshot.step:,}. Lower the learning rate, raise the temperature, "
                        "or add a term that keeps the dimensions, such as isthmus.train.VarianceCovariance"
                    )
        return messages

    def first_messages(self, snapshot: GapSnapshot, /) -> list[str]:
        """Return how the pairs are degenerate, for the first snapshot alone. Later ones are compared with earlier ones.

        Parameters
        ----------
        snapshot : GapSnapshot
            Snapshot of the training run.

        Returns
        -------
        list of str
            Messages with the step, what is degenerate, and what to check.
        """
        if self._has_started or snapshot.step <= self.warmup_steps:
            return []
        self._has_started = True
        return [f"at step {snapshot.step:,} {entry.message}. {ADVICE[entry.kind]}" for entry in snapshot.degeneracies]

    def _confirmed_fall(self, key: str, value: float, fraction: float, step: int) -> tuple[float, int] | None:
        """Return the best value and its step if `value` is the `patience`-th low value in a row, else None."""
        peak = self._best.get(key)
        if peak is None or value > peak[0]:
            self._best[key], self._low_counts[key] = (value, step), 0
            return None
        self._low_counts[key] = self._low_counts[key] + 1 if value < fraction * peak[0] else 0
        return peak if self._low_counts[key] == self.patience else None
