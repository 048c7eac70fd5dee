"""Drift and adaptation to a new corpus that is made from classes of the demo."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.linalg

import isthmus
from isthmus import InputError, align, demo


@pytest.fixture(scope="module")
def train() -> Any:
    return demo.arrays("plain", split="train")


@pytest.fixture(scope="module")
def test() -> Any:
    return demo.arrays("plain", split="test")


def unit(rows: np.ndarray) -> np.ndarray:
    rows = rows.astype(np.float64)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def digits(run: Any, chosen: tuple[int, ...]) -> np.ndarray:
    return np.flatnonzero(np.isin(run.labels, chosen))


def test_drift_of_the_same_corpus_keeps_its_level(train: Any) -> None:
    """On random halves of one split, the test of the means and the null of the fidelity keep their levels."""
    detected = []
    for seed in range(20):
        order = np.random.default_rng(seed).permutation(len(train.image))
        fit, new = order[:600], order[600:]
        drift = align.Centering().fit(train.image[fit], train.text[fit]).drift(train.image[new], train.text[new])
        detected.extend(modality.shifted or modality.reshaped for modality in drift.modalities)
    assert np.mean(detected) < 0.2
    assert "do not differ measurably" in str(align.Centering().fit(train.image, train.text).drift(train.image))


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("sizes", [(60, 50), (200, 150), (1000, 300)])
def test_few_rows_of_one_population_do_not_drift(power: float, sizes: tuple[int, int]) -> None:
    """Rows of 64 coordinates with decaying variances: samples of them spread more than the population does."""
    spread = np.arange(1, 65) ** -power
    detected = {"same": 0, "other": 0}
    for seed in range(10):
        rng = np.random.default_rng(seed)
        old, new, paired = (spread * rng.normal(size=(size, 64)) + 0.2 for size in (*sizes, sizes[0]))
        aligner = align.Centering(normalize=False).fit(old, paired)
        detected["same"] += aligner.drift(new).modalities[0].reshaped
        other = (new - 0.2) * np.where(np.arange(64) % 2, 1.0, 0.2) + 0.2
        detected["other"] += aligner.drift(other).modalities[0].reshaped
    assert detected["same"] <= 1
    assert detected["other"] >= (9 if sizes[1] > 64 else 0)


def test_drift_of_a_subset_of_classes_is_detected(train: Any, test: Any) -> None:
    few = digits(test, (0, 6))
    aligner = align.Centering().fit(isthmus.Pairs(image=train.image, text=train.text))
    drift = aligner.drift(test.image[few], test.text[few])
    assert drift
    for modality, rows, fitted in zip(
        drift.modalities, (test.image, test.text), (train.image, train.text), strict=True
    ):
        assert modality.shifted
        assert modality.reshaped
        old, new = unit(fitted).mean(axis=0), unit(rows[few]).mean(axis=0)
        assert modality.shift == pytest.approx(np.linalg.norm(new - old), rel=1e-5)
        assert modality.cosine == pytest.approx(old @ new / np.linalg.norm(old) / np.linalg.norm(new), rel=1e-5)
        covs = [np.cov(unit(r).T, bias=True) for r in (fitted, rows[few])]
        root = scipy.linalg.sqrtm(covs[0] + 1e-15 * np.eye(64)).real
        middle = np.linalg.eigvalsh(root @ covs[1] @ root)
        fidelity = np.sqrt(np.clip(middle, 0, None)).sum() / np.sqrt(np.trace(covs[0]) * np.trace(covs[1]))
        assert modality.fidelity == pytest.approx(fidelity, abs=1e-4)
    assert "of image lies" in drift.sentences[0]
    assert "adapt() subtracts the new mean" in str(drift)


def test_adapt_to_a_subset_of_classes_moves_the_means(train: Any, test: Any) -> None:
    few = digits(test, (0, 6))
    old = align.Centering().fit(train.image, train.text)
    new = old.adapt(test.image[few], test.text[few])
    for adapted, before, rows in (
        (new.transform_x, old.transform_x, test.image),
        (new.transform_y, old.transform_y, test.text),
    ):
        assert np.linalg.norm(adapted(rows[few]).mean(axis=0)) < 0.35 * np.linalg.norm(before(rows[few]).mean(axis=0))
    assert not new.drift(test.image[few])
    assert old.drift(test.image[few])  # the old one stays as it was


def test_adapt_to_shifted_rows_restores_recall(train: Any, test: Any) -> None:
    """Mixed search in a corpus with a common offset, with the fitted means and with the new ones."""
    from isthmus.tasks import MixedSearch

    offset = np.random.default_rng(0).normal(size=(2, 64))
    x, y = (unit(unit(r) + 0.6 * o / np.linalg.norm(o)) for r, o in zip((test.image, test.text), offset, strict=True))
    old = align.DifferenceWhitening().fit(train.image, train.text)
    new = old.adapt(x, y)
    before, after = (MixedSearch.of(*a.transform(x, y)).recall(1) for a in (old, new))
    assert after > before + 0.02


def test_adapt_without_pairs_solves_again(train: Any, test: Any) -> None:
    for aligner in (align.PartialWhitening(), align.Translation(), align.Standardization(), align.MeanRotation()):
        fresh = type(aligner)().fit(test.image, test.text)
        adapted = aligner.fit(train.image, train.text).adapt(test.image, test.text)
        np.testing.assert_allclose(
            adapted.transform_x(unit(test.image)), fresh.transform_x(unit(test.image)), atol=1e-6
        )
    half = align.PartialWhitening().fit(train.image, train.text)
    one = half.adapt(None, test.text)
    np.testing.assert_allclose(one.matrix_x, half.matrix_x, atol=1e-9)
    assert np.abs(one.matrix_y - half.matrix_y).max() > 1e-3


def test_adapt_with_pairs_keeps_the_paired_part(train: Any, test: Any) -> None:
    cca = align.RidgeCCA().fit(train.image, train.text)
    new = cca.adapt(test.image)
    np.testing.assert_array_equal(new.matrix_x, cca.matrix_x)
    np.testing.assert_array_equal(new.bias_y, cca.bias_y)
    np.testing.assert_allclose(new.bias_x, -unit(test.image).mean(axis=0) @ cca.matrix_x, atol=1e-6)
    diff = align.DifferenceWhitening().fit(train.image, train.text)
    same = diff.adapt(train.image, train.text)
    np.testing.assert_allclose(same.matrix_x, diff.matrix_x, atol=1e-9)
    blend = align.Blend().fit(train.image, train.text).adapt(train.image + np.float32(0))
    np.testing.assert_allclose(
        blend.transform_x(test.image), align.Blend().fit(train.image, train.text).transform_x(test.image), atol=1e-6
    )


def test_adapt_without_means_or_rows_is_refused(train: Any) -> None:
    with pytest.raises(InputError, match="HyperplaneRotation holds no means, so unpaired rows cannot adapt it"):
        align.HyperplaneRotation(judge=False).fit(train.image, train.text).adapt(train.image)
    aligner = align.Centering().fit(train.image, train.text)
    with pytest.raises(InputError, match="got no rows, expected rows of the new corpus"):
        aligner.adapt()
    with pytest.raises(InputError, match=r"got rows of shape \(1200, 63\) for y, expected \(n, 64\)"):
        aligner.drift(None, train.text[:, 1:])


def test_statistics_of_a_loaded_aligner_give_the_same_drift(train: Any, test: Any, tmp_path: Path) -> None:
    for aligner in (align.Auto(constraint="affine"), align.DifferenceWhitening(), align.Blend()):
        aligner.fit(isthmus.Pairs(image=train.image[:300], text=train.text[:300]))
        aligner.save(tmp_path / "a.safetensors")
        back = isthmus.load(tmp_path / "a.safetensors")
        assert back.drift(test.image) == aligner.drift(test.image)
        a, b = (one.adapt(test.image, test.text) for one in (aligner, back))
        np.testing.assert_allclose(a.transform_x(test.image), b.transform_x(test.image), atol=1e-6)


def test_transform_of_pairs_with_other_names_is_refused(train: Any, tmp_path: Path) -> None:
    pairs = isthmus.Pairs(image=train.image, text=train.text)
    align.Centering().fit(pairs).save(tmp_path / "a.safetensors")
    back = isthmus.load(tmp_path / "a.safetensors")
    x, _ = back.transform(pairs)
    assert x.shape == (1200, 64)
    with pytest.raises(InputError, match="got pairs of audio and text, expected image and text"):
        back.transform(isthmus.Pairs(audio=train.image, text=train.text))
    with pytest.raises(InputError, match="got pairs of audio and text, expected image and text"):
        align.Centering().fit(pairs).partial_fit(isthmus.Pairs(audio=train.image, text=train.text))
    with pytest.raises(InputError, match=r"got rows of shape \(1200, 63\) for image, expected \(n, 64\)"):
        back.transform_x(train.image[:, 1:])
