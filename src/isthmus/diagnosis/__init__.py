"""What the gap is made of, in numbers and in sentences."""

from __future__ import annotations

from dataclasses import dataclass

from isthmus.comparison import Comparison
from isthmus.diagnosis.budget import PARTS, Budget, budget
from isthmus.diagnosis.verdict import at_chance, best_row, verdict
from isthmus.metrics import measure
from isthmus.pairs import Pairs
from isthmus.result import Result

__all__ = ["PARTS", "Budget", "Explanation", "at_chance", "best_row", "budget", "explain", "verdict"]


@dataclass(frozen=True)
class Explanation:
    """`budget` of the missing cosine, `verdict` in sentences, and the `result` of all measures behind them."""

    budget: Budget
    verdict: list[str]
    result: Result
    comparison: Comparison | None = None


def explain(pairs: Pairs, /, *, comparison: Comparison | None = None, normalize: bool = True) -> Explanation:
    """Measure `pairs` and say what the misalignment is made of.

    With a `comparison` (see `isthmus.compare`) the verdict also says what closing the gap does to the tasks.

    >>> import numpy as np, isthmus
    >>> X, Y = np.random.default_rng(0).normal(size=(2, 200, 8)) + [[[2.0]], [[3.0]]]
    >>> explanation = isthmus.explain(isthmus.Pairs(image=X, text=Y))
    >>> explanation.budget.largest
    'pairing'
    """
    result = measure(pairs, normalize=normalize)
    parts = budget(pairs.moments(normalize=normalize))
    return Explanation(parts, verdict(result, parts, comparison), result, comparison)
