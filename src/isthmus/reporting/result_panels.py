"""Draw calibrations, interventions, matrices, drift, training histories and zero-shot reports on a given axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from isthmus.align import Drift
from isthmus.diagnosis import Calibration, PairwiseResults
from isthmus.diagnosis._cosine_bins import threshold_curve
from isthmus.evaluation import ZeroShotReport
from isthmus.evaluation.intervention_curve import INTERVENTIONS, InterventionCurve
from isthmus.reporting.drawing import ACCENT, INK, MUTED, PAPER, X, Y
from isthmus.train.snapshot import GapSnapshot

#: Colour and marker of each intervention.
STYLES = {"translate": (X, "o"), "rotate": (Y, "^"), "collapse": (ACCENT, "s"), "remove_unshared": (MUTED, "D")}
AXIS_LABELS = {"gap": "gap (degrees)", "gap_distance": "distance of the means", "alignment": "shared-space alignment"}
#: Cosines at which precision and recall are drawn.
CALIBRATION_POINTS = 201


def draw_calibration(ax: Any, calibration: Calibration) -> None:
    """Draw the precision and the recall of a threshold on the cosine, for one match among all items."""
    curve = threshold_curve(calibration, CALIBRATION_POINTS)
    cosines, recall, precision = (curve[name] for name in ("cosines", "recall", "precision"))
    ax.plot(cosines, 100 * recall, color=X, lw=1.6, label="recall")
    ax.plot(cosines, 100 * precision, color=Y, lw=1.6, label="precision")
    ax.set(xlabel="threshold of the cosine", ylabel="%", ylim=(-2, 102))
    ax.legend(frameon=False)


def draw_interventions(ax: Any, curve: InterventionCurve, score: str, measure: str) -> None:
    """Draw a score against the gap or the alignment, one line for each intervention. The star is the raw space."""
    for name in shown_interventions(curve):
        points = curve.curve(name)
        colour, marker = STYLES[name]
        x = [getattr(point, measure) for point in points]
        y = [point.scores[score] for point in points]
        ax.plot(x, y, color=colour, lw=1.5, marker=marker, ms=4, label=name.replace("_", " "))
    ax.plot(getattr(curve.raw, measure), curve.raw.scores[score], "*", color=INK, ms=11, mec=PAPER, zorder=5)
    ax.set_ylim(bottom=min(0.0, ax.get_ylim()[0]))


def shown_interventions(curve: InterventionCurve) -> list[str]:
    """Return the names of the interventions that the curve has points of."""
    return [name for name in INTERVENTIONS if any(point.intervention == name for point in curve.points)]


def draw_matrix(ax: Any, results: PairwiseResults[Any], name: str) -> None:
    """Draw one number for each pair of modalities as a coloured matrix. Rows are queries where that matters."""
    from matplotlib.colors import LinearSegmentedColormap

    matrix = results.matrix(name)
    ax.imshow(matrix, cmap=LinearSegmentedColormap.from_list("share", [PAPER, X]), aspect="equal")
    defined = matrix[np.isfinite(matrix)]
    middle = (defined.min() + defined.max()) / 2 if len(defined) else 0.0
    for (i, j), value in np.ndenumerate(matrix):
        if np.isfinite(value):
            colour = PAPER if value > middle else INK
            ax.text(j, i, f"{value:.3g}", ha="center", va="center", color=colour)
    ax.set_xticks(range(len(results.names)), results.names)
    ax.set_yticks(range(len(results.names)), results.names)
    ax.set_title(name)


def draw_drift(ax: Any, drift: Drift) -> None:
    """Draw the shift of the mean of each modality in units of its spread. Modalities that shifted are orange."""
    names = [modality.name for modality in drift.modalities]
    colours = [Y if modality.shifted else MUTED for modality in drift.modalities]
    ax.barh(names, [modality.residual for modality in drift.modalities], color=colours, height=0.6)
    ax.set(xlabel="shift of the mean / spread of the rows")
    ax.invert_yaxis()


def draw_history(ax: Any, snapshots: Sequence[GapSnapshot]) -> None:
    """Draw the components of the cosine deficit over the steps of a training run."""
    steps = [snapshot.step for snapshot in snapshots]
    colours = (MUTED, Y, X, ACCENT)
    for component, colour in zip(snapshots[0].budget, colours, strict=True):
        values = [snapshot.budget[component].value for snapshot in snapshots]
        ax.plot(steps, values, color=colour, lw=1.6, marker="o", ms=3, label=component)
    ax.set(xlabel="step", ylabel="part of 1 - cosine")
    ax.legend(frameon=False)


def draw_zero_shot(ax: Any, report: ZeroShotReport, n_classes: int) -> None:
    """Draw the accuracy of the `n_classes` weakest classes with 95 % intervals, and after both means are removed."""
    rows = sorted((row for row in report.rows() if row["rows"]), key=lambda row: row["accuracy"])[:n_classes]
    positions = range(len(rows))
    accuracy, low, high, centred = (
        np.array([100 * row[name] for row in rows]) for name in ("accuracy", "low", "high", "centred_accuracy")
    )
    bars = np.clip([accuracy - low, high - accuracy], 0, None)
    ax.errorbar(accuracy, positions, xerr=bars, fmt="o", color=X, ms=5, lw=1.2, label="raw")
    ax.plot(centred, positions, "^", color=Y, ms=6, label="means removed")
    ax.set_yticks(positions, [str(row["class"]) for row in rows])
    ax.set(xlabel="accuracy (%)", ylim=(len(rows) - 0.5, -0.5))
    ax.legend(frameon=False)
