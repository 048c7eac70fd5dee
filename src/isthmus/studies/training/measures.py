"""Measures of the held-out pairs of a run, from collapse and gap to the scores of tasks."""

from __future__ import annotations

import math

import numpy as np

from isthmus.diagnosis.cosine_decomposition import COMPONENTS, decomposition_values
from isthmus.evaluation.shared_space import shared_alignment
from isthmus.evaluation.shared_space import shared_basis as estimate_shared_basis
from isthmus.linalg.psd import covariance_fidelity
from isthmus.metrics import MetricContext, evaluate, registry
from isthmus.metrics.centroid import gap_angle
from isthmus.statistics.moments import Moments
from isthmus.tasks import TaskData, mean_texts, select_tasks

#: Number of directions of the shared space in `alignment`. The demonstration runs share 20 to 50.
N_SHARED = 16
MEASURES = ("effective_rank_{side}", "rank_99_{side}", "excess_overlap_dimensions")
TASKS = ("retrieval", "mixed_search", "zero_shot")
SCORES = ("R@1", "mixed_R@1", "mixed_NDCG@10", "same_modality_share", "zero_shot_accuracy")


#: Rows x and y (n, d) and labels (n,).
LabelledPairs = tuple[np.ndarray, np.ndarray, np.ndarray]


def measure_held_out(
    train_data: LabelledPairs,
    test_data: LabelledPairs,
    /,
    *,
    shared_basis: np.ndarray | None = None,
    axes: np.ndarray | None = None,
) -> dict[str, float | None]:
    """Return all measures of the test pairs by name. Undefined ones are None.

    'gap' is debiased. 'gap_distance', the lengths of the means and the components are plug-in estimates of the test
    pairs, which contain sampling noise. They are defined in every run, also where the gap is not significant.
    The shared space and the class texts come from the training pairs. If a subspace is imposed (`shared_basis`,
    `axes`), two measures are added. 'centre_in_shared' is the fraction of the squared mean lengths inside the shared
    space. 'imposed_ceiling' is the mean cosine 1 - (1 - cos angle) E[alpha beta] of matching pairs with equal
    coordinates in the shared space.
    """
    x, y, labels = test_data
    moments = Moments.of(x, y, normalize=False)
    context = MetricContext(moments, names=("image", "text"))
    gap = gap_angle(context)
    lengths = [float(np.linalg.norm(mean)) for mean in (moments.mean_x, moments.mean_y)]
    decomposition = decomposition_values(moments)
    values: dict[str, float | None] = {
        "gap": None if gap.undefined else gap.value,
        "gap_distance": float(np.linalg.norm(moments.mean_x - moments.mean_y)),
        "length_image": lengths[0],
        "length_text": lengths[1],
        **{f"budget_{name}": getattr(decomposition, name) for name in (*COMPONENTS, "total")},
        "budget_reached": decomposition.captured_fraction,
        "cosine": moments.mean_paired,
        "ceiling": float(moments.mean_x @ moments.mean_y) + covariance_fidelity(moments.cov_x, moments.cov_y),
        "alignment": shared_alignment(
            moments, estimate_shared_basis(Moments.of(*train_data[:2], normalize=False), min(N_SHARED, moments.dim_x))
        ),
    }
    for name in MEASURES:
        values |= {key: estimate.value for key, estimate in evaluate(registry()[name], context).items()}
    if shared_basis is not None and axes is not None:
        values |= _imposed_measures(x, y, moments, shared_basis, axes)
    names, texts = mean_texts(train_data[1], np.arange(len(train_data[1])), train_data[2])
    data = TaskData(x.astype(np.float32), y.astype(np.float32), labels=labels, class_names=names, class_texts=texts)
    scores: dict[str, float] = {}
    for task in select_tasks(list(TASKS)):
        scores |= task.run(data).scores()
    values |= {name: scores[name] for name in SCORES}
    return {name: None if value is None or not math.isfinite(value) else float(value) for name, value in values.items()}


def _imposed_measures(
    x: np.ndarray, y: np.ndarray, moments: Moments, shared_basis: np.ndarray, axes: np.ndarray
) -> dict[str, float | None]:
    """Return the measures that need the imposed subspaces."""
    means = (moments.mean_x, moments.mean_y)
    inside = sum(float(np.sum((shared_basis @ mean) ** 2)) for mean in means)
    total = sum(float(mean @ mean) for mean in means)
    alpha, beta = x @ axes[0], y @ axes[1]
    cosine = float(axes[0] @ axes[1])
    p, q = float(np.mean(alpha**2)), float(np.mean(beta**2))
    return {
        "centre_in_shared": inside / total,
        "apart_image": p,
        "apart_text": q,
        "imposed_ceiling": math.sqrt((1 - p) * (1 - q)) + cosine * math.sqrt(p * q),
    }
