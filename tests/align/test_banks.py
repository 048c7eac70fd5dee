"""Banks of score corrections: samples, clusters, streams, devices, equal rows, and rows of another corpus."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import isthmus
from isthmus import InputError, IsthmusWarning, align
from isthmus.align import CSLS, BankNormalization, InvertedSoftmax, ScoreCalibration, ScoreStandardization
from isthmus.align._bank import representatives
from isthmus.align._score_model import gains_of_weight

CORRECTIONS = (ScoreStandardization, BankNormalization, CSLS, InvertedSoftmax, ScoreCalibration)
N, D = 240, 10


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def pair() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    latent = rng.normal(size=(N, D)) / np.sqrt(np.arange(1, D + 1))
    x, y = (unit(latent + 0.4 * rng.normal(size=(N, D)) + offset) for offset in (0.5 * np.eye(D)[0], -np.eye(D)[1]))
    return x, y


def test_representatives_are_one_row_of_each_cluster() -> None:
    rng = np.random.default_rng(0)
    centres = 5 * np.eye(6)
    rows = unit(np.repeat(centres, [17, 18, 17, 17, 16, 15], axis=0) + 0.1 * rng.normal(size=(100, 6)))
    chosen = representatives(rows, 6)
    assert np.argmax(chosen, axis=1).tolist() == [0, 1, 2, 3, 4, 5]
    assert all(np.any(np.all(rows == row, axis=1)) for row in chosen)
    assert representatives(rows, 100) is rows
    assert representatives(np.repeat(rows[:1], 9, axis=0), 3).shape == (1, 6)


def test_clustered_bank_has_the_stated_size_and_grows_with_a_stream(pair: Any, tmp_path: Path) -> None:
    x, y = pair
    options: dict[str, Any] = {"bank": "cluster", "bank_size": 32, "hubness_weight": 0.4}
    whole, stream = ScoreCalibration(**options).fit(x, y), ScoreCalibration(**options)
    for start in range(0, N, 70):
        stream.partial_fit(x[start : start + 70], y[start : start + 70])
    assert stream.fit_info_["bank_rows"] == {"x": 32, "y": 32}
    scores = whole.scores(x, y, query="x", stored="y")
    np.testing.assert_allclose(stream.scores(x, y, query="x", stored="y"), scores, atol=1e-10)
    whole.save(tmp_path / "scores.safetensors")
    loaded = isthmus.load(tmp_path / "scores.safetensors")
    np.testing.assert_array_equal(loaded.scores(x, y, query="x", stored="y"), scores)
    sample = ScoreCalibration(bank_size=32, hubness_weight=0.4).fit(x, y)
    assert not np.allclose(sample.scores(x, y, query="x", stored="y"), scores)
    with pytest.raises(InputError, match="bank='mean', expected 'sample' or 'cluster'"):
        ScoreCalibration(bank="mean").fit(x, y)


def test_clustered_bank_keeps_the_levels_of_mapped_rows_and_the_test_of_pairs(pair: Any) -> None:
    x, y = pair
    clustered = ScoreCalibration(row_map="Centering", bank="cluster", bank_size=40).fit(x, y)
    sampled = ScoreCalibration(row_map="Centering").fit(x, y)
    assert clustered.level(query="x", stored="y") == sampled.level(query="x", stored="y")
    assert set(clustered.fit_info_["gain"]) == {"y"}


@pytest.mark.parametrize("cls", CORRECTIONS)
def test_bank_on_a_device_gives_the_scores_of_numpy(cls: Any, pair: Any) -> None:
    pytest.importorskip("torch")
    x, y = (rows.astype("float32") for rows in pair)
    correction = cls().fit(x, y)
    expected = correction.scores(x, y, query="x", stored="y")
    rows = correction.stored(y, modality="y")
    with isthmus.config_context(device="cpu"):
        np.testing.assert_allclose(correction.scores(x, y, query="x", stored="y"), expected, atol=2e-5)
        np.testing.assert_allclose(correction.stored(y, modality="y"), rows, atol=2e-6)


@pytest.mark.parametrize("cls", CORRECTIONS)
def test_rescaled_scores_of_one_asking_modality_keep_the_results(cls: Any, pair: Any) -> None:
    """A further coordinate that only x has multiplies all its scores with y by .6, and adds a constant within x."""
    x, y = pair
    scaled = np.column_stack([0.6 * x, np.full(N, 0.8)])
    wide = np.column_stack([y, np.zeros(N)])
    before, after = cls().fit(x, y, paired=False), cls().fit(scaled, wide, paired=False)
    rows = {"x": (x, scaled), "y": (y, wide)}
    for query, stored in (("x", "y"), ("y", "x"), ("x", "x"), ("y", "y")):
        old, new = (
            correction.scores(rows[query][i], rows[stored][i], query=query, stored=stored)
            for i, correction in enumerate((before, after))
        )
        if cls in (BankNormalization, CSLS):  # they take no spread out
            np.testing.assert_array_equal(np.argsort(-new, axis=1)[:, :9], np.argsort(-old, axis=1)[:, :9])
        else:
            np.testing.assert_allclose(new, old, atol=1e-10)


def test_ranking_within_a_modality_does_not_depend_on_mean_and_spread(pair: Any) -> None:
    x, y = pair
    tables = [
        cls(**options).fit(x, y, paired=False).scores(x, y, query="x", stored="y")
        for cls, options in (
            (ScoreCalibration, {"hubness_weight": 0.5, "k": 8}),
            (BankNormalization, {"hubness_weight": 0.5, "k": 8}),
        )
    ]
    np.testing.assert_array_equal(*(np.argsort(-table, axis=1) for table in tables))


def test_rows_of_another_corpus_are_warned_of_once(pair: Any, tmp_path: Path) -> None:
    x, y = pair
    other = unit(x + 0.5 * np.eye(D)[3])
    for correction in (ScoreCalibration().fit(x, y), align.Auto(constraint="no_pairs").fit(x, y[:200])):
        correction.save(tmp_path / "scores.safetensors")
        loaded = isthmus.load(tmp_path / "scores.safetensors")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            loaded.stored(y[::2], modality="y")  # other rows of the same corpus
            loaded.stored(other[:99], modality="x")  # too few to compare
        with pytest.warns(IsthmusWarning, match="240 rows of x are unlike those of the fit.*another corpus"):
            loaded.stored(other, modality="x")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            loaded.query(other, modality="x")
            loaded.adapt(other).stored(other, modality="x")
    drift = loaded.drift(other)
    assert any("A bank of another corpus loses recall" in sentence for sentence in drift.sentences)


def test_gain_in_blocks_equals_the_gain_of_one_product(pair: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = gains_of_weight(*pair, weight=0.5, k=8)
    monkeypatch.setattr("isthmus.align._score_model.BLOCK_SCORES", 100)
    np.testing.assert_array_equal(gains_of_weight(*pair, weight=0.5, k=8), whole)
    assert 0 < np.abs(whole).sum() < N


def test_aligners_declare_what_they_need() -> None:
    assert ScoreStandardization().needs == "no pairs, moments suffice"
    assert ScoreCalibration(hubness_weight=0.0, level_weight=0.0).needs == "no pairs, moments suffice"
    assert ScoreCalibration(row_map="RidgeCCA").needs == "pairs, a bank of rows"
    for cls in (BankNormalization, CSLS, InvertedSoftmax, ScoreCalibration):
        assert cls().needs == "no pairs, a bank of rows"
    assert align.RidgeCCA().needs == "pairs"
    assert align.SharedSpaceProjection(estimator="paired").needs == "pairs"
