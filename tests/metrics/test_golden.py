"""Known values of real embeddings: 500 pairs of COCO as CLIP ViT-B/16 sees them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import isthmus

#: name: (value, tolerance)
VALUES = {
    "centroid_angle": (72.01, 0.05),
    "centroid_distance": (0.8514, 0.0005),
    "centroid_distance_debiased": (0.8506, 0.0005),
    "mean_paired_cosine": (0.310, 0.001),
    "mean_resultant_length_image": (0.730, 0.0005),
    "mean_resultant_length_text": (0.718, 0.0005),
    "image_to_text_R@1": (276 / 500, 0),
    "text_to_image_R@1": (253 / 500, 0),
    "rank_99_image": (251, 0),
    "rank_99_text": (232, 0),
    "effective_rank_image": (258, 0.5),
    "effective_rank_text": (244, 0.5),
    "relative_modality_gap": (0.591, 0.0006),
    "participation_ratio_image": (42.7, 0.05),
    "participation_ratio_text": (41.7, 0.05),
    "anisotropy_image": (49.5, 0.06),
    "anisotropy_text": (50.8, 0.06),
    "cka": (0.636, 0.0005),
    "overlap_8": (0.180, 0.0005),
    "overlap_32": (0.192, 0.0005),
    "overlap_128": (0.3671, 0.0001),
    "overlap_dimensions": (2, 0),
    "gap_share_top_2": (0.686, 0.0005),
    "gap_share_top_8": (0.789, 0.0005),
    "instance_gap": (1.174, 0.0005),
    "intrinsic_dimension_image": (14.8, 0.06),
    "intrinsic_dimension_text": (12.2, 0.06),
    "mutual_knn": (0.249, 0.0005),
    "residual_anisotropy": (28.3, 0.06),
    "shared_directions": (17, 0),
}


@pytest.fixture(scope="module")
def result(real: Callable[[str], Path]) -> isthmus.Result:
    return isthmus.measure(real("clip_coco/image.npy"), real("clip_coco/text.npy"))


def test_values_of_clip_are_known(result: isthmus.Result) -> None:
    for name, (value, tolerance) in VALUES.items():
        assert result[name].plugin == pytest.approx(value, abs=tolerance), name


def test_values_of_clip_lie_in_their_intervals(result: isthmus.Result) -> None:
    assert result["centroid_angle"].value == pytest.approx(72.01, abs=0.05)  # hardly biased
    assert result["image_to_text_R@1"].value == 276 / 500
    for name, estimate in result.items():
        assert np.isnan(estimate.low) or estimate.low <= estimate.value <= estimate.high, name


def test_nulls_of_clip_are_known(result: isthmus.Result) -> None:
    assert result["cka"].null == pytest.approx(0.083, abs=0.003)
    assert result["overlap_128"].null == 0.25
    assert result["overlap_8"].null == 8 / 512
    assert result["overlap_dimensions"].null == 0
    assert result["mutual_knn"].null == pytest.approx(0.020, abs=0.002)
    assert result["centroid_distance"].null == pytest.approx(0.051, abs=0.003)


def test_measures_with_few_items_have_a_note(result: isthmus.Result) -> None:
    for name in ("rank_99_image", "effective_rank_text", "power_law_slope_image", "overlap_128", "bures_distance"):
        assert result[name].note == "500 items are too few for 512 dimensions: 5,120 are needed", name
        assert np.isnan(result[name].low), name
    note = result.to_dict()["metrics"]["rank_99_image"]["note"]
    assert note == "500 items are too few for 512 dimensions: 5,120 are needed"
    assert result.to_dict()["metrics"]["centroid_angle"]["note"] is None
    # The biased forms of the field lie outside of the intervals, and stand beside the values.
    for name in ("participation_ratio_image", "cka"):
        assert not result[name].low <= result[name].plugin <= result[name].high
        assert f"(plug-in {result[name].plugin:.4g})" in str(result[name])
        assert result.to_dict()["metrics"][name]["plugin"] == pytest.approx(result[name].plugin)
    assert result.to_dict()["metrics"]["image_to_text_R@1"]["plugin"] is None


def test_gap_share_names_the_coordinates(result: isthmus.Result) -> None:
    assert result["gap_share_top_2"].note == "coordinates (counted from 0) 442, 362"


def test_curves_sum_to_one(result: isthmus.Result) -> None:
    shares = result.curves["gap_share_per_coordinate"]
    assert shares.sum() == pytest.approx(1)
    assert shares[:2].sum() == pytest.approx(result["gap_share_top_2"].plugin)
    for modality in ("image", "text"):
        assert result.curves[f"gap_share_per_direction_{modality}"].sum() == pytest.approx(1)


def test_bias_predicts_the_change_with_half_of_the_items(clip_coco: isthmus.Pairs) -> None:
    """The bias formula foresees how CKA and the participation ratio change when half of the items are left out."""
    halves = [
        isthmus.measure(half, metrics=["cka", "participation_ratio_{side}"]) for half in clip_coco.split_half(rng=0)
    ]
    estimates = isthmus.measure(clip_coco, metrics=["cka", "participation_ratio_{side}"])
    for name in estimates:
        middle = (estimates[name].low + estimates[name].high) / 2
        bias = estimates[name].plugin - middle
        change = np.mean([half[name].plugin for half in halves]) - estimates[name].plugin
        assert change == pytest.approx(bias, rel=0.35), name
