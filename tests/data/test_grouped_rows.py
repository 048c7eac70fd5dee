"""A flat export, which repeats a row of x beside each of its matches, gives what the index gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import isthmus
from isthmus.reporting.page_data import texts_of_items

N_ITEMS, WIDTH = 60, 12


def captions(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return distinct images, captions, and the image of each caption."""
    rng = np.random.default_rng(seed)
    images = rng.normal(size=(N_ITEMS, WIDTH)) + 1
    owner = np.sort(np.concatenate([np.arange(N_ITEMS), rng.integers(0, N_ITEMS, size=2 * N_ITEMS)]))
    return images, 0.6 * images[owner] + rng.normal(size=(len(owner), WIDTH)) - 1, owner


def open_quietly(*arguments: Any, **options: Any) -> isthmus.Pairs:
    """Open pairs whose repeated rows are reported."""
    with pytest.warns(isthmus.IsthmusWarning, match="image rows are distinct: equal rows count as one image"):
        return isthmus.open_pairs(*arguments, names=("image", "text"), **options)


def test_open_pairs_of_repeated_rows_gives_the_index_and_counts_them() -> None:
    images, texts, owner = captions()
    with pytest.warns(
        isthmus.IsthmusWarning,
        match=r"^60 of 180 image rows are distinct: equal rows count as one image with several matches; --as-is",
    ):
        pairs = isthmus.open_pairs(images[owner], texts, names=("image", "text"))
    assert (pairs.n_items, pairs.n_pairs) == (N_ITEMS, len(owner))
    np.testing.assert_array_equal(pairs.index, owner)
    np.testing.assert_array_equal(pairs.x.read(0, N_ITEMS), images)
    assert pairs.pairing == {"by": "position", "grouped": {"image": {"rows": 180, "distinct": 60}}}


def test_measure_of_repeated_rows_equals_that_with_the_index() -> None:
    images, texts, owner = captions()
    flat = isthmus.measure(open_quietly(images[owner], texts))
    expected = isthmus.measure(isthmus.Pairs(image=images, text=texts, index=owner))
    assert {name: str(e) for name, e in flat.items()} == {name: str(e) for name, e in expected.items()}
    assert {name: e.null for name, e in flat.items()} == pytest.approx(
        {name: e.null for name, e in expected.items()}, nan_ok=True
    )


def test_compare_and_explain_of_repeated_rows_equal_those_with_the_index() -> None:
    images, texts, owner = captions()
    flat, indexed = open_quietly(images[owner], texts), isthmus.Pairs(image=images, text=texts, index=owner)
    assert isthmus.explain(flat).verdict == isthmus.explain(indexed).verdict
    tables = [
        isthmus.compare(pairs, aligners=["Centering"], splits=2, tasks=["retrieval"]) for pairs in (flat, indexed)
    ]
    assert str(tables[0]["Centering"].scores) == str(tables[1]["Centering"].scores)


def test_open_pairs_of_permuted_and_scaled_repeats_finds_the_same_items(tmp_path: Path) -> None:
    images, texts, owner = captions()
    rng = np.random.default_rng(1)
    order = rng.permutation(len(owner))
    np.save(tmp_path / "image.npy", (images[owner] * rng.choice([0.5, 1.0, 2.0], size=(len(owner), 1)))[order])
    np.save(tmp_path / "text.npy", texts[order])
    with pytest.warns(isthmus.IsthmusWarning, match="60 of 180 image rows"):
        pairs = isthmus.open_pairs(tmp_path / "image.npy", tmp_path / "text.npy")
    measured = isthmus.measure(pairs, metrics="fast")
    expected = isthmus.measure(isthmus.Pairs(image=images, text=texts, index=owner), metrics="fast")
    for name, estimate in expected.items():
        assert measured[name].value == pytest.approx(estimate.value, rel=1e-6, abs=1e-9, nan_ok=True)


def test_open_pairs_as_is_takes_every_row() -> None:
    images, texts, owner = captions()
    pairs = isthmus.open_pairs(images[owner], texts, group=False)
    assert pairs.n_items == len(owner)
    assert pairs.grouped is None


def test_open_pairs_with_an_index_and_repeats_joins_both() -> None:
    images, texts, owner = captions()
    doubled = np.concatenate([images, images])
    index = owner + N_ITEMS * (np.arange(len(owner)) % 2)
    pairs = open_quietly(doubled, texts, index=index)
    np.testing.assert_array_equal(pairs.index, owner)


def test_open_pairs_keeps_equal_rows_of_different_labels_apart() -> None:
    images, texts, owner = captions()
    labels = np.arange(len(owner)) % 2
    pairs = open_quietly(images[owner], texts, labels=labels)
    for item in range(pairs.n_items):
        assert set(labels[pairs.index == item]) == {pairs.labels[item]}


@pytest.mark.parametrize("spread", [0.0, 1e-3])
def test_open_pairs_of_a_collapsed_side_does_not_group(spread: float) -> None:
    rng = np.random.default_rng(0)
    rows = (1 + spread * rng.normal(size=(19, WIDTH)))[rng.integers(0, 19, size=100)]
    assert isthmus.open_pairs(rows, rng.normal(size=(100, WIDTH))).n_items == 100


def test_measure_of_a_text_for_each_of_few_classes_counts_all_its_images_as_right() -> None:
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 10, size=200)
    texts = rng.normal(size=(10, WIDTH))
    images = texts[classes] + 0.3 * rng.normal(size=(200, WIDTH))
    with pytest.warns(isthmus.IsthmusWarning, match="10 of 200 y rows are distinct"):
        recall = isthmus.measure(images, texts[classes], metrics="x_to_y_R@1")["x_to_y_R@1"]
    unit_images, unit_texts = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (images, texts))
    assert recall.value == pytest.approx(np.mean((unit_images @ unit_texts.T).argmax(axis=1) == classes))
    assert "form 10 groups, fewer than 20" in recall.note


VERBS = {
    "measure": lambda pairs: isthmus.measure(pairs, metrics="text_to_image_R@1"),
    "explain": lambda pairs: isthmus.explain(pairs, metrics="image_to_text_R@1").result,
    "compare": lambda pairs: [
        row.scores for row in isthmus.compare(pairs, aligners=["Centering"], tasks=["retrieval"], splits=1).rows
    ],
    "intervene": lambda pairs: isthmus.evaluation.intervene(pairs, interventions=["translate"]).points,
    "calibrate": lambda pairs: isthmus.calibrate(pairs).matching.tolist(),
    "compare_models": lambda pairs: isthmus.compare_models({"a": pairs, "b": pairs}).numbers,
    "fit": lambda pairs: isthmus.align.ScoreCalibration().fit(pairs).fitted_state.arrays,
    "judge": lambda pairs: isthmus.align.HyperplaneRotation(energy=0.9).fit(pairs).fit_info_,
    "Auto": lambda pairs: isthmus.align.Auto(constraint="affine", repeats=1).fit(pairs).reasons_,
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.filterwarnings("ignore:HyperplaneRotation")
def test_every_verb_groups_equal_rows_of_hand_made_pairs(verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("isthmus.evaluation.interventions.BOOTSTRAPS", 20)
    images, texts, owner = captions()
    flat = isthmus.Pairs(image=images[owner], text=texts)
    with pytest.warns(isthmus.IsthmusWarning, match=f"{N_ITEMS} of {len(owner)} image rows are distinct"):
        of_flat = VERBS[verb](flat)
    assert repr(of_flat) == repr(VERBS[verb](isthmus.Pairs(image=images, text=texts, index=owner)))


def test_texts_of_rows_become_texts_of_items() -> None:
    images, texts, owner = captions()
    pairs = open_quietly(images[owner], texts)
    assert texts_of_items([f"image {i}" for i in owner], pairs) == [f"image {i}" for i in range(N_ITEMS)]
    assert texts_of_items(range(N_ITEMS), pairs) == range(N_ITEMS)


def test_modalities_group_equal_rows_of_each_pair() -> None:
    images, texts, owner = captions()
    audio = np.random.default_rng(3).normal(size=texts.shape)
    modalities = isthmus.Modalities(image=images[owner], text=texts, audio=audio)
    with pytest.warns(isthmus.IsthmusWarning, match="image rows are distinct"):
        results = modalities.measure(metrics="R@1")
    assert results["image", "audio"].pairs["items"] == N_ITEMS
    assert results["text", "audio"].pairs["items"] == len(owner)
    as_is = modalities.measure(metrics="R@1", group=False)
    assert as_is["image", "audio"].pairs["items"] == len(owner)


def test_group_false_after_grouping_takes_all_rows_and_of_a_sample_names_the_way() -> None:
    images, texts, owner = captions()
    pairs = open_quietly(images[owner], texts)
    assert isthmus.measure(pairs, metrics="fast", group=False).pairs["items"] == len(owner)
    with pytest.raises(isthmus.InputError, match="open them with group=False"):
        isthmus.measure(pairs.sample(30), group=False)
    by_hand = isthmus.Pairs(image=images[owner], text=texts)
    assert isthmus.measure(by_hand, metrics="fast", group=False).pairs["items"] == len(owner)


@pytest.mark.parametrize("opened", [True, False])
def test_rows_of_different_lengths_are_equal_only_where_rows_are_normalised(opened: bool) -> None:
    images, texts, owner = captions()
    scaled = images[owner] * np.where(np.arange(len(owner)) % 2, 3.0, 1.0)[:, None]
    pairs = open_quietly(scaled, texts) if opened else isthmus.Pairs(image=scaled, text=texts)
    n_distinct = len(np.unique(np.stack([owner, np.arange(len(owner)) % 2]), axis=1).T)
    with pytest.warns(isthmus.IsthmusWarning, match=f"{n_distinct} of {len(owner)} image rows are distinct"):
        raw = isthmus.measure(pairs, metrics="fast", normalize=False)
    indexed = np.unique(scaled, axis=0, return_inverse=True)
    expected = isthmus.Pairs(image=indexed[0], text=texts, index=indexed[1].ravel())
    expected_result = isthmus.measure(expected, metrics="fast", normalize=False)
    assert raw["centroid_distance"].plugin == pytest.approx(expected_result["centroid_distance"].plugin)
    assert raw["centroid_distance"].low == pytest.approx(expected_result["centroid_distance"].low)
    if opened:
        assert isthmus.measure(pairs, metrics="fast").pairs["items"] == N_ITEMS


def test_open_pairs_of_distinct_rows_gives_no_warning() -> None:
    x, y = np.random.default_rng(0).normal(size=(2, 200, WIDTH))
    assert isthmus.open_pairs(x, y).index is None


def test_modality_of_too_many_rows_is_not_grouped_and_its_repeats_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    images, texts, owner = captions()
    monkeypatch.setattr("isthmus.data.grouping.MAX_ROWS", 170)
    with pytest.warns(
        isthmus.IsthmusWarning, match=r"of its first 170 rows are distinct, and more than 170 rows are not"
    ):
        pairs = isthmus.open_pairs(images[owner], texts, names=("image", "text"))
    assert pairs.n_items == len(owner)


def test_repeats_of_the_second_modality_give_what_exchanged_modalities_give_with_the_index() -> None:
    once, many, owner = captions()
    with pytest.warns(isthmus.IsthmusWarning, match=f"{N_ITEMS} of {len(owner)} text rows are distinct"):
        flat = isthmus.open_pairs(many, once[owner], names=("image", "text"))
    indexed = isthmus.Pairs(text=once, image=many, index=owner)
    numbers = [isthmus.compare_models({"a": pairs, "b": pairs}).numbers["a"] for pairs in (flat, indexed)]
    tables = [
        isthmus.compare(pairs, aligners=["Centering"], splits=1, tasks=["retrieval"]) for pairs in (flat, indexed)
    ]
    found, expected = (
        {name: e for name, e in (own | table["Centering"].changes | table["Centering"].scores).items()}
        for own, table in zip(numbers, tables, strict=True)
    )
    for name in ("R@1", "mixed_R@1", "centroid_angle", "shared_alignment", "budget_pairing", "paired_cosine"):
        for number in ("value", "low", "high"):
            assert getattr(found[name], number) == pytest.approx(getattr(expected[name], number), abs=1e-7, nan_ok=True)


def test_texts_of_few_classes_give_the_same_numbers_with_swapped_modalities(rng: np.random.Generator) -> None:
    classes = np.r_[np.zeros(80, dtype=int), rng.integers(1, 30, 120)]
    centres = rng.normal(size=(30, 16)) + 1
    x, y = centres[classes] + rng.normal(size=(200, 16)), centres[classes] + 0.5
    names = "centroid_angle,centroid_distance,participation_ratio,conformity_sd,cka,coral_distance,shared_directions"
    with pytest.warns(isthmus.IsthmusWarning, match="no interval: "):
        first, second = (isthmus.measure(*rows, metrics=names) for rows in ((x, y), (y, x)))
    for name, estimate in first.items():
        stem, _, side = name.rpartition("_")
        other = second[f"{stem}_{'y' if side == 'x' else 'x'}" if side in ("x", "y") else name]
        assert (estimate.value, estimate.plugin) == pytest.approx((other.value, other.plugin), rel=1e-9), name
    unit_x = x / np.linalg.norm(x, axis=1, keepdims=True)
    conformity = unit_x @ unit_x.mean(axis=0)
    assert first["conformity_sd_x"].value == pytest.approx(conformity.std(), rel=0.1)
