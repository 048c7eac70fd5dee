"""Size and power of the verdict that dimension collapse sets the angle of the gap, and the words about collapse."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import isthmus
from isthmus import Moments, Pairs
from isthmus.compute.arrays import unit_rows
from isthmus.diagnosis.cosine_decomposition import decompose_cosine
from isthmus.diagnosis.hypotheses import REFUTED, SUPPORTED, UNDECIDED, collapse_hypothesis
from isthmus.metrics import MetricContext
from isthmus.statistics.moments import moments_of
from isthmus.theory import VonMisesFisher, check_moments
from isthmus.theory.modality_subspaces import SubspaceAngles
from isthmus.theory.residuals import Evidence, different_orientation

Rows = tuple[np.ndarray, np.ndarray]
N, DIM = 600, 32


def cloud(rng: np.random.Generator, rank: int = DIM) -> np.ndarray:
    rows = np.zeros((N, DIM))
    rows[:, :rank] = rng.normal(size=(N, rank)) * np.geomspace(0.5, 0.1, rank)
    rows[:, -1] += 1
    return unit_rows(rows)


def one_law(rng: np.random.Generator) -> Rows:
    return cloud(rng), cloud(rng)


def one_law_in_a_subspace(rng: np.random.Generator) -> Rows:
    return cloud(rng, 10), cloud(rng, 10)


def isotropic(degrees: float) -> Callable[[np.random.Generator], Rows]:
    def rows(rng: np.random.Generator) -> Rows:
        x, y = 0.15 * rng.normal(size=(2, N, DIM))
        x[:, 0] += 1
        y[:, :2] += np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        return unit_rows(x), unit_rows(y)

    return rows


def rotated(rng: np.random.Generator) -> Rows:
    x = cloud(rng)
    return x, x @ np.linalg.qr(rng.normal(size=(DIM, DIM)))[0]


def offset(rng: np.random.Generator) -> Rows:
    x, y = one_law(rng)
    return x, unit_rows(y + 0.8 * np.eye(DIM)[1])


def affine(rng: np.random.Generator) -> Rows:
    """Two constant axes 60 degrees apart beside two samples of one law in a shared space."""
    x, y = np.zeros((2, N, DIM))
    x[:, :10], y[:, :10] = (0.6 * unit_rows(rng.normal(size=(N, 10))) for _ in range(2))
    x[:, 10], y[:, 10:12] = 0.8, (0.4, 0.8 * np.sqrt(0.75))
    return x, y


def half_of_collapsed(rng: np.random.Generator) -> Rows:
    run = isthmus.demo.arrays("collapsed")
    half = rng.permutation(len(run.image))[: len(run.image) // 2]
    return run.image[half], run.text[half]


def hyperplanes(dim: int, kappa: float = 10.0) -> Callable[[np.random.Generator], Rows]:
    """Clouds in two hyperplanes 60 degrees apart, centres orthogonal to their intersection, equal projections on it."""

    def rows(rng: np.random.Generator) -> Rows:
        inner = VonMisesFisher(np.eye(dim - 1)[0], kappa).sample(N, rng=int(rng.integers(1 << 30)))
        x, y = np.zeros((2, N, dim))
        x[:, 0], y[:, 0], y[:, 1] = inner[:, 0], inner[:, 0] / 2, inner[:, 0] * np.sqrt(0.75)
        x[:, 2:] = y[:, 2:] = inner[:, 1:]
        return x, y

    return rows


NOT_FOR = {
    "one_law": one_law,
    "one_law_in_a_subspace": one_law_in_a_subspace,
    **{f"isotropic_{degrees}": isotropic(degrees) for degrees in (3, 6, 20, 60)},
    "rotated": rotated,
    "offset": offset,
    "affine": affine,
}
FOR = {"half_of_collapsed": half_of_collapsed, **{f"hyperplanes_{dim}": hyperplanes(dim) for dim in (3, 8, 32)}}


def judge(rows: Rows) -> tuple[str, bool]:
    """Return the verdict, and whether every assumption about the angle of the subspaces holds in `theory.check`."""
    pairs = Pairs(image=rows[0], text=rows[1])
    moments = moments_of(pairs).numpy()
    verdict = collapse_hypothesis(MetricContext(moments, pairs), SubspaceAngles.of(moments), decompose_cosine(moments))
    found = check_moments(moments, names=pairs.names)
    evidence = Evidence(moments, pairs.names)
    found["different_subspaces"] = different_orientation(found["different_subspaces"], evidence, pairs)
    names = ("subspace_image", "subspace_text", "different_subspaces", "gap_is_the_angle")
    return verdict.verdict, all(found[name].holds for name in names)


@pytest.mark.parametrize("kind", NOT_FOR)
def test_collapse_of_clouds_that_no_subspace_parts_is_not_supported(kind: str, rng: np.random.Generator) -> None:
    verdict, holds = judge(NOT_FOR[kind](rng))
    assert verdict == (UNDECIDED if kind in ("affine", "one_law_in_a_subspace") else REFUTED)
    assert not holds


@pytest.mark.parametrize("kind", FOR)
def test_collapse_of_clouds_in_two_subspaces_is_supported(kind: str, rng: np.random.Generator) -> None:
    assert judge(FOR[kind](rng)) == (SUPPORTED, True)


def test_check_leaves_subspaces_untested_that_swaps_of_the_modalities_explain(rng: np.random.Generator) -> None:
    x, y = affine(rng)
    found = isthmus.theory.check(Pairs(image=x, text=y), temperature=0.1)["different_subspaces"]
    assert found.holds is None
    assert found.message.startswith("cannot be tested: swaps of the modalities explain the difference; ")


@pytest.mark.slow
@pytest.mark.parametrize("kind", [*NOT_FOR, *FOR])
def test_size_and_power_of_the_verdict_on_collapse(kind: str) -> None:
    draw = {**NOT_FOR, **FOR}[kind]
    judged = [judge(draw(np.random.default_rng(seed))) for seed in range(60)]
    for share in (np.mean([verdict == SUPPORTED for verdict, _ in judged]), np.mean([holds for _, holds in judged])):
        assert share >= 0.9 if kind in FOR else share <= 0.05


def test_rotation_of_full_rank_clouds_is_called_a_rotation(rng: np.random.Generator) -> None:
    explanation = isthmus.explain(Pairs(**dict(zip(("image", "text"), rotated(rng), strict=True))))
    sentences = " ".join(explanation.verdict)
    assert "(a rotation of one modality would remove it)" in sentences
    assert "(dimension collapse)" not in sentences
    assert "Neither modality has collapsed" in sentences
    assert explanation.collapse.collapsed == (False, False)


def test_subspaces_of_isotropic_clouds_do_not_contain_the_mean_alone(rng: np.random.Generator) -> None:
    angles = SubspaceAngles.of(Moments.of(*isotropic(20)(rng)))
    assert angles.has_gap
    assert angles.x.rank_99 == DIM - 1  # narrow unit rows hardly vary along their mean
    assert angles.x.rank == DIM
    assert angles.is_filled


def test_angles_of_noisy_subspaces_have_a_sampling_error(rng: np.random.Generator) -> None:
    x, y = hyperplanes(9)(rng)
    noise = 0.02 * rng.normal(size=(2, N, 40))
    noise[0, :, :9] += x
    noise[1, :, :9] += y
    angles = SubspaceAngles.of(Moments.of(*noise))
    assert angles.spaces.ranks == (8, 8)
    assert int(angles.nonzero.sum()) == 1
    assert 0.05 < angles.smallest_error < 3
    assert abs(angles.smallest - 60) < 4 * angles.smallest_error
    assert angles.judge_gap()[0] is True


@pytest.mark.parametrize(
    ("n", "expected"),
    [
        (24, "No gap can be told from noise at n = 24: the means are "),
        (4000, "There is no significant gap: the means are less than 0.1 apart (95 %: 0.000 to 0.0"),
    ],
)
def test_sentence_without_a_gap_says_what_is_excluded(n: int, expected: str, rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(2, n, 12)) + 0.5
    assert any(sentence.startswith(expected) for sentence in isthmus.explain(Pairs(image=x, text=y)).verdict)


def subspaces_with_one_angle(rng: np.random.Generator, n: int, dim: int, rank: int) -> Rows:
    """Clouds that share `rank` directions, with constant axes 65 degrees apart beside them."""
    frame = np.linalg.qr(rng.normal(size=(dim, rank + 2)))[0]
    x, y = (0.7 * unit_rows(rng.normal(size=(n, rank))) @ frame[:, 2:].T for _ in range(2))
    return x + 0.7 * frame[:, 0], y + 0.7 * frame[:, :2] @ np.array([np.cos(np.radians(65)), np.sin(np.radians(65))])


def test_few_rows_in_many_dimensions_do_not_refute_that_the_gap_is_the_angle_of_the_subspaces() -> None:
    image, text = subspaces_with_one_angle(np.random.default_rng(0), 60, 96, 80)
    pairs = Pairs(image=image, text=text)
    explanation = isthmus.explain(pairs)
    assert explanation.collapse.hypotheses[0].verdict == UNDECIDED
    assert explanation.collapse.hypotheses[0].sentence().endswith(": 60 distinct rows cannot fill 96 dimensions.")
    assert isthmus.theory.check(pairs)["different_subspaces"].holds is None


def test_texts_of_few_classes_are_not_called_collapsed(rng: np.random.Generator) -> None:
    classes = np.r_[np.zeros(100, dtype=int), rng.integers(1, 30, 300)]
    centres = rng.normal(size=(30, 40)) + 2
    pairs = Pairs(image=centres[classes] + rng.normal(size=(400, 40)), text=centres[classes])
    with pytest.warns(isthmus.IsthmusWarning, match="rows are distinct"):
        explanation = isthmus.explain(pairs.x.read(0, 400), pairs.y.read(0, 400))
    assert explanation.collapse.collapsed == (False, False)
    assert "There are fewer independent items (30) than dimensions (40)" in " ".join(explanation.verdict)
    assert "(dimension collapse)" not in " ".join(explanation.verdict)
    assert explanation.collapse.hypotheses[0].verdict == UNDECIDED


def test_smallest_of_many_equal_angles_below_the_gap_does_not_refute(rng: np.random.Generator) -> None:
    frame = np.linalg.qr(rng.normal(size=(64, 32)))[0]
    shared, *own = 0.5 * rng.normal(size=(3, 400, 10)) / np.sqrt(np.arange(1, 11))
    x, y = (shared @ frame[:, :10].T + rows @ frame[:, k : k + 10].T for rows, k in zip(own, (10, 20), strict=True))
    noise = 0.02 * rng.normal(size=(2, 400, 64))
    angles = SubspaceAngles.of(Moments.of(x + noise[0] + frame[:, 30], y + noise[1] + frame[:, 31]))
    assert angles.smallest < angles.gap  # both are 90 degrees
    assert angles.judge_gap()[0] is not False


def test_mean_that_lies_nearly_in_the_directions_of_the_rows_adds_no_dimension(rng: np.random.Generator) -> None:
    x = rng.normal(size=(400, 20)) * np.r_[np.ones(6), np.full(14, 1e-3)] + np.r_[np.full(6, 2.0), np.full(14, 0.05)]
    angles = SubspaceAngles.of(Moments.of(x, x[::-1].copy(), normalize=False))
    assert angles.x.basis.shape == (20, 6)


def test_means_that_differ_by_noise_alone_refute_no_offset(rng: np.random.Generator) -> None:
    rows = rng.normal(size=(2, 400, 12)) + 0.5
    offset_verdict = isthmus.explain(Pairs(image=rows[0], text=rows[1])).collapse.hypotheses[1]
    assert offset_verdict.verdict == UNDECIDED
    assert "swaps of the modalities explain the distance between the means" in offset_verdict.sentence()
