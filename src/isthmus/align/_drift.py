"""Comparison of a new corpus with the rows that an aligner was fitted to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar

import numpy as np

from isthmus.align._further import Cloud
from isthmus.statistics.intervals import satterthwaite_p_value
from isthmus.utils.tabular import Tabular

#: Level of the test of equal means.
LEVEL = 0.01
#: Gaussian samples that the null of the covariance fidelity is the smallest of.
DRAWS = 5
#: Loss of fidelity, in the largest of these samples, that real rows may have: their spectra and tails are not Gaussian.
MAX_LOSS = 1.25


@dataclass(frozen=True)
class ModalityDrift:
    """Difference between new rows of one modality and those of the fit.

    Parameters
    ----------
    name : str
        Name of the modality.
    n : int
        Number of new rows.
    shift : float
        Distance between the two means. Unit rows have at most 2.
    standard_errors : float
        `shift` divided by the root mean square distance of the means of two samples of these sizes from one population.
    p_value : float
        p-value of the hypothesis of equal means, by Satterthwaite's approximation of a quadratic form.
    cosine : float
        Cosine of the two means.
    residual : float
        `shift` divided by the root of the total variance of the new rows. This is the common offset that centring with
        the fitted mean leaves, in units of the spread.
    fidelity : float
        tr (S^1/2 T S^1/2)^1/2 / sqrt(tr S tr T) of the two covariances, from 0 (disjoint) to 1 (proportional).
    fidelity_null : float
        Smallest fidelity that samples of these sizes from one population may have. It is 1 - 1.25 (1 - f), where f is
        the smallest of five fidelities of samples from one Gaussian. Its covariance is the pooled one, shrunk towards
        equal eigenvalues until the squared norm has no bias of sampling.

    Examples
    --------
    >>> import isthmus
    >>> run = isthmus.demo.arrays("plain", split="test")
    >>> aligner = isthmus.align.Centering().fit(isthmus.demo.load("plain", split="train"))
    >>> image = aligner.drift(run.image[run.labels == 1]).modalities[0]
    >>> image.name, image.shifted
    ('image', True)
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
        """Return whether the means differ (p < .01)."""
        return self.p_value < LEVEL

    @property
    def reshaped(self) -> bool:
        """Return whether the covariances differ by more than those of samples of one population."""
        return self.fidelity < self.fidelity_null


@dataclass(frozen=True, eq=False, repr=False)
class Drift(Tabular):
    """Difference between a new corpus and the fit. `bool(drift)` is True if a mean or a covariance differs.

    Parameters
    ----------
    modalities : tuple of ModalityDrift
        One entry for each modality that was given.
    sentences : tuple of str
        The same in words, with the consequences.

    Examples
    --------
    >>> import isthmus
    >>> pairs = isthmus.demo.load("plain", split="train")
    >>> bool(isthmus.align.Centering().fit(pairs).drift(pairs.x.read(0, 500)))
    False
    """

    kind: ClassVar[str] = "drift"

    modalities: tuple[ModalityDrift, ...]
    sentences: tuple[str, ...]

    def __bool__(self) -> bool:
        return any(modality.shifted or modality.reshaped for modality in self.modalities)

    def columns(self) -> dict[str, list[Any]]:
        """Return one row for each modality with the fields of `ModalityDrift`.

        Returns
        -------
        dict of str to list
            Columns by name, and the decisions 'shifted' and 'reshaped'.
        """
        names = [*(field.name for field in fields(ModalityDrift)), "shifted", "reshaped"]
        return {name: [getattr(modality, name) for modality in self.modalities] for name in names}

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values.

        Returns
        -------
        dict
            'modalities' and 'sentences'.
        """
        return {"modalities": [asdict(modality) for modality in self.modalities], "sentences": list(self.sentences)}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], /) -> Drift:
        """Return the drift that `save` wrote.

        Parameters
        ----------
        content : mapping
            Content of the JSON file.

        Returns
        -------
        Drift
            The drift.
        """
        return cls(tuple(ModalityDrift(**values) for values in content["modalities"]), tuple(content["sentences"]))

    def __str__(self) -> str:
        return " ".join(self.sentences)

    def __repr__(self) -> str:
        return "\n".join(["Drift of a new corpus", *(f"  {sentence}" for sentence in self.sentences)])


def measure_drift(
    samples: Mapping[str, tuple[Cloud, Cloud]], *, uses_means: bool, uses_pairs: bool, corrects_scores: bool
) -> Drift:
    """Compare the fitted rows and the new rows of modalities by name."""
    modalities = tuple(_compare(name, fitted, corpus) for name, (fitted, corpus) in samples.items())
    options = {"uses_means": uses_means, "uses_pairs": uses_pairs, "corrects_scores": corrects_scores}
    sentences = [s for m in modalities for s in _sentences(m, **options)]
    return Drift(modalities, tuple(sentences))


def _compare(name: str, old: Cloud, new: Cloud) -> ModalityDrift:
    n_old, mean_old, cov_old = old.n, old.mean, old.cov
    n_new, mean_new, cov_new = new.n, new.mean, new.cov
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
        fidelity=_factor_fidelity(_factor(cov_old), _factor(cov_new)),
        fidelity_null=_null_fidelity(cov_old, n_old, cov_new, n_new),
    )


def _factor(cov: np.ndarray) -> np.ndarray:
    """Return a factor F (d, r) with F F' = cov."""
    values, vectors = np.linalg.eigh(cov)
    positive = values > 1e-14 * max(float(values[-1]), 0.0)
    return vectors[:, positive] * np.sqrt(values[positive])


def _factor_fidelity(a: np.ndarray, b: np.ndarray) -> float:
    """Return the fidelity of a a' and b b', divided by the root of the product of their traces."""
    total = float(np.sum(a * a) * np.sum(b * b))
    return float(np.linalg.svd(a.T @ b, compute_uv=False).sum()) / float(np.sqrt(total)) if total > 0 else float("nan")


def _null_fidelity(cov_old: np.ndarray, n_old: int, cov_new: np.ndarray, n_new: int) -> float:
    """Return the limit of the fidelity of two samples of these sizes from one population, see `ModalityDrift`."""
    rng = np.random.default_rng(0)
    n = n_old + n_new
    factor = _population_factor((n_old * cov_old + n_new * cov_new) / n, n - 2)
    smallest = min(
        _factor_fidelity(_sample_factor(factor, n_old, rng), _sample_factor(factor, n_new, rng)) for _ in range(DRAWS)
    )
    return max(1 - MAX_LOSS * (1 - smallest), 0.0)


def _population_factor(cov: np.ndarray, freedom: int) -> np.ndarray:
    """Return a factor of an estimate of the covariance of the population.

    Eigenvalues of a sample spread more than those of the population. A Gaussian with the covariance of the sample would
    have samples that are more alike than those of the population.
    """
    values, vectors = np.linalg.eigh(cov)
    positive = values > 1e-14 * max(float(values[-1]), 0.0)
    if positive.sum() < freedom:  # otherwise the rows are too few to show in how many directions they vary
        values, vectors = values[positive], vectors[:, positive]
    values = np.maximum(values, 0.0)
    if not len(values):
        return vectors
    total, squares, freedom = float(values.sum()), float(values @ values), max(freedom, 2)
    unbiased = freedom**2 / ((freedom - 1) * (freedom + 2)) * (squares - total**2 / freedom)
    mean = total / len(values)
    excess = squares - total * mean
    share = float(np.sqrt(np.clip((unbiased - total * mean) / excess, 0, 1))) if excess > 0 else 1.0
    return vectors * np.sqrt(share * values + (1 - share) * mean)


def _sample_factor(factor: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Return a factor of the covariance of n Gaussian rows, by Bartlett's triangle if n - 1 exceeds the rank."""
    rank = factor.shape[1]
    if n - 1 <= rank:
        return factor @ rng.normal(size=(rank, n - 1)) / np.sqrt(n)
    triangle = np.tril(rng.normal(size=(rank, rank)), -1)
    triangle[np.diag_indices(rank)] = np.sqrt(rng.chisquare(n - 1 - np.arange(rank)))
    return factor @ triangle / np.sqrt(n)


def _sentences(drift: ModalityDrift, *, uses_means: bool, uses_pairs: bool, corrects_scores: bool) -> list[str]:
    """Return the differences of one modality and their consequences."""
    sentences = []
    if drift.shifted:
        sentences.append(
            f"The mean of the {drift.n:,} new rows of {drift.name} lies {drift.shift:.3f} from the fitted one, "
            f"{drift.standard_errors:.1f} standard errors (cosine {drift.cosine:.3f})."
        )
        cost = f"{100 * drift.residual:.0f} % of the spread of the new rows"
        if corrects_scores:
            sentences.append(
                f"The offset is {cost}. A bank of another corpus loses recall and prefers a modality, so fit again, or "
                "adapt() to rows of the corpus that is searched."
            )
        elif uses_means:
            sentences.append(
                f"Centring with the fitted mean leaves a common offset of {cost} in every row. Every score carries it, "
                "so recall falls and the ranking is sorted by modality again. adapt() subtracts the new mean."
            )
        else:
            sentences.append(
                f"The offset is {cost}, so a map that was solved from the fitted means misses the new ones."
            )
    if drift.reshaped:
        sentences.append(
            f"The covariance of {drift.name} has fidelity {drift.fidelity:.3f} with the fitted one, and samples of one "
            f"population of these sizes have at least {drift.fidelity_null:.3f}."
        )
        if not corrects_scores:
            sentences[-1] += " The map weights other directions."
        if uses_pairs:
            sentences[-1] += " adapt() updates what unpaired rows determine, and the paired part needs new pairs."
    if not sentences:
        sentences.append(f"The {drift.n:,} new rows of {drift.name} do not differ measurably from those of the fit.")
    return sentences
