"""Rows that repeat are one row, whichever side repeats: measures equal those with the index, or of a slow loop."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest

import isthmus
from isthmus.align import Auto, HyperplaneRotation, ScoreCalibration
from isthmus.data.components import dependence_reason
from isthmus.data.grouping import item_groups
from isthmus.diagnosis import decompose_pairs
from isthmus.diagnosis.recommendation import recommendation_sentence
from isthmus.evaluation import intervene
from isthmus.evaluation.shared_space import count_shared_dimensions
from isthmus.tasks.matches import Matches
from isthmus.tasks.ranks import matching_ranks
from isthmus.theory.orientation import orientation_exceeds_swaps

N_ITEMS, WIDTH = 60, 12


def repeats(seed: int = 0, n_items: int = N_ITEMS) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return distinct texts, the text of each image, and the images."""
    rng = np.random.default_rng(seed)
    texts = rng.normal(size=(n_items, WIDTH)) + 1
    owner = np.sort(np.concatenate([np.arange(n_items), rng.integers(0, n_items, size=2 * n_items)]))
    return texts, owner, 0.6 * texts[owner] + rng.normal(size=(len(owner), WIDTH)) - 1


def open_grouped(x: Any, y: Any, **options: Any) -> isthmus.Pairs:
    """Open pairs without the warning about repeated rows."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", isthmus.IsthmusWarning)
        return isthmus.open_pairs(x, y, names=("image", "text"), **options)


def assert_equal_estimates(measured: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Compare values, intervals, nulls and reasons of all estimates by name."""
    assert set(measured) == set(expected)
    for name, estimate in expected.items():
        got = measured[name]
        numbers = [(e.value, e.low, e.high, e.null) for e in (got, estimate)]
        np.testing.assert_allclose(*numbers, rtol=1e-6, atol=1e-9, err_msg=name)
        assert (got.undefined, got.no_interval) == (estimate.undefined, estimate.no_interval), name


def test_measure_of_repeated_rows_of_y_equals_that_of_the_transposed_index() -> None:
    texts, owner, images = repeats()
    flat = open_grouped(images, texts[owner])
    assert flat.grouped == {"text": {"rows": 180, "distinct": 60}}
    indexed = isthmus.Pairs(text=texts, image=images, index=owner)
    results = isthmus.measure(flat), isthmus.measure(indexed)
    assert_equal_estimates(*results)
    assert [result.pairs["independent_items"] for result in results] == [60, 60]
    budgets = [isthmus.explain(pairs).budget for pairs in (flat, indexed)]
    for name in budgets[0]:
        numbers = [(b[name].value, b[name].low, b[name].high) for b in budgets]
        np.testing.assert_allclose(*numbers, rtol=1e-6, atol=1e-9, err_msg=name)


def test_compare_and_auto_of_repeated_rows_of_y_equal_those_of_the_transposed_index() -> None:
    texts, owner, images = repeats()
    pairs = open_grouped(images, texts[owner]), isthmus.Pairs(text=texts, image=images, index=owner)
    tasks, exchanged = ["retrieval", "mixed_search", "two_sided_search", "neighbours"], {"x": "y", "y": "x"}
    tables = [isthmus.compare(p, aligners=["CSLS", "Centering"], splits=1, tasks=tasks) for p in pairs]
    assert_equal_changes(tables, exchanged)
    choices = [Auto(aim="retrieval", folds=2, repeats=1).fit(p).fit_info_ for p in pairs]
    assert choices[0]["reasons"] == choices[1]["reasons"]


def test_intervals_of_fits_on_repeated_rows_of_y_equal_those_of_the_transposed_index() -> None:
    """Effects of fitting items are known in both forms, and belong to the items that are independent."""
    texts, owner, images = repeats(seed=4, n_items=80)
    texts += 2 * np.eye(WIDTH)[0]
    images -= 2 * np.eye(WIDTH)[1]
    pairs = open_grouped(images, texts[owner]), isthmus.Pairs(text=texts, image=images, index=owner)
    aligners = ["ScoreCalibration", "ScoreStandardization", "MeanRotation"]
    tables = [isthmus.compare(p, aligners=aligners, splits=2) for p in pairs]
    assert_equal_changes(tables, {})
    for table in tables:
        effects = [trial.fit_effects for trial in table.trials if trial.aligner != "Identity"]
        assert all({"exchange_R@1", "same_modality_share"} <= set(known) for known in effects)


def assert_equal_changes(tables: list[isthmus.Comparison], exchanged: Mapping[str, str]) -> None:
    """Compare the scores, and their changes with intervals, of two comparisons with the same aligners."""
    for flat, indexed in zip(*(table.rows for table in tables), strict=True):
        for name, score in flat.scores.items():
            other = name[:-1] + exchanged[name[-1]] if name.startswith("NAS") else name
            expected = [indexed.scores[other].value]
            numbers = [score.value]
            if name in flat.changes:
                change, expected_change = flat.changes[name], indexed.changes[other]
                numbers += [change.value, change.low, change.high]
                expected += [expected_change.value, expected_change.low, expected_change.high]
            np.testing.assert_allclose(numbers, expected, rtol=1e-6, atol=1e-9, err_msg=f"{flat.name} {name}")


def test_shared_dimensions_of_repeated_rows_of_y_equal_those_of_the_transposed_index() -> None:
    rng = np.random.default_rng(0)
    texts, classes = rng.normal(size=(60, 32)), np.r_[np.arange(60), rng.integers(0, 60, 340)]
    images = 0.6 * texts[classes] + rng.normal(size=(400, 32))
    pairs = open_grouped(images, texts[classes]), isthmus.Pairs(text=texts, image=images, index=classes)
    halves = [p.split_half(rng=0)[0] for p in pairs]
    counts = [count_shared_dimensions(half, rng=seed) for seed in range(3) for half in halves]
    assert counts[::2] == counts[1::2]


def test_intervene_on_repeated_rows_of_y_equals_that_on_the_transposed_index(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("isthmus.evaluation.interventions.BOOTSTRAPS", 10)
    texts, owner, images = repeats()
    pairs = open_grouped(images, texts[owner]), isthmus.Pairs(text=texts, image=images, index=owner)
    curves = [intervene(p, interventions=["translate"], shared=4).points for p in pairs]
    for flat, indexed in zip(*curves, strict=True):
        assert flat.scores == pytest.approx(indexed.scores, rel=1e-3)
        assert flat.alignment == pytest.approx(indexed.alignment)


def test_measure_of_pairs_that_all_occur_twice_equals_that_with_the_weights_of_one() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(80, WIDTH)) + 1
    y = 0.6 * x + rng.normal(size=(80, WIDTH)) - 1
    twice = rng.permutation(np.arange(160) % 80)
    doubled = open_grouped(x[twice], y[twice])
    order = twice[np.sort(np.unique(twice, return_index=True)[1])]
    once = isthmus.Pairs(image=x[order], text=y[order])
    measured, expected = (
        isthmus.measure(doubled, metrics="fast,retrieval"),
        isthmus.measure(once, metrics="fast,retrieval"),
    )
    for name in ("centroid_angle", "mean_paired_cosine", "image_to_text_R@1", "text_to_image_R@5", "gap_norm"):
        if name in expected:
            got, estimate = measured[name], expected[name]
            np.testing.assert_allclose(
                (got.value, got.low, got.high, got.null),
                (estimate.value, estimate.low, estimate.high, estimate.null), rtol=2e-3, atol=1e-9, err_msg=name,
            )  # fmt: skip


def test_matching_ranks_of_many_to_many_pairs_equal_a_slow_loop(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(30, 6)), rng.normal(size=(25, 6))
    pairs = np.unique(rng.integers(0, [30, 25], size=(70, 2)), axis=0)
    order = rng.permutation(len(pairs))
    owner, columns = pairs[order].T
    scores = x @ y.T
    is_right = np.zeros(scores.shape, dtype=bool)
    is_right[owner, columns] = True
    ranks_x, ranks_y = matching_ranks(x, y, owner, columns)
    for matrix, right, ranks in ((scores, is_right, ranks_x), (scores.T, is_right.T, ranks_y)):
        for row, row_right, rank in zip(matrix, right, ranks, strict=True):
            if row_right.any():
                assert rank == 1 + np.count_nonzero(row[~row_right] >= row[row_right].max())


def test_pairs_in_one_component_are_sampled_by_item_and_shuffled_without_shared_rows() -> None:
    rng = np.random.default_rng(6)
    owner, shared = np.repeat(np.arange(40), 3), rng.integers(0, 50, size=120)
    images, texts = rng.normal(size=(40, WIDTH)), rng.normal(size=(50, WIDTH))
    pairs = open_grouped(images[owner], texts[shared])
    assert "form one group, fewer than 20" in str(pairs.dependence)
    items, rows = pairs.first_pairs
    assert len(np.unique(items)) == len(np.unique(pairs.y_groups[rows])) == len(rows) > 20
    assert pairs.sample(10).n_items == 10
    budget = isthmus.explain(pairs).budget
    assert budget["centre"].null < budget["centre"].value


def test_matches_join_rows_that_share_a_match() -> None:
    matches = Matches.of(4, 5, [0, 1, 2, 3, 2], [5, 5, 3, 4, 3])
    assert matches.x_components.tolist() == [0, 0, 1, 2]
    assert matches.y_rows.tolist() == [0, 2, 3]
    assert matches.y_components.tolist() == [0, 1, 2]
    assert matches.y_counts.sum() == 4


def test_measure_where_one_text_is_on_a_third_of_the_images_has_no_interval_and_says_why() -> None:
    rng = np.random.default_rng(2)
    texts = rng.normal(size=(90, WIDTH)) + 1
    numbers = np.where(np.arange(90) % 3 == 0, 0, np.arange(90))
    images = 0.6 * texts[numbers] + rng.normal(size=(90, WIDTH)) - 1
    pairs = open_grouped(images, texts[numbers])
    assert pairs.dependence == (
        "no interval: 30 of 90 pairs (33 %) share rows of image or text with each other, more than a tenth"
    )
    for name, estimate in isthmus.measure(pairs).items():
        assert np.isnan(estimate.low), name
        assert estimate.undefined or estimate.no_interval or estimate.note == pairs.dependence, name
    for change in isthmus.compare(pairs, aligners=["Centering"], splits=3)["Centering"].changes.values():
        assert np.isnan(change.low)
        assert change.note == pairs.dependence
    assert recommendation_sentence(isthmus.compare(pairs, aligners=["Centering"], splits=1)).startswith(
        "No correction can be recommended, because no change has an interval (30 of 90 pairs"
    )
    explanation = isthmus.explain(pairs)
    assert np.isnan(explanation.budget.total.low)
    assert any("share rows of image or text" in note for note in explanation.budget.notes)
    assert f"There is {pairs.dependence}." in explanation.verdict
    assert "nan" not in " ".join(explanation.verdict)


@pytest.mark.parametrize(
    ("components", "reason"),
    [
        (np.arange(10), None),
        (np.arange(100) // 5, None),
        (np.arange(100) // 10, "and form 10 groups, fewer than 20"),
        (np.minimum(np.arange(100), 20), "80 of 100 pairs"),
    ],
)
def test_dependence_needs_twenty_components_of_at_most_a_tenth(components: np.ndarray, reason: str | None) -> None:
    found = dependence_reason(components, ("image", "text"))
    assert found is None if reason is None else reason in str(found)


@pytest.mark.parametrize("names", [("image", "text"), ("text", "image")])
def test_open_pairs_by_a_key_that_repeats_in_both_files_equals_the_index(names: tuple[str, str]) -> None:
    texts, owner, images = repeats()
    rng = np.random.default_rng(3)
    rows = {"image": images, "text": texts[owner]}
    orders = {name: rng.permutation(len(owner)) for name in rows}
    shuffled = {name: rows[name][orders[name]] for name in names}
    ids = [owner[orders[name]] + 100 for name in names]
    with pytest.warns(isthmus.IsthmusWarning, match="its keys repeat in both modalities.*180 pairs of") as caught:
        pairs = isthmus.open_pairs(*shuffled.values(), names=names, key=ids)
    assert any("60 different rows of text" in str(w.message) for w in caught)
    assert (pairs.n_pairs, pairs.n_components) == (180, 60)
    measured = isthmus.measure(pairs, metrics="first order,retrieval")
    expected = isthmus.measure(isthmus.Pairs(text=texts, image=images, index=owner), metrics="first order,retrieval")
    for name, estimate in expected.items():
        if estimate.undefined is None and name != "instance_gap":
            got = measured[name]
            np.testing.assert_allclose(
                (got.value, got.low), (estimate.value, estimate.low), rtol=1e-6, atol=1e-9, err_msg=name
            )


def test_open_pairs_by_a_key_with_two_images_and_three_captions_matches_all_of_them() -> None:
    rng = np.random.default_rng(4)
    images, texts = rng.normal(size=(120, WIDTH)), rng.normal(size=(180, WIDTH))
    ids_x, ids_y = np.repeat(np.arange(60), 2), np.repeat(np.arange(60), 3)
    pairs = open_grouped(images, texts, key=(ids_x, ids_y))
    assert (pairs.n_items, pairs.n_pairs, pairs.n_components) == (120, 360, 60)
    np.testing.assert_array_equal(pairs.owner // 2, np.repeat(np.arange(60), 6))
    np.testing.assert_array_equal(np.bincount(pairs.y_groups), np.full(180, 2))
    recalls = isthmus.measure(pairs, metrics="retrieval")
    scores = images @ texts.T / np.linalg.norm(texts, axis=1)
    first = np.mean(ids_y[np.argmax(scores, axis=1)] == ids_x)
    assert recalls["image_to_text_R@1"].value == pytest.approx(first)


@pytest.mark.parametrize("aligner", ["Centering", "RidgeCCA"])
def test_tasks_with_labels_of_repeated_rows_of_y_equal_those_of_the_transposed_index(aligner: str) -> None:
    texts, owner, images = repeats()
    labels = np.arange(N_ITEMS) % 6
    pairs = (
        open_grouped(images, texts[owner], labels=labels[owner]),
        isthmus.Pairs(text=texts, image=images, index=owner, labels=labels),
    )
    tasks = ["within_modality_search", "clustering", *(["robustness"] if aligner == "Centering" else [])]
    flat, indexed = (isthmus.compare(p, aligners=[aligner], splits=1, tasks=tasks).to_dict()["rows"] for p in pairs)
    for found, expected in zip(flat, indexed, strict=True):
        for kind in ("scores", "changes"):
            for name, estimate in expected[kind].items():
                side = {"_x": "_y", "_y": "_x"}.get(name[-2:])
                got = found[kind][name if side is None else name[:-2] + side]
                numbers = [[e[key] or 0 for key in ("value", "low", "high")] for e in (got, estimate)]
                np.testing.assert_allclose(*numbers, rtol=1e-6, atol=1e-9, err_msg=f"{aligner} {kind} {name}")


def test_fit_sizes_of_repeated_rows_of_y_count_items_and_not_rows() -> None:
    texts, owner, images = repeats()
    pairs = open_grouped(images, texts[owner]), isthmus.Pairs(text=texts, image=images, index=owner)
    options: dict[str, Any] = {"aligners": ["Centering"], "splits": 1, "tasks": ["retrieval"], "fit_sizes": [20]}
    assert_equal_changes([isthmus.compare(p, **options) for p in pairs], {})
    with pytest.raises(isthmus.InputError, match="31 items to fit on, expected 4 to the 30 that are available"):
        isthmus.compare(pairs[0], **{**options, "fit_sizes": [31]})


def test_few_items_with_many_rows_are_too_few_to_compare_and_to_intervene() -> None:
    texts, owner, images = repeats(n_items=3)
    pairs = open_grouped(images, texts[owner])
    for function in (isthmus.compare, intervene):
        with pytest.raises(isthmus.InputError, match="^3 items are too few to fit"):
            function(pairs)


def test_held_out_recall_of_repeated_rows_of_y_equals_that_of_the_transposed_index() -> None:
    texts, owner, images = repeats()
    pairs = open_grouped(images, texts[owner]), isthmus.Pairs(text=texts, image=images, index=owner)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", isthmus.IsthmusWarning)
        flat, indexed = (HyperplaneRotation(energy=0.9).fit(p).fit_info_["held_out_recall"] for p in pairs)
    assert flat == pytest.approx(indexed)
    assert flat["items"] == N_ITEMS


def test_relevance_of_repeated_rows_of_y_equals_that_of_the_transposed_index() -> None:
    texts, owner, images = repeats(n_items=120)
    pairs = open_grouped(images, texts[owner]), isthmus.Pairs(text=texts, image=images, index=owner)
    flat, indexed = (ScoreCalibration().fit(p).relevance(p) for p in pairs)
    for direction, model in indexed.models.items():
        got, expected = (dataclasses.asdict(m) for m in (flat.models[direction], model))
        for name, values in expected.items():
            np.testing.assert_allclose(*(np.array(list(flatten(v))) for v in (got[name], values)), rtol=1e-6)
    few = open_grouped(images[owner < 30], texts[owner[owner < 30]])
    with pytest.raises(isthmus.InputError, match="30 items are too few to calibrate the relevance"):
        ScoreCalibration().fit(few).relevance(few)


def flatten(values: Any) -> Iterator[float]:
    """Yield the numbers in nested dictionaries and lists."""
    if isinstance(values, Mapping):
        values = list(values.values())
    if isinstance(values, (list, tuple, np.ndarray)):
        for value in values:
            yield from flatten(value)
    else:
        yield float(values)


def test_hits_on_rows_of_the_same_component_that_do_not_match_are_wrong() -> None:
    matches = Matches.of(3, 4, [0, 0, 1, 1, 2], [0, 1, 1, 2, 3])
    assert matches.x_components.tolist() == [0, 0, 1]
    columns = np.array([1, 2, 2, 3, 3])
    assert matches.contain(np.array([0, 0, 1, 2, 0]), columns).tolist() == [True, False, True, True, False]
    assert Matches.of(2, 3, [0, 0, 1]).contain(np.array([0, 1]), np.array([1, 1])).tolist() == [True, False]


def test_recall_at_k_of_at_most_k_distinct_rows_is_undefined_whichever_side_repeats() -> None:
    rng = np.random.default_rng(7)
    texts, classes = rng.normal(size=(8, WIDTH)), np.arange(100) % 8
    images = texts[classes] + rng.normal(size=(100, WIDTH))
    flat, swapped = open_grouped(images, texts[classes]), isthmus.Pairs(text=texts, image=images, index=classes)
    for pairs in (flat, swapped):
        estimate = isthmus.measure(pairs, metrics="image_to_text_R@10")["image_to_text_R@10"]
        assert str(estimate.undefined).startswith("the recall at 10 of 8 rows is always 1")


def test_random_swaps_of_repeated_rows_keep_items_together(monkeypatch: pytest.MonkeyPatch) -> None:
    texts, owner, images = repeats()
    values: list[list[float]] = []
    monkeypatch.setattr("isthmus.theory.orientation._orientation", lambda x, y: recorded(values[-1], x, y))
    for pairs in (open_grouped(images, texts[owner]), isthmus.Pairs(text=texts, image=images, index=owner)):
        values.append([])
        orientation_exceeds_swaps(pairs, isthmus.Moments.of(pairs), np.eye(WIDTH))
    np.testing.assert_allclose(*values)


def recorded(values: list[float], x: np.ndarray, y: np.ndarray) -> float:
    """Record and return a number that depends on which rows were swapped."""
    values.append(1 + abs(float(x[:, 0].mean() - y[:, 0].mean())))
    return values[-1]


def test_decomposition_of_pairs_that_all_occur_three_times_equals_that_of_one() -> None:
    rng = np.random.default_rng(8)
    x = rng.normal(size=(80, WIDTH)) + 1
    y = 0.6 * x + rng.normal(size=x.shape) - 1
    with pytest.warns(isthmus.IsthmusWarning, match="80 of 240 image rows and 80 of 240 text rows are distinct"):
        tripled = decompose_pairs(isthmus.Pairs(image=np.tile(x, (3, 1)), text=np.tile(y, (3, 1))))
    single = decompose_pairs(isthmus.Pairs(image=x, text=y))
    for name, expected in single.items():
        numbers = [(e.value, e.low, e.high, e.null) for e in (tripled[name], expected)]
        np.testing.assert_allclose(*numbers, rtol=1e-6, atol=1e-9, err_msg=name)


@pytest.mark.parametrize(("share", "group"), [(0.6, True), (0.6, False), (0.2, False), (0.0, False)])
def test_choice_and_splits_are_those_of_exchanged_modalities_where_rows_of_one_repeat(
    share: float, group: bool
) -> None:
    rng = np.random.default_rng(0)
    texts = rng.normal(size=(60, WIDTH))
    number = np.where(rng.random(240) < share, 0, rng.integers(0, 60, size=240))
    rows = {"image": 2 * texts[number] + rng.normal(size=(240, WIDTH)) + 1, "text": texts[number]}
    reasons, groups = [], []
    for names in (("image", "text"), ("text", "image")):
        modalities = {name: rows[name] for name in names}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", isthmus.IsthmusWarning)
            reasons.append(Auto(constraint="rows").fit(**modalities, group=group).reasons_)
        groups.append(item_groups(isthmus.Pairs(**modalities)))
    assert reasons[0] == reasons[1]
    assert "held-out pairs of" in reasons[0][0]
    assert np.array_equal(*groups)
    assert groups[0].max() + 1 == len(np.unique(number))
