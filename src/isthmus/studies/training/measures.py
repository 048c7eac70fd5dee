"""What is measured on the held-out pairs of a run: the links of the chain from collapse to the task."""

from __future__ import annotations

import math

import numpy as np

from isthmus.diagnosis.cosine_decomposition import COMPONENTS, decomposition_values
from isthmus.evaluation.shared_space import shared_alignment, shared_basis
from isthmus.linalg.psd import fidelity
from isthmus.metrics import MetricContext, evaluate, registry
from isthmus.metrics.centroid import gap_angle
from isthmus.statistics.moments import Moments
from isthmus.tasks import TaskData, mean_texts, select_tasks

#: Directions of the shared space in `alignment`; the demonstration runs show 20 to 50 on the training pairs.
SHARED = 16
MEASURES = ("effective_rank_{side}", "rank_99_{side}", "excess_overlap_dimensions")
TASKS = ("retrieval", "mixed_search", "zero_shot")
SCORES = ("R@1", "mixed_R@1", "mixed_NDCG@10", "same_modality_share", "zero_shot_accuracy")


def measured(
    fitting: tuple[np.ndarray, np.ndarray, np.ndarray],
    testing: tuple[np.ndarray, np.ndarray, np.ndarray],
    /,
    *,
    shared: np.ndarray | None = None,
    axes: np.ndarray | None = None,
) -> dict[str, float | None]:
    """Everything about the rows x, y (n, d) and labels (n,) of `testing`; None where undefined.

    The shared space and the class texts come from `fitting`. With the imposed `shared` basis and `axes` also
    'centre_in_shared', the share of the squared mean lengths inside the shared space, and 'imposed_ceiling', the mean
    cosine 1 - (1 - cos angle) E[alpha beta] that partners with equal shared parts would have.
    """
    x, y, labels = testing
    moments = Moments.of(x, y, normalize=False)
    context = MetricContext(moments, names=("image", "text"))
    gap = gap_angle(context)
    lengths = [float(np.linalg.norm(mean)) for mean in (moments.mean_x, moments.mean_y)]
    decomposition = decomposition_values(moments)
    found: dict[str, float | None] = {
        "gap": None if gap.undefined else gap.value,
        "gap_distance": float(np.linalg.norm(moments.mean_x - moments.mean_y)),
        "length_image": lengths[0],
        "length_text": lengths[1],
        **{f"budget_{name}": getattr(decomposition, name) for name in (*COMPONENTS, "total")},
        "budget_reached": decomposition.captured_fraction,
        "cosine": moments.mean_paired,
        "ceiling": float(moments.mean_x @ moments.mean_y) + fidelity(moments.cov_x, moments.cov_y),
        "alignment": shared_alignment(
            moments, shared_basis(Moments.of(*fitting[:2], normalize=False), min(SHARED, moments.dim_x))
        ),
    }
    for name in MEASURES:
        found |= {key: estimate.value for key, estimate in evaluate(registry()[name], context).items()}
    if shared is not None and axes is not None:
        found |= _imposed(x, y, moments, shared, axes)
    names, texts = mean_texts(fitting[1], np.arange(len(fitting[1])), fitting[2])
    rows = TaskData(x.astype(np.float32), y.astype(np.float32), labels=labels, class_names=names, class_texts=texts)
    scores: dict[str, float] = {}
    for task in select_tasks(list(TASKS)):
        scores |= task.run(rows).scores()
    found |= {name: scores[name] for name in SCORES}
    return {name: None if value is None or not math.isfinite(value) else float(value) for name, value in found.items()}


def _imposed(
    x: np.ndarray, y: np.ndarray, moments: Moments, shared: np.ndarray, axes: np.ndarray
) -> dict[str, float | None]:
    inside = sum(float(np.sum((shared @ mean) ** 2)) for mean in (moments.mean_x, moments.mean_y))
    whole = sum(float(mean @ mean) for mean in (moments.mean_x, moments.mean_y))
    alpha, beta = x @ axes[0], y @ axes[1]
    cosine = float(axes[0] @ axes[1])
    p, q = float(np.mean(alpha**2)), float(np.mean(beta**2))
    return {
        "centre_in_shared": inside / whole,
        "apart_image": p,
        "apart_text": q,
        "imposed_ceiling": math.sqrt((1 - p) * (1 - q)) + cosine * math.sqrt(p * q),
    }
