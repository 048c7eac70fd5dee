"""Zero-shot classification against a slow loop and known answers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest

from isthmus import InputError
from isthmus.tasks import TaskData, ZeroShot, gini, mean_texts, registry

Unit = Callable[[np.ndarray], np.ndarray]


def test_zero_shot_equals_a_slow_loop(rng: np.random.Generator, unit: Unit) -> None:
    classes, texts = np.array(["b", "a", "c"]), unit(rng.normal(size=(3, 4)))
    labels, x = rng.choice(classes, 50), unit(rng.normal(size=(50, 4)))
    result = ZeroShot.of(x, labels, texts, class_names=classes)
    predicted = [classes[max(range(3), key=lambda c: float(row @ texts[c]))] for row in x]
    assert result.predicted.tolist() == predicted
    assert result.accuracy == np.mean([p == t for p, t in zip(predicted, labels, strict=True)])
    for name in classes:
        recall = np.mean([p == name for p, t in zip(predicted, labels, strict=True) if t == name])
        assert result.per_class[str(name)] == pytest.approx(recall)
    counts = [predicted.count(name) for name in classes]
    assert result.counts.tolist() == counts
    shares = [count / 50 for count in counts if count]
    assert result.entropy == pytest.approx(-sum(s * math.log(s) for s in shares) / math.log(3))
    assert result.gini == pytest.approx(gini(np.array(counts)))
    assert result.label_gini == pytest.approx(gini(np.array([list(labels).count(name) for name in classes])))


def test_zero_shot_of_many_rows_equals_one_product(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("isthmus.tasks.zero_shot.TILE_SHAPE", (7, 13))
    x, texts = rng.normal(size=(50, 4)), rng.normal(size=(3, 4))
    result = ZeroShot.of(x, np.zeros(50, dtype=int), texts, class_names=np.arange(3))
    assert result.predicted.tolist() == np.argmax(x @ texts.T, axis=1).tolist()


def test_zero_shot_of_equal_texts_predicts_the_first() -> None:
    result = ZeroShot.of(np.eye(2), ["b", "a"], np.eye(2)[[0, 0, 1]], class_names=["b", "a", "c"])
    assert result.predicted.tolist() == ["b", "c"]


def test_zero_shot_class_without_rows_has_no_recall() -> None:
    result = ZeroShot.of(np.eye(2), ["a", "a"], np.eye(2), class_names=["a", "b"])
    assert math.isnan(result.per_class["b"])


def test_gini_is_half_the_relative_mean_difference(rng: np.random.Generator) -> None:
    counts = rng.integers(0, 40, 9)
    differences = [abs(int(a) - int(b)) for a, b in itertools.product(counts, counts)]
    assert gini(counts) == pytest.approx(sum(differences) / (2 * 9**2 * counts.mean()))
    assert gini(np.array([0, 0, 0, 12])) == pytest.approx(1 - 1 / 4)


def test_mean_texts_are_unit_means_of_the_captions(rng: np.random.Generator) -> None:
    y, owner, labels = rng.normal(size=(20, 3)), rng.integers(0, 6, 20), np.array([2, 0, 2, 0, 1, 1])
    names, texts = mean_texts(y, owner, labels)
    for name, text in zip(names, texts, strict=True):
        mean = np.mean([y[j] for j in range(20) if labels[owner[j]] == name], axis=0)
        np.testing.assert_allclose(text, mean / np.linalg.norm(mean), atol=1e-12)


def test_zero_shot_invalid_texts_are_refused() -> None:
    with pytest.raises(InputError, match=r"no class text for 1 of the labels \(c\)"):
        ZeroShot.of(np.eye(2), ["a", "c"], np.eye(2), class_names=["a", "b"])
    with pytest.raises(InputError, match="got 2 class texts with 1 names"):
        ZeroShot.of(np.eye(2), ["a", "b"], np.eye(2), class_names=["a"])
    with pytest.raises(InputError, match="and 3 labels for 2 rows"):
        ZeroShot.of(np.eye(2), ["a", "b", "a"], np.eye(2), class_names=["a", "b"])
    with pytest.raises(InputError, match="zero_shot needs class texts"):
        registry()["zero_shot"].run(TaskData(np.eye(2), np.eye(2), labels=np.arange(2)))
