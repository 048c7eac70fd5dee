"""Clustering against the definitions of its indices."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest

from isthmus import InputError
from isthmus.tasks import Clustering

Unit = Callable[[np.ndarray], np.ndarray]


def test_clustering_indices_equal_their_definitions(rng: np.random.Generator, unit: Unit) -> None:
    labels = rng.integers(0, 3, 40)
    x, y = (unit(np.eye(4)[labels] + 0.6 * rng.normal(size=(40, 4))) for _ in range(2))
    clustering = Clustering.of(x, y, labels, rng=0)
    c, t = clustering.clusters, clustering.labels
    pairs = list(itertools.combinations(range(80), 2))
    agreeing = sum(c[i] == c[j] and t[i] == t[j] for i, j in pairs)
    in_c, in_t = (sum(v[i] == v[j] for i, j in pairs) for v in (c, t))
    expected = in_c * in_t / len(pairs)
    assert clustering.ari == pytest.approx((agreeing - expected) / ((in_c + in_t) / 2 - expected))

    def entropy(v: np.ndarray) -> float:
        p = np.unique(v, return_counts=True)[1] / len(v)
        return float(-np.sum(p * np.log(p)))

    mutual = entropy(c) + entropy(t) - entropy(c * 10 + t)
    assert clustering.nmi == pytest.approx(mutual / math.sqrt(entropy(c) * entropy(t)))
    assert clustering.v_measure == pytest.approx(2 * mutual / (entropy(c) + entropy(t)))
    modality = clustering.is_x.astype(int)
    mutual = entropy(c) + entropy(modality) - entropy(c * 10 + modality)
    assert clustering.modality_nmi == pytest.approx(mutual / math.sqrt(entropy(c) * entropy(modality)))


def test_clustering_with_a_gap_follows_the_modality(rng: np.random.Generator, unit: Unit) -> None:
    labels = rng.integers(0, 2, 60)
    content = 0.2 * np.eye(3)[labels]
    x, y = unit(content + 3 * np.eye(3)[2]), unit(content - 3 * np.eye(3)[2])
    clustering = Clustering.of(x, y, labels)
    assert clustering.modality_nmi == pytest.approx(1)
    assert clustering.ari < 0.05
    np.testing.assert_array_equal(clustering.clusters, Clustering.of(x, y, labels).clusters)


def test_clustering_captions_have_the_class_of_their_item(rng: np.random.Generator) -> None:
    labels = np.array(["a", "b", "c"])
    clustering = Clustering.of(np.eye(3), np.eye(3)[[2, 0, 0]], labels, index=[2, 0, 0])
    assert clustering.labels.tolist() == ["a", "b", "c", "c", "a", "a"]
    assert clustering.is_x.tolist() == [True] * 3 + [False] * 3
    assert clustering.ari == 1


def test_clustering_more_rows_than_the_limit_are_sampled(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("isthmus.tasks.clustering.MAX_ROWS", 20)
    labels = np.repeat([0, 1], 15)
    x = np.eye(2)[labels] + 0.01 * rng.normal(size=(30, 2))
    clustering = Clustering.of(x, x, labels)
    assert len(clustering.clusters) == len(clustering.labels) == len(clustering.is_x) == 20
    assert clustering.ari == 1
    monkeypatch.setattr("isthmus.tasks.clustering.MAX_ROWS", 60)
    assert len(Clustering.of(x, x, labels).clusters) == 60


def test_clustering_invalid_numbers_of_clusters_are_refused(rng: np.random.Generator) -> None:
    x, labels = rng.normal(size=(10, 3)), np.arange(10) % 2
    for clusters in (0, 21):
        with pytest.raises(InputError, match=f"{clusters} clusters of 20 rows: expected 1 to the number of rows"):
            Clustering.of(x, x + 1, labels, clusters=clusters)
    assert len(np.unique(Clustering.of(x, x + 1, labels, clusters=20).clusters)) == 20


@pytest.mark.parametrize("limit", [10_000, 50])
def test_clustering_of_swapped_modalities_is_the_same(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr("isthmus.tasks.clustering.MAX_ROWS", limit)
    labels = np.arange(60) % 5
    x = rng.normal(size=(60, 4))
    y = x + rng.normal(size=(60, 4))
    first, second = Clustering.of(x, y, labels), Clustering.of(y, x, labels)
    assert len(first.clusters) == min(120, limit)
    for name in ("ari", "nmi", "v_measure", "modality_nmi"):
        assert getattr(first, name) == pytest.approx(getattr(second, name), rel=1e-9), name
