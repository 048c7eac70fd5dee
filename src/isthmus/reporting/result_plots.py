"""Plot functions of comparisons, calibrations, interventions, matrices of modalities, drift and training histories."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from isthmus.align import Drift
from isthmus.diagnosis import Calibration, Explanation, PairwiseResults
from isthmus.diagnosis.model_table import ModelComparison
from isthmus.evaluation import Comparison, ZeroShotReport
from isthmus.evaluation.intervention_curve import InterventionCurve
from isthmus.reporting import models_page, result_panels
from isthmus.reporting.drawing import draw_on
from isthmus.train.snapshot import GapSnapshot
from isthmus.utils.errors import InputError, unknown_name


def calibration(data: Calibration | Explanation, /, *, ax: Any = None) -> Any:
    """Draw the precision and the recall of every threshold on the cosine.

    Parameters
    ----------
    data : Calibration or Explanation
        From `isthmus.calibrate` or `isthmus.explain`.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on. Default: new axes.

    Returns
    -------
    matplotlib.axes.Axes
        The axes, in per cent, for one match among all items.

    Raises
    ------
    InputError
        If there is no calibration.

    Examples
    --------
    >>> import isthmus
    >>> ax = isthmus.plot.calibration(isthmus.calibrate(isthmus.demo.load("plain", split="test")))
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['recall', 'precision']
    """
    calibrated = data.calibration if isinstance(data, Explanation) else data
    if not isinstance(calibrated, Calibration):
        raise InputError(
            f"calibration got {type(data).__name__} without a calibration, expected the result of isthmus.calibrate"
        )
    return draw_on(result_panels.draw_calibration, ax, calibrated)


def trade_off(data: Comparison, /, *, score: str | None = None, ax: Any = None) -> Any:
    """Draw the share of the gap that each aligner closes against the change of a score.

    Parameters
    ----------
    data : Comparison
        From `isthmus.compare`.
    score : str, optional
        Name of the score. Default: the first main score of the tasks.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on, with space for the names to the right. Default: new axes.

    Returns
    -------
    matplotlib.axes.Axes
        The axes, with 95 % intervals. The square is the raw space, and losses beyond their interval are grey.

    Raises
    ------
    InputError
        If the score is unknown.

    Examples
    --------
    >>> import isthmus
    >>> table = isthmus.compare(isthmus.demo.load("plain", split="test"), aligners=["Centering"], splits=1)
    >>> isthmus.plot.trade_off(table, score="R@5").get_ylabel()
    'change in R@5 (points)'
    """
    from isthmus.reporting import comparison_page  # imports jinja2, which the other figures do not need

    if not isinstance(data, Comparison):
        raise InputError(f"trade_off got {type(data).__name__}, expected the result of isthmus.compare")
    scores = list(next((row.changes for row in data.rows if row.changes), {}))
    shown = score or next(iter(data.main_scores or scores), "")
    if shown not in scores:
        raise unknown_name("score", shown, scores)
    return draw_on(comparison_page.draw_trade_off, ax, data, shown, height=comparison_page.trade_off_height(data))


def interventions(
    data: InterventionCurve, /, *, score: str | None = None, measure: str | None = None, ax: Any = None
) -> Any:
    """Draw a score against the gap, one line for each intervention on it.

    Parameters
    ----------
    data : InterventionCurve
        From `isthmus.evaluation.intervene`.
    score : str, optional
        Name of the score. Default: the first.
    measure : {'gap', 'gap_distance', 'alignment'}, optional
        Horizontal axis. Default: the gap.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on. Default: new axes.

    Returns
    -------
    matplotlib.axes.Axes
        The axes, with a legend. The star is the raw space.

    Raises
    ------
    InputError
        If the score or the measure is unknown.

    Examples
    --------
    >>> import isthmus
    >>> from isthmus.evaluation import intervene
    >>> curve = intervene(isthmus.demo.load("collapsed", split="test"), interventions=["translate"])
    >>> isthmus.plot.interventions(curve).get_xlabel()
    'gap (degrees)'
    """
    if not isinstance(data, InterventionCurve):
        raise InputError(
            f"interventions got {type(data).__name__}, expected the result of isthmus.evaluation.intervene"
        )
    shown_score, shown_measure = score or next(iter(data.explained)), measure or data.gap_measure
    if shown_score not in data.explained:
        raise unknown_name("score", shown_score, data.explained)
    if shown_measure not in result_panels.AXIS_LABELS:
        raise unknown_name("measure", shown_measure, result_panels.AXIS_LABELS)

    def draw(axes: Any) -> None:
        result_panels.draw_interventions(axes, data, shown_score, shown_measure)
        axes.set(xlabel=result_panels.AXIS_LABELS[shown_measure], ylabel=shown_score)
        axes.legend(frameon=False)

    return draw_on(draw, ax)


def matrix(data: PairwiseResults[Any], /, *, name: str = "centroid_angle", ax: Any = None) -> Any:
    """Draw one number for each pair of modalities as a coloured matrix.

    Parameters
    ----------
    data : PairwiseResults
        From `isthmus.Modalities.measure` or `isthmus.Modalities.explain`.
    name : str, default 'centroid_angle'
        Name of the number, as in `PairwiseResults.matrix`.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on. Default: new axes.

    Returns
    -------
    matplotlib.axes.Axes
        The axes. Rows are queries for a measure of a query and a corpus.

    Examples
    --------
    >>> import numpy as np, isthmus
    >>> X, Y, Z = np.random.default_rng(0).normal(size=(3, 50, 4)) + np.eye(4)[:3, None] * 3
    >>> measured = isthmus.Modalities(image=X, text=Y, audio=Z).measure(metrics=["centroid_angle"])
    >>> [label.get_text() for label in isthmus.plot.matrix(measured).get_xticklabels()]
    ['image', 'text', 'audio']
    """
    if not isinstance(data, PairwiseResults):
        raise InputError(f"matrix got {type(data).__name__}, expected the result of isthmus.Modalities.measure")
    return draw_on(result_panels.draw_matrix, ax, data, name, height=350)


def drift(data: Drift, /, *, ax: Any = None) -> Any:
    """Draw the shift of the mean of each modality of a new corpus.

    Parameters
    ----------
    data : Drift
        From `aligner.drift`.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on. Default: new axes.

    Returns
    -------
    matplotlib.axes.Axes
        The axes. Modalities that shifted (p < .01) are orange.

    Examples
    --------
    >>> import isthmus
    >>> pairs = isthmus.demo.load("plain", split="train")
    >>> ax = isthmus.plot.drift(isthmus.align.Centering().fit(pairs).drift(pairs.x.read(0, 500)))
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['image']
    """
    if not isinstance(data, Drift):
        raise InputError(f"drift got {type(data).__name__}, expected the result of aligner.drift")
    return draw_on(result_panels.draw_drift, ax, data, height=180)


def history(data: GapSnapshot | Sequence[GapSnapshot], /, *, ax: Any = None) -> Any:
    """Draw the components of the cosine deficit over the steps of a training run.

    Parameters
    ----------
    data : sequence of GapSnapshot
        `snapshots` of a `isthmus.train.GapMonitor`.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on. Default: new axes.

    Returns
    -------
    matplotlib.axes.Axes
        The axes, with a legend.

    Raises
    ------
    InputError
        If there is no snapshot.

    Examples
    --------
    >>> import isthmus
    >>> from isthmus.train.snapshot import GapSnapshot
    >>> moments = isthmus.Moments.of(isthmus.demo.load("collapsed"))
    >>> isthmus.plot.history([GapSnapshot.of(moments, step=step) for step in (100, 200)]).get_xlabel()
    'step'
    """
    snapshots = [data] if isinstance(data, GapSnapshot) else list(data)
    if not snapshots:
        raise InputError("history got no snapshot; the monitor takes the first one after a few batches")
    return draw_on(result_panels.draw_history, ax, snapshots)


def zero_shot(data: ZeroShotReport, /, *, n_classes: int = 20, ax: Any = None) -> Any:
    """Draw the accuracy of the weakest classes, as they are and after both means are removed.

    Parameters
    ----------
    data : ZeroShotReport
        From `isthmus.evaluation.evaluate_zero_shot`.
    n_classes : int, default 20
        Number of classes, the one with the lowest accuracy first.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on. Default: new axes.

    Returns
    -------
    matplotlib.axes.Axes
        The axes, with 95 % intervals and a legend.

    Raises
    ------
    InputError
        If there is no report, or `n_classes` is below 1.

    Examples
    --------
    >>> import numpy as np, isthmus
    >>> from isthmus.evaluation import evaluate_zero_shot
    >>> report = evaluate_zero_shot(np.eye(3), np.eye(3), ["cat", "dog", "cat"], class_names=["cat", "dog", "owl"])
    >>> [label.get_text() for label in isthmus.plot.zero_shot(report).get_yticklabels()]
    ['cat', 'dog']
    """
    if not isinstance(data, ZeroShotReport):
        raise InputError(
            f"zero_shot got {type(data).__name__}, expected the result of isthmus.evaluation.evaluate_zero_shot"
        )
    if n_classes < 1:
        raise InputError(f"got n_classes={n_classes}, expected at least 1")
    n_shown = min(n_classes, len(data.raw.classes))
    return draw_on(result_panels.draw_zero_shot, ax, data, n_shown, height=100 + 18 * n_shown)


def models(data: ModelComparison, /, *, measure: str = "centroid_distance", ax: Any = None) -> Any:
    """Draw R@1 of several models against another number.

    Parameters
    ----------
    data : ModelComparison
        From `isthmus.compare_models`.
    measure : str, default 'centroid_distance'
        Number on the horizontal axis, such as 'shared_alignment'.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on. Default: new axes.

    Returns
    -------
    matplotlib.axes.Axes
        The axes, with 95 % intervals.

    Raises
    ------
    InputError
        If the measure is unknown.

    Examples
    --------
    >>> import isthmus
    >>> runs = {run: isthmus.demo.load(run, split="test") for run in ("plain", "collapsed")}
    >>> isthmus.plot.models(isthmus.compare_models(runs)).get_ylabel()
    'R@1'
    """
    if not isinstance(data, ModelComparison):
        raise InputError(f"models got {type(data).__name__}, expected the result of isthmus.compare_models")
    numbers = next(iter(data.values()))
    if measure not in numbers:
        raise unknown_name("measure", measure, numbers)

    def draw(axes: Any) -> None:
        models_page.draw_models(axes, data, measure)
        axes.set(xlabel=measure, ylabel="R@1")

    return draw_on(draw, ax)


def checkpoints(data: ModelComparison, /, *, ax: Any = None) -> Any:
    """Draw gap, alignment and retrieval of checkpoints over the training steps.

    Parameters
    ----------
    data : ModelComparison
        From `isthmus.compare_models`, of checkpoints whose names differ in the step alone.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on. Default: new axes.

    Returns
    -------
    matplotlib.axes.Axes
        The axes, with a legend.

    Raises
    ------
    InputError
        If the models have no steps.

    Examples
    --------
    >>> import isthmus
    >>> runs = {f"step_{step}": isthmus.demo.load(run) for step, run in ((100, "plain"), (200, "collapsed"))}
    >>> isthmus.plot.checkpoints(isthmus.compare_models(runs)).get_xlabel()
    'step'
    """
    if not isinstance(data, ModelComparison):
        raise InputError(f"checkpoints got {type(data).__name__}, expected the result of isthmus.compare_models")
    if not data.steps:
        raise InputError("these models have no steps; name checkpoints like 'step_100', 'step_200'")
    return draw_on(models_page.draw_steps, ax, data)
