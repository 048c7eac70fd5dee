"""Measure how far embeddings are from the assumptions of the theorems about the modality gap.

The theorems of Yi, Douady and Chen (2025), arXiv 2510.03268, describe an ideal. The clouds are von Mises-Fisher in two
hyperplanes, and their centres are orthogonal to the shared space of the hyperplanes. `check` measures the distance of
embeddings from each assumption, and returns which theorem applies to them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from isthmus.compute.arrays import to_numpy
from isthmus.compute.resources import n_threads
from isthmus.compute.threads import run_parallel
from isthmus.data.opening import as_pairs
from isthmus.statistics.moments import Moments, moments_of
from isthmus.theory.residuals import Evidence, different_orientation, moment_residuals, row_residuals
from isthmus.theory.statements import Assumption, Theorem, apply_theorems
from isthmus.utils.arguments import check_count, check_seed

#: Items in the sample of rows for the laws of the clouds, the isometry and the loss.
ROW_ITEMS = 2_000
#: Dimension from which the assumptions about moments and those about rows are tested side by side.
MIN_PARALLEL_DIM = 128


@dataclass(frozen=True)
class Check(Mapping[str, Assumption]):
    """Result of `check`: a mapping of names to assumptions.

    Parameters
    ----------
    assumptions : mapping of str to Assumption
        Assumptions by name.
    theorems : mapping of str to Theorem
        Theorems by name.
    temperature : float
        Temperature of the loss.
    loss : float
        Loss of the sample, both directions summed, in nats.

    References
    ----------
    .. [1] Yi, Douady and Chen (2025), arXiv 2510.03268.

    Examples
    --------
    >>> len(Check({}, {}, temperature=0.1, loss=2.0))
    0
    """

    assumptions: Mapping[str, Assumption]
    theorems: Mapping[str, Theorem]
    temperature: float
    loss: float

    def __getitem__(self, name: str) -> Assumption:
        return self.assumptions[name]

    def __repr__(self) -> str:
        labels = {True: "holds", False: "fails", None: "untested"}
        lines = [f"  {labels[known.holds]:9}{name}: {known.message}" for name, known in self.assumptions.items()]
        applying = ", ".join(name for name, theorem in self.theorems.items() if theorem.applies) or "none"
        return "\n".join(
            [
                f"Assumptions of the theorems at temperature {self.temperature:g}",
                *lines,
                f"Theorems that apply: {applying}",
            ]
        )

    def __iter__(self) -> Iterator[str]:
        return iter(self.assumptions)

    def __len__(self) -> int:
        return len(self.assumptions)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values.

        Returns
        -------
        dict
            Temperature, loss, assumptions and theorems.
        """
        return {
            "temperature": self.temperature,
            "loss": self.loss,
            "assumptions": {name: assumption.to_dict() for name, assumption in self.assumptions.items()},
            "theorems": {name: theorem.to_dict() for name, theorem in self.theorems.items()},
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], /) -> Check:
        """Return the result that `to_dict` wrote.

        Parameters
        ----------
        content : mapping
            Result of `to_dict`.

        Returns
        -------
        Check
            The result.
        """
        assumptions = {name: Assumption.from_dict(values) for name, values in content["assumptions"].items()}
        theorems = {name: Theorem.from_dict(values) for name, values in content["theorems"].items()}
        return cls(assumptions, theorems, content["temperature"], content["loss"])


def check(pairs: Any, y: Any = None, /, *, temperature: float = 0.01, sample: int = ROW_ITEMS, rng: int = 0) -> Check:
    """Measure the assumptions of the theorems on pairs, with rows divided by their norms.

    Parameters
    ----------
    pairs : Pairs or array of shape (n, d)
        Pairs of the same dimension in both modalities, or the rows of the first one.
    y : array of shape (n, d), optional
        Matching rows of the second modality.
    temperature : float, default 0.01
        Temperature of the training, positive.
    sample : int, default 2000
        Items for the loss and the von Mises-Fisher fit, each with its first matching row. Moments use all pairs.
    rng : int, default 0
        Seed of the sample and of the bootstrap.

    Returns
    -------
    Check
        Assumptions and theorems by name.

    Raises
    ------
    InputError
        If the temperature is not positive, `sample` or `rng` is no whole number, or the rows are not usable.

    References
    ----------
    .. [1] Yi, Douady and Chen (2025), arXiv 2510.03268.

    Examples
    --------
    >>> import isthmus
    >>> result = check(isthmus.demo.load("collapsed"), temperature=0.0586)
    >>> result["orthogonal_centres"].holds, result["von_mises_fisher_image"].holds
    (True, False)
    >>> [name for name, theorem in result.theorems.items() if theorem.applies]
    ['theorem 1', 'theorem 4', 'corollary rotation', 'affine case']
    """
    check_count(sample, "sample", 2)
    check_seed(rng)
    pairs = as_pairs(pairs, y)
    evidence = Evidence(moments_of(pairs).numpy(), pairs.names)
    subset = pairs.sample(sample, rng=rng)
    x, y = (to_numpy(rows).astype(np.float64) for rows in subset.unit())
    items, rows_y = subset.first_pairs
    rows = (x[items], y[rows_y])
    tasks: list[Callable[[], Any]] = [
        partial(moment_residuals, evidence),
        partial(row_residuals, evidence, rows, temperature=temperature, rng=rng),
    ]
    threads = n_threads() if pairs.dim >= MIN_PARALLEL_DIM else 1
    of_moments, (loss, of_rows) = run_parallel(tasks, threads)
    assumptions = {assumption.name: assumption for assumption in (*of_moments, *of_rows)}
    assumptions["different_subspaces"] = different_orientation(assumptions["different_subspaces"], evidence, pairs)
    return Check(assumptions, apply_theorems(assumptions, pairs.names), temperature, loss)


def check_moments(moments: Moments, /, *, names: tuple[str, str] = ("x", "y")) -> dict[str, Assumption]:
    """Measure the assumptions that moments alone can test: all but the law of the clouds, the isometry and the loss.

    Parameters
    ----------
    moments : Moments
        Moments of unit rows.
    names : tuple of str, default ('x', 'y')
        Names of the modalities.

    Returns
    -------
    dict of str to Assumption
        Assumptions by name.

    References
    ----------
    .. [1] Yi, Douady and Chen (2025), arXiv 2510.03268.

    Examples
    --------
    >>> import isthmus
    >>> result = check_moments(isthmus.Moments.of(isthmus.demo.load("collapsed")), names=("image", "text"))
    >>> result["orthogonal_centres"].holds, round(result["gap_is_the_angle"].residual, 1)
    (True, 0.0)
    """
    return {assumption.name: assumption for assumption in moment_residuals(Evidence(moments.numpy(), names))}
