"""Zero-shot, clustering, neighbours and robustness against slow loops and known answers."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.stats import ncx2

from isthmus import InputError
from isthmus.compute.score_matrix import TILE_SHAPE
from isthmus.tasks import (
    Clustering,
    ZeroShot,
    add_noise,
    gini,
    mean_texts,
    nearest_euclidean,
    neighbour_overlap,
    quantize,
    top1_stability,
)


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


class TestZeroShot:
    def test_against_a_slow_loop(self, rng: np.random.Generator) -> None:
        classes, texts = np.array(["b", "a", "c"]), unit(rng.normal(size=(3, 4)))
        labels, x = rng.choice(classes, 50), unit(rng.normal(size=(50, 4)))
        found = ZeroShot.of(x, labels, texts, class_names=classes)
        predicted = [classes[max(range(3), key=lambda c: float(row @ texts[c]))] for row in x]
        assert found.predicted.tolist() == predicted
        assert found.accuracy == np.mean([p == t for p, t in zip(predicted, labels, strict=True)])
        for name in classes:
            mine = [p == name for p, t in zip(predicted, labels, strict=True) if t == name]
            assert found.per_class[str(name)] == pytest.approx(np.mean(mine))
        counts = [predicted.count(name) for name in classes]
        assert found.counts.tolist() == counts
        shares = [c / 50 for c in counts if c]
        assert found.entropy == pytest.approx(-sum(s * math.log(s) for s in shares) / math.log(3))

    def test_gini_is_half_the_relative_mean_difference(self, rng: np.random.Generator) -> None:
        counts = rng.integers(0, 40, 9)
        pairs = [abs(int(a) - int(b)) for a, b in itertools.product(counts, counts)]
        assert gini(counts) == pytest.approx(sum(pairs) / (2 * 9**2 * counts.mean()))
        assert gini(np.array([0, 0, 0, 12])) == pytest.approx(1 - 1 / 4)

    def test_mean_texts(self, rng: np.random.Generator) -> None:
        y, owner, labels = rng.normal(size=(20, 3)), rng.integers(0, 6, 20), np.array([2, 0, 2, 0, 1, 1])
        names, texts = mean_texts(y, owner, labels)
        for name, text in zip(names, texts, strict=True):
            mean = np.mean([y[j] for j in range(20) if labels[owner[j]] == name], axis=0)
            np.testing.assert_allclose(text, mean / np.linalg.norm(mean), atol=1e-12)

    def test_a_label_without_a_text_is_refused(self) -> None:
        with pytest.raises(InputError, match=r"no class text for 1 of the labels \(c\)"):
            ZeroShot.of(np.eye(2), ["a", "c"], np.eye(2), class_names=["a", "b"])
        with pytest.raises(InputError, match="got 2 class texts with 1 names"):
            ZeroShot.of(np.eye(2), ["a", "b"], np.eye(2), class_names=["a"])


class TestClustering:
    def test_indices_against_their_definitions(self, rng: np.random.Generator) -> None:
        labels = rng.integers(0, 3, 40)
        x = unit(np.eye(4)[labels] + 0.6 * rng.normal(size=(40, 4)))
        y = unit(np.eye(4)[labels] + 0.6 * rng.normal(size=(40, 4)))
        found = Clustering.of(x, y, labels, rng=0)
        c, t = found.clusters, found.labels
        both = list(itertools.combinations(range(80), 2))
        a = sum(c[i] == c[j] and t[i] == t[j] for i, j in both)
        in_c, in_t = (sum(v[i] == v[j] for i, j in both) for v in (c, t))
        expected = in_c * in_t / len(both)
        assert found.ari == pytest.approx((a - expected) / ((in_c + in_t) / 2 - expected))

        def entropy(v: np.ndarray) -> float:
            p = np.unique(v, return_counts=True)[1] / len(v)
            return float(-np.sum(p * np.log(p)))

        joint = entropy(c * 10 + t)
        mutual = entropy(c) + entropy(t) - joint
        assert found.nmi == pytest.approx(mutual / math.sqrt(entropy(c) * entropy(t)))
        assert found.v_measure == pytest.approx(2 * mutual / (entropy(c) + entropy(t)))

    def test_clusters_follow_a_gap_and_the_seed_decides(self, rng: np.random.Generator) -> None:
        labels = rng.integers(0, 2, 60)
        content = 0.2 * np.eye(3)[labels]
        x, y = unit(content + 3 * np.eye(3)[2]), unit(content - 3 * np.eye(3)[2])
        found = Clustering.of(x, y, labels)
        assert found.modality_nmi == pytest.approx(1)
        assert found.ari < 0.05
        np.testing.assert_array_equal(found.clusters, Clustering.of(x, y, labels).clusters)
        with pytest.raises(InputError, match="500 clusters of 120 rows"):
            Clustering.of(x, y, labels, clusters=500)


class TestNeighbours:
    @pytest.mark.parametrize("k", [1, 4])
    def test_against_a_slow_loop(self, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch, k: int) -> None:
        monkeypatch.setattr("isthmus.compute.score_matrix.BLOCK_SCORES", 100)  # several blocks
        before, after = unit(rng.normal(size=(30, 5))), unit(rng.normal(size=(30, 3)))
        found = neighbour_overlap(before, after, ks=[k])[:, 0]
        for i in range(30):
            sets = []
            for rows in (before, after):
                order = sorted((j for j in range(30) if j != i), key=lambda j: -float(rows[i] @ rows[j]))
                sets.append(set(order[:k]))
            assert found[i] == len(sets[0] & sets[1]) / k

    def test_rotation_keeps_all_and_a_shuffle_keeps_chance(self, rng: np.random.Generator) -> None:
        rows = unit(rng.normal(size=(300, 6)))
        turn = np.linalg.qr(rng.normal(size=(6, 6)))[0]
        assert neighbour_overlap(rows, rows @ turn, ks=[10]).min() == 1
        assert neighbour_overlap(rows, unit(rng.normal(size=(300, 6)))).mean() == pytest.approx(10 / 299, abs=0.01)
        with pytest.raises(InputError, match="expected 1 to 299 neighbours of 300 rows"):
            neighbour_overlap(rows, rows, ks=[300])


class TestRobustness:
    def test_nearest_is_euclidean(self, rng: np.random.Generator) -> None:
        queries, corpus = rng.normal(size=(40, 3)), rng.normal(size=(TILE_SHAPE[1] + 60, 3))
        slow = [int(np.argmin(np.sum((corpus - q) ** 2, axis=1))) for q in queries]
        assert nearest_euclidean(queries, corpus).tolist() == slow

    def test_quantised_rows_are_within_half_a_bin(self, rng: np.random.Generator) -> None:
        rows = rng.normal(size=(50, 7))
        for bins in (2, 32, 256):
            found = quantize(rows, bins)
            assert len(np.unique(found)) <= bins
            assert np.abs(found - rows).max() <= (rows.max() - rows.min()) / bins / 2 + 1e-12
        assert top1_stability(rows, rows, rows).all()

    def test_noise_on_two_points_has_its_known_effect(self, rng: np.random.Generator) -> None:
        query, corpus = np.array([[1.0, 0.0]]), np.array([[0.9, 0.0], [0.5, 0.0]])
        kept = [bool(top1_stability(query, corpus, add_noise(corpus, 0.04, rng))[0]) for _ in range(2000)]
        # Squared distances of noisy points, over their variance, are non-central chi-squared.
        near, far = (
            ncx2.rvs(2, shift**2 / 0.04, size=200_000, random_state=1 + i) for i, shift in enumerate((0.1, 0.5))
        )
        assert np.mean(kept) == pytest.approx(np.mean(near < far), abs=0.035)
