"""Hubness and the Gini coefficient of predicted classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import binom, skew

import isthmus
from isthmus import InputError, Pairs
from isthmus.metrics._paired_rows import PairedRows
from isthmus.metrics.hubness import skewness
from isthmus.statistics.concentration import gini
from isthmus.statistics.moments import moments_of


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_hubness_equals_a_loop(cones: Any) -> None:
    x, y = map(unit, cones)
    estimates = isthmus.measure(Pairs(image=x, text=y), metrics=["{x}_to_{y}_hubness", "{y}_to_{x}_hubness"])
    for name, queries, corpus in (("image_to_text_hubness", x, y), ("text_to_image_hubness", y, x)):
        counts = np.zeros(len(corpus))
        for q in queries:
            counts[np.argsort(-(corpus @ q))[:10]] += 1
        assert estimates[name].value == pytest.approx(skew(counts), abs=1e-12)
        assert estimates[name].null == pytest.approx(float(binom.stats(120, 10 / 120, moments="s")), abs=1e-12)


def test_skewness_equals_scipy(rng: np.random.Generator) -> None:
    values = rng.gamma(2, size=99)
    assert skewness(values) == pytest.approx(skew(values), abs=1e-12)
    assert np.isnan(skewness(np.ones(5)))


def test_hubness_of_independent_queries_is_the_null(rng: np.random.Generator) -> None:
    # In high dimensions hubs arise by themselves; on a circle they do not.
    angles = rng.uniform(0, 2 * np.pi, size=(2, 400))
    x, y = (np.column_stack([np.cos(a), np.sin(a)]) for a in angles)
    e = isthmus.measure(Pairs(image=x, text=y), metrics=["{x}_to_{y}_hubness"])["image_to_text_hubness"]
    assert abs(e.value) < 1


def test_hubness_of_equal_counts_is_undefined() -> None:
    angle = 2 * np.pi * np.arange(40) / 40
    circle = np.column_stack([np.cos(angle), np.sin(angle)])
    turned = np.column_stack([np.cos(angle + 0.07), np.sin(angle + 0.07)])  # between two rows: no ties
    e = isthmus.measure(Pairs(image=circle, text=turned), metrics=["{x}_to_{y}_hubness"])["image_to_text_hubness"]
    assert e.undefined == "every corpus row is retrieved equally often"


def test_gini_equals_the_mean_difference(rng: np.random.Generator) -> None:
    counts = rng.integers(0, 50, size=17)
    differences = np.abs(counts[:, None] - counts).mean()
    assert gini(counts) == pytest.approx(differences / (2 * counts.mean()), abs=1e-12)


def labelled(rng: np.random.Generator, n: int = 300) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    labels = rng.choice(4, size=n, p=[0.4, 0.3, 0.2, 0.1])
    centres = unit(rng.normal(size=(4, 10)))
    x, y = centres[labels] + 0.1 * rng.normal(size=(2, n, 10))
    return x, y, labels


def test_predicted_class_gini_of_separated_classes_is_that_of_the_labels(rng: np.random.Generator) -> None:
    x, y, labels = labelled(rng)
    names = np.array(["owl", "cat", "dog", "ant"])[labels]
    pairs = Pairs(image=x, text=y, labels=names)
    estimates = isthmus.measure(pairs)
    for name in ("predicted_class_gini_image", "predicted_class_gini_text"):
        # Well-separated classes: the predictions are the labels.
        assert estimates[name].value == pytest.approx(estimates[name].null, abs=1e-12)
        assert estimates[name].null == pytest.approx(gini(np.bincount(labels)), abs=0.05)
    order = rng.permutation(len(x))
    moved = isthmus.measure(Pairs(image=x[order], text=y[order], labels=names[order]))
    assert moved[name].value == estimates[name].value


def test_predicted_class_gini_equals_a_loop(rng: np.random.Generator) -> None:
    x, y, labels = labelled(rng, 80)
    x = unit(x + 0.8 * rng.normal(size=x.shape))
    y = unit(y)
    pairs = Pairs(image=x, text=y, labels=labels)
    rows = isthmus.metrics.MetricContext(moments_of(pairs), pairs).shared(PairedRows)
    fit, judged = rows.random_order[:40], rows.random_order[40:]
    means = [unit(y[[i for i in fit if labels[i] == c]].mean(axis=0)[None])[0] for c in range(4)]
    counts = np.zeros(4)
    for i in judged:
        counts[np.argmax([x[i] @ m for m in means])] += 1
    e = isthmus.measure(pairs, metrics=["predicted_class_gini_{side}"])["predicted_class_gini_image"]
    assert e.value == pytest.approx(gini(counts), abs=1e-12)
    assert 0 <= e.value <= 0.75
    assert e.unit == "gini"


def test_predicted_class_gini_without_labels_is_refused(rng: np.random.Generator) -> None:
    x, y, _ = labelled(rng)
    pairs = Pairs(image=x, text=y)
    assert not any("gini" in name for name in isthmus.measure(pairs))
    with pytest.raises(InputError, match="predicted_class_gini needs labels; give Pairs"):
        isthmus.measure(pairs, metrics=["predicted_class_gini_{side}"])
    one = Pairs(image=x, text=y, labels=np.zeros(len(x)))
    e = isthmus.measure(one, metrics=["predicted_class_gini_{side}"])["predicted_class_gini_image"]
    assert e.undefined == "fewer than two classes have a mean with a direction"


def test_predicted_class_gini_reference_case_is_exact() -> None:
    m = isthmus.metrics.registry()["predicted_class_gini_{side}"]
    assert m.reference_case is not None
    x, y, labels, expected = m.reference_case()
    estimates = isthmus.measure(Pairs(image=x, text=y, labels=labels), metrics=[m.name], group=False)
    assert estimates["predicted_class_gini_image"].value == expected  # every x lies on the mean of class 0
    assert estimates["predicted_class_gini_text"].value <= estimates["predicted_class_gini_image"].value
    assert m.definition.endswith(".")
    assert m.source


def test_predicted_class_gini_never_predicts_a_class_without_a_mean(rng: np.random.Generator) -> None:
    x, y, labels = labelled(rng, 80)
    rows = isthmus.metrics.MetricContext(moments_of(Pairs(image=x, text=y)), Pairs(image=x, text=y)).shared(PairedRows)
    labels[labels == 3] = 2
    labels[rows.random_order[-1]] = 9  # held out, so that its class has no mean
    estimate = isthmus.measure(Pairs(image=x, text=y, labels=labels), metrics=["predicted_class_gini_{side}"])
    counts = np.bincount(np.unique(labels, return_inverse=True)[1][rows.random_order[40:]])
    assert estimate["predicted_class_gini_image"].null == pytest.approx(gini(counts), abs=1e-12)
    # Well-separated classes: all predictions are right except that of the class without a mean.
    predicted = estimate["predicted_class_gini_image"].value
    assert any(predicted == pytest.approx(gini([*(counts[:3] + np.eye(3, dtype=int)[k]), 0])) for k in range(3))
