"""Verdicts on data whose correct verdict is known, and the content of an explanation."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

import isthmus
from isthmus import Pairs
from isthmus.compute.arrays import unit_rows
from isthmus.diagnosis import Explanation
from isthmus.diagnosis.printing import explanation_lines
from isthmus.statistics.pairing import judge_pairing


def cloud(rng: np.random.Generator, n: int = 600, d: int = 16) -> np.ndarray:
    return rng.normal(size=(n, d)) * np.arange(1, d + 1) ** -0.5


def explained(x: np.ndarray, y: np.ndarray) -> Explanation:
    return isthmus.explain(Pairs(image=x, text=y))


def text(explanation: Explanation) -> str:
    assert 3 <= len(explanation.verdict) <= 6
    assert all(sentence.endswith(".") and "nan" not in sentence for sentence in explanation.verdict)
    return " ".join(explanation.verdict)


def test_verdict_without_gap_starts_with_that(rng: np.random.Generator) -> None:
    u = cloud(rng)
    sentences = text(explained(u, u + 0.2 * cloud(rng)))
    assert sentences.startswith("There is no significant gap: the means are less than 0.1 apart")
    assert "nearly all of it" in sentences
    assert "matching rows that still differ when the two clouds agree" in sentences
    assert "Neither modality has collapsed" in sentences
    assert "dimension collapse" not in sentences
    assert "explanations" not in sentences


def test_verdict_of_equal_rows_names_no_deficit(rng: np.random.Generator) -> None:
    u = cloud(rng)
    assert "Matching pairs have a mean cosine of 1: there is no deficit to explain." in text(explained(u, u))


def test_verdict_of_an_offset_names_the_centre_alone(rng: np.random.Generator) -> None:
    u = 0.6 * unit_rows(rng.normal(size=(800, 10)))
    offsets = np.zeros((2, 800, 30))
    offsets[0, :, 0] = offsets[1, :, 1] = 0.8
    explanation = explained(*(np.hstack([u, offset]) for offset in offsets))
    sentences = text(explanation)
    assert explanation.result["centroid_angle"].value == pytest.approx(90, abs=0.5)
    assert "nearly all of it" in sentences
    assert "due to the angle between the means (the modality gap proper)" in sentences
    assert "(dimension collapse)" not in sentences
    assert "the cause of the angle of the gap (undecided)" in sentences  # the clouds spread equally
    assert "and a constant offset orthogonal to the data (supported)" in sentences
    assert explanation.budget["orientation"].value < 1e-6


def test_verdict_of_a_rotation_tells_it_from_unpaired_rows(rng: np.random.Generator) -> None:
    u = cloud(rng)
    sentences = text(explained(u, u @ np.linalg.qr(rng.normal(size=(16, 16)))[0]))
    assert sentences.startswith("The rows match, but the modalities are rotated against each other and do not come")
    assert re.search(r"Retrieval is at chance \(R@10 \S+ % and \S+ %, chance 1\.7 %\)\. ", sentences)
    assert "do not come from one shared space" in sentences
    assert "(a rotation of one modality would remove it)" in sentences
    assert "(dimension collapse)" not in sentences
    assert "does not match" not in sentences


def test_verdict_of_unpaired_rows_starts_with_the_pairing_and_chance(rng: np.random.Generator) -> None:
    u = cloud(rng)
    explanation = explained(u, rng.permutation(u) + 0.01 * rng.normal(size=u.shape))
    sentences = text(explanation)
    assert sentences.startswith("No sign that the rows match: mean cosine ")
    assert "either their order is wrong, or the encoders were not trained together" in explanation.verdict[0]
    assert "600 pairs are too few to show a weak pairing" in explanation.verdict[0]
    assert explanation.verdict[1].startswith("Retrieval is at chance (R@10 ")
    assert "The match ranks first" not in sentences


def test_verdict_of_opposite_pairs_states_retrieval_below_chance(rng: np.random.Generator) -> None:
    u = cloud(rng)
    opposite = explained(u, 0.3 * rng.normal(size=u.shape) - u)
    sentence = next(sentence for sentence in opposite.verdict if sentence.startswith("Retrieval is "))
    assert sentence.startswith("Retrieval is below chance (R@10 0.0 % and 0.0 %, chance 1.7 %): matching rows are")


def test_verdict_of_a_weak_pairing_does_not_deny_it(real) -> None:  # type: ignore[no-untyped-def]
    """A trained encoder whose 99 pairs are values hardly more often than by chance: the verdict must not deny it."""
    pairs = isthmus.open_pairs(real("clasp_uniprot/protein.npy"), real("clasp_uniprot/text.npy"))
    pairing, chance = isthmus.explain(pairs).verdict[:2]
    assert pairing.startswith("No clear sign that the rows match: mean cosine 0.120 for ")
    assert "98 pairs are too few to show a weak pairing" in pairing
    assert chance.startswith("Retrieval is at chance (R@10 11.1 % and 10.2 %, chance 10.2 %), although")
    assert "although matching pairs covary more than 95 % of shuffled pairs" in chance


def test_verdict_names_outlier_coordinates_that_hide_the_matches(rng: np.random.Generator) -> None:
    """Three coordinates of magnitude 30 and opposite signs, as in some large encoders, leave recall at chance."""
    shared = rng.normal(size=(400, 64))
    outliers = np.zeros(64)
    outliers[[17, 30, 55]] = 60, -60, 56
    x, y = shared + 0.5 * rng.normal(size=(2, 400, 64)) + outliers * (1 + 0.25 * rng.normal(size=(2, 400, 64)))
    verdict = isthmus.explain(x, y - 2 * outliers).verdict
    assert verdict[0].startswith("Retrieval is at chance (R@10 ")
    assert verdict[0].endswith("although the rows match: larger differences hide the matches, and a correction may "
                               "uncover them (isthmus fit Auto).")  # fmt: skip
    gap = next(sentence for sentence in verdict if "degrees apart" in sentence)
    assert re.search(r"100\.0 % of the squared gap lies in 8 of 64 coordinates \(17, 30, 55, .*, counted from 0\)", gap)
    with_all = isthmus.explain(shared + 3, shared - 3 + 0.1 * rng.normal(size=shared.shape)).verdict
    assert "coordinates" not in " ".join(with_all)


def test_sentences_about_narrow_cones_do_not_print_zero_for_numbers_that_are_not(rng: np.random.Generator) -> None:
    u = rng.normal(size=(1000, 16))
    x, y = np.eye(16)[0] + 1e-4 * u, np.eye(16)[0] + 1e-4 * (u + 0.5 * rng.normal(size=u.shape))
    explanation = explained(x, y)
    gap = next(sentence for sentence in explanation.verdict if "the means are" in sentence)
    assert float(re.findall(r"with sampling noise ([^,]*),", gap)[0]) == pytest.approx(
        explanation.result["centroid_distance"].plugin, rel=0.05
    )
    lines = {line.split()[0]: line for line in explanation_lines(explanation) if line.startswith("  ")}
    assert float(lines["pairing"].split()[1]) == pytest.approx(-explanation.budget["pairing"].value, rel=0.05)
    assert " 0.0000 to 0.0000" not in lines["pairing"]
    ceiling = next(line for line in explanation_lines(explanation) if "These pairs have" in line)
    assert "1.0000" not in ceiling
    pairing = judge_pairing(Pairs(image=x, text=y)).reason
    assert "mean cosine 1.000 for pairs" not in pairing
    means = [float(value) for value in re.findall(r"(0\.\d+) for", pairing)]
    assert means[0] > means[1]


def test_verdict_of_collapse_counts_shared_dimensions(rng: np.random.Generator) -> None:
    u, v, w = (rng.normal(size=(900, k)) for k in (6, 3, 3))
    zeros = np.zeros((900, 3))
    sentences = text(explained(np.hstack([u, v, zeros, zeros]), np.hstack([u, zeros, w, zeros])))
    assert "the different orientation of the two clouds (dimension collapse)" in sentences
    assert "99 % of the energy (squared length) lies in 9 (image) and 9 (text) of 15 dimensions" in sentences
    assert "the two subspaces share 6 directions, 3 more than their ranks guarantee" in sentences


def test_verdict_of_few_rows_starts_with_the_caveat(rng: np.random.Generator) -> None:
    u = cloud(rng, n=40, d=50)
    shifted = u + 2 * np.eye(50)[0]
    sentences = text(explained(shifted, u + 2 * np.eye(50)[1]))
    assert sentences.startswith("There are fewer items (40) than dimensions (50)")
    few = text(explained(cloud(rng, n=50) + 2 * np.eye(16)[0], cloud(rng, n=50) + 2 * np.eye(16)[1]))
    assert "because 50 items are few for 16 dimensions" in few


@pytest.mark.parametrize("shift", [0.0, 0.6])
def test_verdict_of_means_without_an_angle_names_no_angle(shift: float, rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(2, 6, 30))
    x[:, 0] += shift * 5
    sentences = " ".join(explained(x, y).verdict)
    assert "no angle" in sentences or "No gap" in sentences
    assert "due to the angle" not in sentences
    assert re.search(r"due to the difference between the means \(sampling alone gives 0\.\d+\)", sentences)


def test_verdict_of_the_demo_runs_names_their_construction() -> None:
    sentences = {run: text(isthmus.explain(isthmus.demo.load(run, split="test"))) for run in isthmus.demo.RUNS}
    assert sentences["collapsed"].count("(supported)") == 2
    assert "(dimension collapse)" not in sentences["collapsed"]
    assert "(dimension collapse)" in sentences["plain"]
    assert (
        "Image and text have collapsed into few dimensions, but this does not set the angle of the gap."
        in sentences["plain"]
    )
    # Means that vanish: whether they still differ hangs on a thread, but they have no angle either way.
    assert sentences["warm"].startswith(("There is no significant gap", "The gap has no angle here"))
    assert "degrees apart" not in sentences["warm"]
    assert "explanations" not in sentences["warm"]


def test_verdict_with_comparison_ends_with_mixed_search() -> None:
    pairs = isthmus.demo.load("plain", split="test")
    table = isthmus.compare(pairs, splits=1)
    sentences = text(isthmus.explain(pairs, comparison=table))
    assert "Recommended: ScoreCalibration. On unseen pairs the exchange score of mixed search rises" in sentences
    change = table["ScoreCalibration"].changes["exchange_R@1"]
    ends = f"{100 * change.low:+.1f} to {100 * change.high:+.1f}"
    assert f"({100 * change.value:+.1f} points, 95 %: {ends}), and cross-modal R@1" in sentences
    n_fitted = sum(bool(row.scores) for row in table.rows) - 1  # without the raw rows
    assert f"As the best of {n_fitted} on these pairs" in sentences


def test_verdict_with_a_comparison_without_mixed_search_uses_recall() -> None:
    pairs = isthmus.demo.load("plain", split="test")
    table = isthmus.compare(pairs, aligners=["Centering"], tasks=["retrieval"], splits=1)
    assert "cross-modal R@1" in text(isthmus.explain(pairs, comparison=table))
    clustering = isthmus.compare(pairs, aligners=["Centering"], tasks=["clustering"], splits=1)
    assert "Recommended" not in text(isthmus.explain(pairs, comparison=clustering))


def test_comparison_contains_the_ceiling_of_each_aligner() -> None:
    table = isthmus.compare(isthmus.demo.load("collapsed"), splits=2)
    for row in table.rows:
        if row.scores:
            top, cosine = row.scores["ceiling"].value, row.scores["paired_cosine"].value
            assert cosine <= top + 0.01 <= 1.01 + 1e-9  # the cosine is the mean over splits
            assert row.scores["ceiling_reached"].value == pytest.approx(cosine / top, abs=0.02)
    # A constant offset caps the raw cosine; centring takes the cap away.
    assert table["Identity"].scores["ceiling"].value == pytest.approx(0.745, abs=0.01)
    assert table["Centering"].scores["ceiling"].value > 0.97


def test_explanation_as_json_contains_every_diagnosis() -> None:
    explanation = isthmus.explain(isthmus.demo.load("warm", split="test"), temperature=0.2)
    values = json.loads(explanation.to_json())
    assert {"format", "version", "pairs", "metrics", "verdict", "budget", "ceiling", "collapse", "assumptions"} <= set(
        values
    )
    assert values["assumptions"]["temperature"] == 0.2
    assert values["budget"]["parts"]["centre"]["unit"] == "cosine"
    assert explanation.ceiling_fraction == pytest.approx(
        values["ceiling"]["mean_cosine"] / values["ceiling"]["centred"]
    )


def test_comparison_of_one_dimensional_output_gives_the_reason(rng: np.random.Generator) -> None:
    u = rng.normal(size=(200, 1))
    x, y = (np.hstack([u, 0.01 * rng.normal(size=(200, 9))]) + 2 * np.eye(10)[i] for i in (1, 2))
    one = isthmus.align.SharedSpaceProjection(k=1)
    row = isthmus.compare(Pairs(image=x, text=y), aligners=[one], splits=1).rows[1]
    assert "a single dimension" in row.notes[0]
