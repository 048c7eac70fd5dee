"""Plot functions on a given axis: each figure of the report for use in a paper or a notebook.

Every function returns the matplotlib axes. Without `ax` it makes a new figure in the style of the report, which `style`
changes or switches off. With `ax` it draws with the matplotlib settings of the caller. In a notebook, and after pyplot
is imported, new figures are those of pyplot, so that they are shown.

>>> import isthmus
>>> pairs = isthmus.demo.load("plain", split="test")
>>> ax = isthmus.plot.cosines(pairs)
>>> ax.get_xlabel(), [text.get_text() for text in ax.get_legend().get_texts()][:2]
('cosine', ['matching pairs', 'non-matching pairs'])
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from isthmus.align import Drift, Reliability
from isthmus.data.pairs import Pairs
from isthmus.diagnosis import Calibration, CosineDecomposition, Explanation, PairwiseResults
from isthmus.diagnosis.model_table import ModelComparison
from isthmus.evaluation import Comparison, ZeroShotReport
from isthmus.evaluation.intervention_curve import InterventionCurve
from isthmus.reporting import panels, samples
from isthmus.reporting.drawing import draw_on, style
from isthmus.reporting.result_plots import (
    calibration,
    checkpoints,
    drift,
    history,
    interventions,
    matrix,
    models,
    trade_off,
    zero_shot,
)
from isthmus.reporting.samples import CosineSample
from isthmus.reporting.study_plots import study
from isthmus.statistics.result import Result
from isthmus.train.history import GapHistory
from isthmus.train.snapshot import GapSnapshot
from isthmus.utils.errors import InputError
from isthmus.utils.lazy import hinting_getter
from isthmus.utils.tabular import Tabular

__all__ = [
    "aligners",
    "angle",
    "budget",
    "calibration",
    "checkpoints",
    "clouds",
    "cosines",
    "drift",
    "history",
    "interventions",
    "matrix",
    "models",
    "predicted_cosines",
    "principal_angles",
    "reliability",
    "spectra",
    "study",
    "style",
    "trade_off",
    "zero_shot",
]

#: Figures of each class of results, the default first.
FIGURES: dict[type[Tabular], tuple[str, ...]] = {
    Result: ("angle", "spectra", "principal_angles"),
    Explanation: (
        "budget", "angle", "clouds", "cosines", "calibration", "spectra", "principal_angles", "aligners"
    ),
    Comparison: ("aligners", "trade_off"),
    Calibration: ("calibration",),
    InterventionCurve: ("interventions",),
    PairwiseResults: ("matrix",),
    Drift: ("drift",),
    Reliability: ("reliability",),
    GapSnapshot: ("history",),
    GapHistory: ("history",),
    ModelComparison: ("models", "checkpoints"),
    ZeroShotReport: ("zero_shot",),
}  # fmt: skip


def _result(data: Result | Explanation, function: str) -> Result:
    """Return the measures of `data`."""
    result = data.result if isinstance(data, Explanation) else data
    if not isinstance(result, Result):
        raise InputError(f"{function} got {type(data).__name__}, expected a Result (isthmus.measure) or an Explanation")
    return result


def _pairs(data: Pairs | Result | Explanation, function: str) -> tuple[Pairs, bool]:
    """Return the pairs of `data` and whether their rows are normalized."""
    if isinstance(data, Pairs):
        return data, True
    pairs = data.pairs if isinstance(data, Explanation) else getattr(data, "rows", None)
    if not isinstance(pairs, Pairs):
        raise InputError(
            f"{function} got {type(data).__name__} without rows, expected Pairs, or a Result or Explanation of pairs "
            "that was not loaded from a file"
        )
    return pairs, bool(_result(data, function).pairs["normalize"])


def angle(data: Result | Explanation, /, *, ax: Any = None) -> Any:
    """Draw the two mean vectors in their own plane, with the gap angle between them.

    Parameters
    ----------
    data : Result or Explanation
        All measures, from `isthmus.measure` or `isthmus.explain`.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on. Default: new axes.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.

    Raises
    ------
    InputError
        If the angle is undefined.

    Examples
    --------
    >>> import isthmus
    >>> ax = isthmus.plot.angle(isthmus.measure(isthmus.demo.load("collapsed", split="test")))
    >>> sorted(text.get_text() for text in ax.texts if text.get_text())
    ['60.0°', 'image', 'text']
    """
    result = _result(data, "angle")
    undefined = result["centroid_angle"].undefined
    if undefined:
        raise InputError(f"the angle between the means is undefined: {undefined}")
    return draw_on(panels.draw_angle, ax, result)


def budget(data: CosineDecomposition | Explanation, /, *, ax: Any = None) -> Any:
    """Draw the components of the cosine deficit as a waterfall.

    Parameters
    ----------
    data : CosineDecomposition or Explanation
        From `isthmus.explain` or `isthmus.diagnosis.decompose_pairs`.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on. Default: new axes.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.

    Examples
    --------
    >>> import isthmus
    >>> ax = isthmus.plot.budget(isthmus.explain(isthmus.demo.load("collapsed", split="test")))
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['spectrum', 'centre', 'orientation', 'pairing', 'total']
    """
    decomposition = data.budget if isinstance(data, Explanation) else data
    if not isinstance(decomposition, CosineDecomposition):
        raise InputError(f"budget got {type(data).__name__}, expected a CosineDecomposition or an Explanation")
    return draw_on(panels.draw_budget, ax, decomposition, height=232)


def clouds(data: Pairs | Result | Explanation, /, *, aligner: Any = None, ax: Any = None) -> Any:
    """Draw a sample of both modalities on the plane of the mean difference and of the widest spread.

    Parameters
    ----------
    data : Pairs, Result or Explanation
        The rows. The rows of `Pairs` are normalized.
    aligner : Aligner, optional
        A fitted aligner of two modalities, whose rows are drawn. Default: the rows as they are.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on. Default: new axes.

    Returns
    -------
    matplotlib.axes.Axes
        The axes, both with one scale at their current size.

    Examples
    --------
    >>> import isthmus
    >>> isthmus.plot.clouds(isthmus.demo.load("collapsed", split="test")).get_xlabel()
    'along the difference of the means'
    """
    pairs, normalize = _pairs(data, "clouds")
    x, y = samples.one_pair_per_item(pairs.sample(samples.MAX_ITEMS), normalize=normalize)
    if aligner is not None:
        x, y = aligner.transform_x(x), aligner.transform_y(y)
    projection = samples.CloudProjection.of(x, y)
    return draw_on(panels.draw_clouds, ax, projection, pairs.names, panels.shared_limits(projection), height=350)


def predicted_cosines(*, ax: Any = None) -> Any:
    """Draw the cosines that theory predicts for each pair of the demo run 'collapsed', and those measured.

    Parameters
    ----------
    ax : matplotlib.axes.Axes, optional
        Axes to draw on. Default: new axes.

    Returns
    -------
    matplotlib.axes.Axes
        The axes. Lines are predicted, and points are held-out pairs.

    Examples
    --------
    >>> import isthmus
    >>> [text.get_text() for text in isthmus.plot.predicted_cosines().texts]
    ['raw', 'rotation', 'projection']
    """
    from isthmus.reporting import demo_predictions  # imports jinja2 through its page, which no other figure needs

    return draw_on(demo_predictions.draw_predictions, ax, demo_predictions.predict_cosines())


def spectra(data: Result | Explanation, /, *, ax: Any = None) -> Any:
    """Draw the share of energy of each principal direction of both modalities by its rank.

    Parameters
    ----------
    data : Result or Explanation
        All measures, from `isthmus.measure` or `isthmus.explain`.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on. Default: new axes.

    Returns
    -------
    matplotlib.axes.Axes
        The axes, with a logarithmic y axis.

    Examples
    --------
    >>> import isthmus
    >>> isthmus.plot.spectra(isthmus.measure(isthmus.demo.load("plain", split="test"))).get_yscale()
    'log'
    """
    return draw_on(panels.draw_spectra, ax, _result(data, "spectra"))


def principal_angles(data: Result | Explanation, /, *, ax: Any = None) -> Any:
    """Draw the principal angles between the 99 % subspaces, with the 5 to 95 % range of random subspaces.

    Parameters
    ----------
    data : Result or Explanation
        All measures, from `isthmus.measure` or `isthmus.explain`.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on. Default: new axes.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.

    Examples
    --------
    >>> import isthmus
    >>> isthmus.plot.principal_angles(isthmus.measure(isthmus.demo.load("plain", split="test"))).get_ylabel()
    'degrees'
    """
    result = _result(data, "principal_angles")
    rank_x, rank_y = (int(result[f"rank_99_{name}"].value) for name in result.pairs["names"])
    random_angles = samples.random_subspace_angles(result.pairs["dim"], (rank_x, rank_y))
    return draw_on(panels.draw_principal_angles, ax, result, random_angles)


def cosines(data: Pairs | Result | Explanation, /, *, ax: Any = None) -> Any:
    """Draw the densities of the cosines of matching pairs, of non-matching pairs and within each modality.

    Parameters
    ----------
    data : Pairs, Result or Explanation
        The rows, of which at most 2,000 items are sampled. The rows of `Pairs` are normalized.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on. Default: new axes.

    Returns
    -------
    matplotlib.axes.Axes
        The axes, with a legend.

    Examples
    --------
    >>> import isthmus
    >>> isthmus.plot.cosines(isthmus.demo.load("plain", split="test")).get_ylabel()
    'density'
    """
    pairs, normalize = _pairs(data, "cosines")

    def draw(axes: Any, sample: CosineSample) -> None:
        panels.draw_cosines(axes, sample)
        axes.legend(frameon=False)

    return draw_on(draw, ax, CosineSample.of(pairs, normalize=normalize))


def reliability(data: Reliability | Explanation, /, *, ax: Any = None) -> Any:
    """Draw the observed share of right hits against their probability, in groups of hits.

    Parameters
    ----------
    data : Reliability or Explanation
        From `Relevance.reliability`, or an explanation, whose queries of the first modality are drawn.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on. Default: new axes.

    Returns
    -------
    matplotlib.axes.Axes
        The axes, with 95 % intervals and the diagonal of perfect calibration.

    Raises
    ------
    InputError
        If `data` is something else, or the data do not allow to calibrate relevance.

    Examples
    --------
    >>> import isthmus
    >>> pairs = isthmus.demo.load("collapsed", split="test")
    >>> relevance = isthmus.align.ScoreCalibration().fit(pairs).relevance(pairs)
    >>> isthmus.plot.reliability(relevance.reliability(query="text", stored="image")).get_ylabel()
    'share of right hits'
    """
    if isinstance(data, Explanation) and data.relevance is not None:
        query, stored = next(iter(data.relevance.models))
        data = data.relevance.reliability(query=query, stored=stored)
    if not isinstance(data, Reliability):
        raise InputError(f"reliability got {type(data).__name__}, expected the result of Relevance.reliability")
    return draw_on(panels.draw_reliability, ax, data)


def aligners(data: Comparison | Explanation, /, *, ax: Any = None) -> Any:
    """Draw the exchange score of mixed search of each aligner against its change in cross-modal recall.

    Parameters
    ----------
    data : Comparison or Explanation
        From `isthmus.compare`, or an explanation with a comparison.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on. Default: new axes.

    Returns
    -------
    matplotlib.axes.Axes
        The axes, with 95 % intervals.

    Raises
    ------
    InputError
        If there is no comparison, or one without these scores.

    Examples
    --------
    >>> import isthmus
    >>> table = isthmus.compare(isthmus.demo.load("plain", split="test"), splits=1)
    >>> isthmus.plot.aligners(table).get_ylabel()
    'change in R@1 (points)'
    """
    comparison = data.comparison if isinstance(data, Explanation) else data
    if not isinstance(comparison, Comparison):
        raise InputError(
            f"aligners got {type(data).__name__} without a comparison, expected the result of isthmus.compare"
        )
    return draw_on(panels.draw_aligners, ax, comparison, height=300)


def draw_result(result: Tabular, figure: str | None = None, /, *, ax: Any = None) -> Any:
    """Draw a figure of a result, by default the first in `FIGURES`. `Tabular.plot` calls this function."""
    figures = next((names for known, names in FIGURES.items() if isinstance(result, known)), ())
    chosen = figure or next(iter(figures), None)
    if chosen not in figures:
        raise InputError(f"{type(result).__name__} has no figure {figure!r}; it has {', '.join(figures) or 'none'}")
    return globals()[str(chosen)](result, ax=ax)


if not TYPE_CHECKING:  # a type checker would then find every name
    __getattr__ = hinting_getter("isthmus.plot", __all__)
