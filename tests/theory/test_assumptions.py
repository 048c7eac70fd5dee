"""The assumptions of the theorems on clouds that were made to keep or to break them."""

from __future__ import annotations

import json

import numpy as np
import pytest

import isthmus
from isthmus import Pairs
from isthmus.compute.arrays import unit_rows
from isthmus.theory import VonMisesFisher, check, info_nce


def affine(rng: np.random.Generator, *, angle: float = 60.0, noise: float = 0.0, n: int = 400) -> Pairs:
    """Offsets of .8 in two directions orthogonal to a space of eight dimensions that both sides share, in 24."""
    u = unit_rows(rng.normal(size=(n, 8)))
    v = unit_rows(u + noise * rng.normal(size=(n, 8)))
    a, b = np.zeros((2, 16))
    a[0], b[:2] = 1, (np.cos(np.radians(angle)), np.sin(np.radians(angle)))
    sides = (np.hstack([np.tile(0.8 * offset, (n, 1)), 0.6 * part]) for offset, part in ((a, u), (b, v)))
    return Pairs(**dict(zip(("image", "text"), sides, strict=True)))


def test_check_of_the_affine_case_leaves_open_whether_the_subspaces_differ(rng: np.random.Generator) -> None:
    found = check(affine(rng), temperature=0.1)
    kept = {name for name, entry in found.items() if entry.holds}
    assert kept >= {
        "cone_image", "cone_text", "subspace_image", "subspace_text", "shared_space",
        "orthogonal_centres", "gap_is_the_angle", "isometry", "constant_part_image", "offset_and_shared_only_text",
        "equal_projections",
    }  # fmt: skip
    assert found["different_subspaces"].holds is None  # the clouds differ by their constant axes alone
    assert found["von_mises_fisher_image"].holds is False
    assert found["gap_is_the_angle"].residual < 0.5
    speaks = {name: theorem.applies for name, theorem in found.theorems.items()}
    assert speaks == {
        "theorem 1": True, "theorem 2": False, "theorem 3": False, "theorem 4": None, "corollary rotation": None,
        "corollary projection": True, "affine case": True,
    }  # fmt: skip
    assert found.theorems["theorem 3"].fails == ("von_mises_fisher_image", "von_mises_fisher_text")


def test_check_of_noisy_matching_rows_fails_only_equal_projections(rng: np.random.Generator) -> None:
    found = check(affine(rng, noise=0.3), temperature=0.1)
    assert found["equal_projections"].holds is False
    assert found["orthogonal_centres"].holds
    assert found.theorems["affine case"].applies
    assert found.theorems["corollary projection"].fails == ("equal_projections",)
    assert found.theorems["theorem 4"].untested == ("different_subspaces",)


def test_equal_projections_residual_equals_a_loop_over_pairs(rng: np.random.Generator) -> None:
    pairs = affine(rng, noise=0.3, n=60)
    found = check(pairs, temperature=0.1)["equal_projections"]
    x, y = (side[:, 16:] for side in pairs.unit())
    squares = np.sum((x[:, None] - y[None, :]) ** 2, axis=2)
    strangers = squares[~np.eye(60, dtype=bool)].mean()
    assert found.residual == pytest.approx(np.sqrt(np.trace(squares) / 60 / strangers), abs=1e-6)


def test_check_of_centres_inside_the_shared_space_fails_orthogonal_centres(rng: np.random.Generator) -> None:
    u = rng.normal(size=(500, 6)) + np.array([3.0, 0, 0, 0, 0, 0])
    x = np.hstack([u, np.zeros((500, 14))])
    y = np.hstack([u + 0.1 * rng.normal(size=u.shape), np.zeros((500, 14))])
    found = check(Pairs(image=x, text=y))["orthogonal_centres"]
    assert found.holds is False
    assert found.residual > 80


def test_check_of_von_mises_fisher_clouds_applies_theorem_2() -> None:
    x, y = (VonMisesFisher(np.eye(10)[i], 20.0).sample(1500, rng=i) for i in (0, 1))
    found = check(Pairs(image=x, text=y), temperature=0.1)
    assert found["von_mises_fisher_image"].holds
    assert found["von_mises_fisher_text"].holds
    assert found.theorems["theorem 2"].applies
    assert found["subspace_image"].holds is False
    assert "subspace_image" in found.theorems["theorem 3"].fails


def test_check_of_a_simplex_has_the_loss_of_its_bound(rng: np.random.Generator) -> None:
    e = np.eye(8)
    simplex = unit_rows(e - e.mean(axis=0))
    found = check(Pairs(image=simplex, text=simplex), temperature=0.5)
    assert found.loss == pytest.approx(info_nce(simplex, simplex, temperature=0.5), abs=1e-9)
    assert found["optimum"].holds
    assert found["optimum"].residual == pytest.approx(0, abs=1e-9)
    far = check(Pairs(image=simplex, text=simplex[::-1]), temperature=0.5)
    assert far["optimum"].holds is False
    assert far["optimum"].residual > 1
    assert check(Pairs(image=simplex, text=simplex), temperature=0.01)["not_saturated"].holds is False


def test_check_of_means_near_zero_leaves_the_angles_untested() -> None:
    found = check(isthmus.demo.load("warm", split="test"), temperature=0.2)
    for name in ("orthogonal_centres", "gap_is_the_angle", "isometry", "constant_part_image"):
        assert found[name].holds is None
        assert "is not distinguishable from zero" in found[name].message
        assert np.isnan(found[name].residual)
    assert "the mean of image" in found["constant_part_image"].message
    assert found["cone_image"].holds is False
    assert found.theorems["theorem 4"].applies is None
    json.dumps(found.to_dict(), allow_nan=False)


def test_check_of_the_collapsed_demonstration_applies_the_affine_case() -> None:
    run = isthmus.demo.arrays("collapsed")
    found = check(isthmus.demo.load("collapsed", split="test"), temperature=run.temperature)
    assert found.theorems["affine case"].applies
    assert found["gap_is_the_angle"].residual < 1
    plain = check(isthmus.demo.load("plain", split="test"), temperature=0.01)
    assert plain.theorems["affine case"].applies is False
    assert {"orthogonal_centres", "constant_part_image"} <= set(plain.theorems["affine case"].fails)


def test_check_of_several_matching_rows_and_of_torch_equals_numpy(rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    pairs = affine(rng, noise=0.2)
    x, y = pairs.unit()
    index = np.repeat(np.arange(400), 2)
    double = Pairs(image=x, text=np.repeat(y, 2, axis=0), index=index)
    once, twice = check(pairs, temperature=0.1), check(double, temperature=0.1)
    tensors = check(Pairs(image=torch.tensor(x), text=torch.tensor(y)), temperature=0.1)
    for name in once:
        assert twice[name].residual == pytest.approx(once[name].residual, abs=1e-6, nan_ok=True)
        assert tensors[name].residual == pytest.approx(once[name].residual, abs=1e-9, nan_ok=True)


def test_check_of_clip_on_coco_gives_reference_values(clip_coco: Pairs) -> None:
    found = check(clip_coco)
    assert "is 0.730 (image) and 0.718 (text)" in found["isometry"].message
    assert found["isometry"].message.endswith("their correlation over pairs is 0.17")
    assert found["isometry"].residual == pytest.approx(0.073, abs=5e-4)
    assert 6.7 <= float(found["von_mises_fisher_image"].message.split("vary ")[1].split()[0]) <= 22
    assert 0.24 <= found["von_mises_fisher_text"].residual <= 0.38
    assert found["subspace_image"].holds is None
    assert found["constant_part_text"].message.endswith("standard deviation 0.0814 (at most 0.02 counts as constant)")
    assert "of the energy lies outside the centre and the shared directions (2 % is" in (
        found["offset_and_shared_only_image"].message
    )
    assert "82.1 degrees (text), and 85 or more counts as orthogonal" in found["orthogonal_centres"].message
    assert found.theorems["affine case"].applies is False


def test_messages_have_no_exponents_and_agree_in_number(rng: np.random.Generator) -> None:
    widths = np.where(np.arange(200)[:, None] < 20, 0.15, 0.0015)
    narrow = unit_rows(np.eye(200)[0] + widths * rng.normal(size=(200, 200)))
    found = check(Pairs(image=narrow, text=rng.normal(size=(200, 200))))
    ratio = found["von_mises_fisher_image"].message.split("vary ")[1].split()[0]
    assert float(ratio) >= 100
    assert ratio.isdecimal()
    fails = {name: theorem for name, theorem in found.theorems.items() if theorem.fails}
    assert {len(theorem.fails) == 1 for theorem in fails.values()} == {True, False}
    for theorem in fails.values():
        words = "this assumption fails: " if len(theorem.fails) == 1 else "these assumptions fail: "
        assert words in theorem.message


def test_missing_shared_space_is_described_once(rng: np.random.Generator) -> None:
    rows = 0.05 * rng.normal(size=(2, 400, 40))
    for number, cloud in enumerate(rows):
        cloud[:, 8 * number : 8 * number + 8] += rng.normal(size=(400, 8))
        cloud[:, 38 + number] += 2
    found = check(*rows)
    assert found["shared_space"].message.startswith("no shared space: of")
    assert [name for name, assumption in found.items() if "beyond what random" in assumption.message] == [
        "shared_space"
    ]
    assert found["equal_projections"].message == "cannot be tested: no shared space was found"


@pytest.mark.filterwarnings("ignore:.* rows .* are the same")
def test_constant_modality_lies_along_one_direction_and_has_no_distribution(rng: np.random.Generator) -> None:
    x = np.repeat(rng.normal(size=(1, 8)), 100, axis=0)
    assumptions = check(Pairs(image=x, text=rng.normal(size=(100, 8))))
    assert assumptions["subspace_image"].holds
    assert assumptions["subspace_image"].residual == 1 / 8
    assert assumptions["subspace_image"].message == "all rows are the same, along one direction"
    assert assumptions["von_mises_fisher_image"].message == "cannot be tested: all rows are the same"


def test_von_mises_fisher_of_two_dimensions_has_no_spread_over_directions(rng: np.random.Generator) -> None:
    x, y = (unit_rows(rows) for rows in rng.normal(size=(2, 50, 2)))
    words = check(Pairs(image=x, text=y))["von_mises_fisher_image"].message
    assert "around it the spread over directions cannot be tested" in words
    assert "nan" not in words


@pytest.mark.parametrize("constant", [["image"], ["text"], ["image", "text"]])
def test_check_of_constant_rows_in_many_dimensions_finds_no_direction_in_rounding_errors(
    constant: list[str], rng: np.random.Generator
) -> None:
    rows = {name: (1 + rng.normal(size=(30, 40))).astype(np.float32) for name in ("image", "text")}
    rows |= {name: np.repeat(rows[name][:1], 30, axis=0) for name in constant}
    found = check(Pairs(**rows))
    for name in ("different_subspaces", "shared_space", "gap_is_the_angle", "equal_projections"):
        assert found[name].holds is None
        assert f"all rows of {constant[0]} are the same" in found[name].message
    for name in constant:
        assert found[f"subspace_{name}"].message == "all rows are the same, along one direction"


def test_check_of_repeated_images_says_how_many_rows_of_each_modality_are_distinct(rng: np.random.Generator) -> None:
    index = np.repeat(np.arange(30), 3)
    found = check(Pairs(image=rng.normal(size=(30, 40)), text=rng.normal(size=(90, 40)), index=index))
    assert "30 distinct rows cannot fill 40 dimensions" in found["subspace_image"].message
    assert "30 independent items are too few" in found["subspace_text"].message


def test_check_of_three_items_leaves_the_shared_space_open(rng: np.random.Generator) -> None:
    found = check(affine(rng, n=3), temperature=0.1)
    assert found["shared_space"].holds is None
    assert "3 items are too few" in found["shared_space"].message
    assert found.theorems["corollary projection"].applies is None


def test_check_takes_the_rows_of_both_modalities(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(2, 50, 6)) + 1
    assert check(x, y).to_dict() == check(Pairs(x=x, y=y)).to_dict()
