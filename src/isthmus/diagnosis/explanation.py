"""Explain the gap of one pair of modalities: all diagnoses in one object."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, ClassVar

from isthmus.align import Relevance, ScoreCalibration
from isthmus.compute.resources import n_threads
from isthmus.compute.threads import blas_limited, run_parallel
from isthmus.data.opening import as_pairs
from isthmus.data.opening_sets import open_sets
from isthmus.data.pairs import Pairs
from isthmus.data.shared_rows import sharing_rows
from isthmus.data.unpaired_sets import NO_PAIRS, UnpairedSets
from isthmus.diagnosis._reading import collapse_from_dict
from isthmus.diagnosis.calibration import Calibration
from isthmus.diagnosis.collapse import CollapseReport, report_collapse
from isthmus.diagnosis.cosine_decomposition import CosineDecomposition
from isthmus.diagnosis.cosine_histograms import calibrate
from isthmus.diagnosis.decomposition_intervals import decompose_pairs
from isthmus.diagnosis.half_samples import MIN_PARALLEL_DIM
from isthmus.diagnosis.recommendation import check_comparison
from isthmus.diagnosis.unpaired_verdict import decompose_sets, verdict_of_sets
from isthmus.diagnosis.verdict_sentences import verdict
from isthmus.evaluation import Comparison
from isthmus.metrics import measure
from isthmus.statistics.data_warnings import state_remarks, without_data_warnings
from isthmus.statistics.result import NAN, Result
from isthmus.statistics.unpaired_moments import moments_of_rows
from isthmus.theory._arguments import inverse_temperature
from isthmus.theory.assumptions import Check, check
from isthmus.theory.ceilings import Ceiling, ceiling
from isthmus.utils.arguments import list_of_names
from isthmus.utils.errors import InputError
from isthmus.utils.files import FORMAT_VERSION
from isthmus.utils.format import json_number, number_from_json
from isthmus.utils.progress import report_progress
from isthmus.utils.tabular import Tabular
from isthmus.utils.validation import check_sample
from isthmus.utils.version import __version__

#: Largest sample of items that relevance is calibrated on.
MAX_ITEMS = 4_000
#: Measures that the verdict and the figures of an explanation show.
EXPLAINED = (
    "centroid_angle",
    "centroid_distance",
    "gap_share_top_2",
    "gap_share_top_8",
    "mean_paired_cosine",
    "mean_resultant_length_{side}",
    "rank_99_{side}",
    "overlap_dimensions",
    "smallest_principal_angle",
    "{x}_to_{y}_R@1",
    "{x}_to_{y}_R@10",
    "{y}_to_{x}_R@1",
    "{y}_to_{x}_R@10",
)


#: Numbers of the collapse in the table of an explanation.
COLLAPSE_COLUMNS = ("shared", "smallest_angle", "largest_angle", "orthogonal_share")


@dataclass(frozen=True, eq=False, repr=False)
class Explanation(Tabular):
    """Diagnoses of the gap between two modalities, returned by `isthmus.explain`.

    Parameters
    ----------
    budget : CosineDecomposition
        Decomposition of the cosine deficit of matching pairs.
    verdict : list of str
        The diagnoses in three to six sentences.
    result : Result
        The measures that the verdict states, and those that `explain` was asked for.
    comparison : Comparison or None
        Aligners judged on held-out pairs, if they were given.
    collapse : CollapseReport
        Ranks, shared dimensions, and the verdicts on two explanations of the gap.
    ceiling : Ceiling
        Upper bounds of the mean cosine of matching pairs.
    pairs : Pairs, UnpairedSets or None
        The pairs, or sets without pairs. None for an explanation that was loaded.
    temperature : float, default 0.01
        Temperature of the training, used by `assumptions`.

    Examples
    --------
    >>> import isthmus
    >>> explanation = isthmus.explain(isthmus.demo.load("collapsed", split="test"))
    >>> explanation.budget.largest, round(explanation.ceiling_fraction, 2)
    ('centre', 0.91)
    """

    kind: ClassVar[str] = "explanation"

    budget: CosineDecomposition
    verdict: list[str]
    result: Result
    comparison: Comparison | None
    collapse: CollapseReport
    ceiling: Ceiling
    pairs: Pairs | UnpairedSets | None
    temperature: float = 0.01

    @property
    def is_paired(self) -> bool:
        """False for sets without pairs, of which pairing, assumptions and calibration say nothing."""
        pairing: Mapping[str, Any] = self.result.pairs.get("pairing", {})
        return pairing.get("by") != "none"

    @cached_property
    def assumptions(self) -> Check:
        """Assumptions of the theorems, checked on these pairs on first access (`isthmus.theory.check`)."""
        if not self.is_paired:
            raise InputError(f"the assumptions of the theorems are about pairs: {NO_PAIRS}")
        return check(self.pairs, temperature=self.temperature)

    @cached_property
    def calibration(self) -> Calibration | None:
        """Calibration of the cosine, computed on first access.

        None for fewer than 20 items, for rows that are not unit rows, and for sets without pairs.
        """
        if not self.is_paired:
            return None
        try:
            return calibrate(self.pairs, normalize=bool(self.result.pairs["normalize"]))
        except InputError:
            return None

    @cached_property
    def relevance(self) -> Relevance | None:
        """Relevance of the first hits of `ScoreCalibration`, calibrated on first access on at most 4,000 items.

        None if the data do not allow it, for rows that are not unit rows, and after loading.
        """
        return self._relevance if isinstance(self._relevance, Relevance) else None

    @cached_property
    def _relevance(self) -> Relevance | InputError:
        if not self.result.pairs["normalize"]:
            return InputError("scores of unit rows are corrected, and these rows are not divided by their norms")
        if not self.is_paired:
            return InputError(NO_PAIRS)
        if not isinstance(self.pairs, Pairs):
            return InputError("the explanation was loaded without its pairs; explain the pairs again")
        try:
            sample = self.pairs.sample(MAX_ITEMS)
            n_stored = dict(zip(self.pairs.names, self.pairs.n_distinct, strict=True))
            with without_data_warnings():
                return ScoreCalibration().fit(sample).relevance(sample, n_stored=n_stored)
        except InputError as error:
            return error

    def relevance_sentences(self, cosine: float, /) -> list[str]:
        """Return what the corrected score says about first hits, or why the data do not allow it.

        Parameters
        ----------
        cosine : float
            Cosine of a query and its first hit, before the correction.

        Returns
        -------
        list of str
            Sentences about this cosine and about thresholds.
        """
        if not isinstance(self._relevance, Relevance):
            return [f"The relevance of corrected scores is unknown: {self._relevance}."]
        return [*self._relevance.sentences(cosine), *self._relevance.sentences()]

    @property
    def ceiling_fraction(self) -> float:
        """Mean cosine of matching pairs divided by `ceiling.centred`, NaN if that is not positive."""
        centred_ceiling = self.ceiling.centred
        return self.ceiling.mean_cosine / centred_ceiling if centred_ceiling > 0 else float("nan")

    def to_dict(self, cosine: float | None = None) -> dict[str, Any]:
        """Return plain JSON values.

        Parameters
        ----------
        cosine : float, optional
            Also return the meaning of this cosine.

        Returns
        -------
        dict
            The values of the result, and 'verdict', 'budget', 'ceiling', 'collapse', 'assumptions' and 'calibration'.
            With a cosine also 'relevance', the sentences about corrected scores.
        """
        ceilings = {
            name: json_number(getattr(self.ceiling, name))
            for name in ("mean_cosine", "centred", "uncentred", "rotated")
        }
        return {
            **self.result.to_dict(),
            "format": FORMAT_VERSION,
            "version": __version__,
            "verdict": list(self.verdict),
            "budget": self.budget.to_dict(),
            "ceiling": ceilings,
            "collapse": self.collapse.to_dict(),
            "assumptions": self.assumptions.to_dict() if self.is_paired else None,
            "calibration": None if self.calibration is None else self.calibration.to_dict(cosine),
            **({} if cosine is None else {"relevance": self.relevance_sentences(cosine)}),
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], /) -> Explanation:
        """Return the explanation that `save` wrote, without the pairs.

        Parameters
        ----------
        content : mapping
            Content of the JSON file.

        Returns
        -------
        Explanation
            The explanation. Its `pairs` is None, so that figures of rows need the data again.
        """
        comparison = content.get("comparison")
        explanation = cls(
            CosineDecomposition.from_dict(content["budget"]),
            content["verdict"],
            Result.from_dict(content),
            None if comparison is None else Comparison.from_dict(comparison),
            collapse_from_dict(content["collapse"]),
            Ceiling(**{name: number_from_json(value) for name, value in content["ceiling"].items()}),
            None,
            content["assumptions"]["temperature"] if content["assumptions"] else 0.01,
        )
        calibration = content["calibration"]
        if content["assumptions"]:
            explanation.__dict__["assumptions"] = Check.from_dict(content["assumptions"])
        explanation.__dict__["calibration"] = None if calibration is None else Calibration.from_dict(calibration)
        return explanation

    def _saved(self) -> dict[str, Any]:
        calibration = None if self.calibration is None else self.calibration._saved()
        comparison = None if self.comparison is None else self.comparison.to_dict()
        return {**super()._saved(), "calibration": calibration, "comparison": comparison}

    def columns(self) -> dict[str, list[Any]]:
        """Return the components of the cosine deficit, the collapse and the measures, one row each.

        Returns
        -------
        dict of str to list
            'part' is 'budget', 'collapse' or 'measure'. Then follow the columns of `Result.columns`.
        """
        budget = {**self.budget.components, "total": self.budget.total, "reached": self.budget.captured_fraction}
        collapse = {name: getattr(self.collapse, name) for name in COLLAPSE_COLUMNS}
        measures = Result(self.result.metrics, {}, self.result.pairs)
        parts = {"budget": Result(budget), "collapse": Result(collapse), "measure": measures}
        tables = {part: result.columns() for part, result in parts.items()}
        rows = [(part, len(result)) for part, result in parts.items()]
        columns: dict[str, list[Any]] = {"part": [part for part, count in rows for _ in range(count)]}
        return columns | {title: [cell for t in tables.values() for cell in t[title]] for title in tables["budget"]}

    def _repr_html_(self) -> str:
        sentences = "".join(f"<p>{html.escape(sentence)}</p>" for sentence in self.verdict)
        return f"{sentences}{super()._repr_html_()}"

    def __repr__(self) -> str:
        return "\n".join(["Explanation of the gap", *(f"  {sentence}" for sentence in self.verdict)])


def explain(
    pairs: Any,
    y: Any = None,
    /,
    *,
    comparison: Comparison | None = None,
    metrics: str | Sequence[str] = (),
    normalize: bool = True,
    temperature: float = 0.01,
    drop_bad: bool = False,
    group: bool = True,
    pool: str | None = None,
    unpaired: bool = False,
    sample: int | None = None,
) -> Explanation:
    """Measure the gap between two modalities, decompose its cosine deficit and judge two explanations of it.

    Parameters
    ----------
    pairs : Pairs, array-like or path
        The pairs, both modalities of one width, or the rows of the first modality: an array, list, column or file.
    y : array-like or path, optional
        Rows of the second modality. Arrays are called 'x' and 'y'.
    comparison : Comparison, optional
        Result of `isthmus.compare`. The verdict then says what closing the gap does to the tasks.
    metrics : str or sequence of str, optional
        Further measures for `Explanation.result`, as in `isthmus.measure`, such as 'all'. Default: only those that the
        verdict states.
    normalize : bool, default True
        Whether rows are divided by their norms.
    temperature : float, default 0.01
        Temperature of the training, used only to check the assumptions of the theorems.
    drop_bad : bool, default False
        Leave out pairs with a row that is NaN, infinite or all zero, with a warning that counts them.
    group : bool, default True
        Take equal rows of a modality as one item with several matches, with a warning that counts them.
    pool : {'mean', 'max', 'first'}, optional
        How several vectors of an item, (n, k, d), become one. Vectors that are all zero are padding.
    unpaired : bool, default False
        Take the rows as two sets without pairs, whose sizes may differ. The explanation is then about means, spectra,
        collapse and gap, and everything about pairs is undefined.
    sample : int, optional
        Items in the sample of measures that need rows, as in `isthmus.measure`, and of the bias and the intervals of
        the components. Default: 10,000.

    Returns
    -------
    Explanation
        All diagnoses.

    Raises
    ------
    InputError
        If the widths differ, the rows are not unit rows with `normalize=False`, or the temperature is not positive.

    Examples
    --------
    >>> import numpy as np, isthmus
    >>> X, Y = np.random.default_rng(0).normal(size=(2, 200, 8)) + [[[2.0]], [[3.0]]]
    >>> explanation = isthmus.explain(isthmus.Pairs(image=X, text=Y))
    >>> explanation.budget.largest
    'pairing'
    """
    check_comparison(comparison)
    check_sample(sample)
    inverse_temperature(temperature)  # the theorems are tested later, on first use
    data: Pairs | UnpairedSets
    if unpaired or isinstance(pairs, UnpairedSets):
        data = open_sets(pairs, y, drop_bad=drop_bad, group=group, normalize=normalize, pool=pool)
    else:
        data = as_pairs(pairs, y, drop_bad=drop_bad, group=group, pool=pool, normalize=normalize)
    further = list_of_names(metrics, "metrics")
    with blas_limited(1), sharing_rows():  # decompositions run side by side
        measured = measure(data, metrics=[*further, *EXPLAINED], normalize=normalize, sample=sample)
        report_progress(0, 3, "explaining")
        if isinstance(data, Pairs):
            budget = decompose_pairs(data, normalize=normalize, sample=sample)
        else:
            budget = decompose_sets(data, normalize=normalize, sample=sample)
        report_progress(1, 3, "explaining")
        moments = moments_of_rows(data, normalize=normalize).numpy()
        tasks: list[Callable[[], Any]] = [
            partial(report_collapse, data, budget, normalize=normalize),
            partial(ceiling, moments),
        ]
        collapse, best_ceiling = run_parallel(tasks, n_threads() if moments.dim_x >= MIN_PARALLEL_DIM else 1)
        report_progress(2, 3, "explaining")
    if isinstance(data, Pairs):
        sentences = verdict(measured, budget, comparison, collapse)
        state_remarks(data)
    else:
        sentences, best_ceiling = verdict_of_sets(measured, budget, collapse), replace(best_ceiling, mean_cosine=NAN)
    return Explanation(budget, sentences, measured, comparison, collapse, best_ceiling, data, temperature)
