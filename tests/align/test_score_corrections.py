"""Score corrections: values of a slow loop, invariants, forms of the index, and several modalities."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import isthmus
from isthmus import InputError, IsthmusWarning, align
from isthmus.align import CSLS, BankNormalization, InvertedSoftmax, ScoreCalibration, ScoreStandardization
from isthmus.align._score_model import gain_of_weight, mean_of_largest

CORRECTIONS = (ScoreStandardization, BankNormalization, CSLS, InvertedSoftmax, ScoreCalibration)
N, D = 90, 12


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture
def modalities() -> dict[str, np.ndarray]:
    """Return paired unit rows of three modalities, each in a cone of its own."""
    rng = np.random.default_rng(7)
    latent = rng.normal(size=(N, D)) / np.sqrt(np.arange(1, D + 1))
    return {
        name: unit(latent + 0.5 * rng.normal(size=(N, D)) + offset * np.eye(D)[number])
        for number, (name, offset) in enumerate((("image", 1.5), ("text", 2.0), ("audio", 0.7)))
    }


def slow_scores(
    banks: dict[str, np.ndarray],
    queries: np.ndarray,
    rows: np.ndarray,
    *,
    query: str,
    stored: str,
    w: float,
    v: float,
    pool: Callable[[np.ndarray], float],
    standardizes: bool = True,
) -> np.ndarray:
    """Return corrected scores pair by pair, from their definition."""
    products = [
        float(a @ b)
        for i, a in enumerate(banks[query])
        for j, b in enumerate(banks[stored])
        if query != stored or i != j
    ]
    mean, deviation = (np.mean(products), np.std(products)) if standardizes else (0.0, 1.0)

    def pooled(row: np.ndarray, bank: np.ndarray) -> float:
        others = [b for b in bank if np.abs(b - row).max() > 1e-9]
        return pool(np.array([(row @ b - mean) / deviation for b in others]))

    scores = np.empty((len(queries), len(rows)))
    for i, q in enumerate(queries):
        for j, c in enumerate(rows):
            scores[i, j] = (q @ c - mean) / deviation - w * pooled(c, banks[query]) - v * pooled(q, banks[stored])
    return scores


def mean_of(k: int) -> Callable[[np.ndarray], float]:
    return lambda scores: float(np.sort(scores)[-k:].mean())


RULES: dict[str, tuple[Any, dict[str, Any]]] = {
    "ScoreStandardization": (ScoreStandardization(), {"w": 0.0, "v": 0.0, "pool": mean_of(1)}),
    "BankNormalization": (BankNormalization(), {"w": 0.5, "v": 0.0, "pool": mean_of(8), "standardizes": False}),
    "CSLS": (CSLS(), {"w": 0.5, "v": 0.5, "pool": mean_of(10), "standardizes": False}),
    "InvertedSoftmax": (
        InvertedSoftmax(),
        {"w": 0.5, "v": 0.0, "pool": lambda scores: float(np.log(np.mean(np.exp(4 * scores))) / 4)},
    ),
    "ScoreCalibration": (ScoreCalibration(), {"w": N / (2 * (N + 50)), "v": 0.5, "pool": mean_of(8)}),
    "ScoreCalibration with options": (
        ScoreCalibration(k=3, hubness_weight=0.2, level_weight=0.9),
        {"w": 0.2, "v": 0.9, "pool": mean_of(3)},
    ),
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("query", ["image", "text"])
@pytest.mark.parametrize("stored", ["image", "text"])
def test_scores_equal_those_of_a_slow_loop(
    rule: str, query: str, stored: str, modalities: dict[str, np.ndarray]
) -> None:
    """Some queries and stored rows are rows of the bank, which are left out."""
    correction, options = RULES[rule]
    banks = {name: modalities[name] for name in ("image", "text")}
    correction.fit(**banks, paired=False)
    rng = np.random.default_rng(0)
    queries, rows = (unit(np.concatenate([modalities[name][:4], rng.normal(size=(3, D))])) for name in (query, stored))
    scores = correction.scores(queries, rows, query=query, stored=stored)
    np.testing.assert_allclose(
        scores, slow_scores(banks, queries, rows, query=query, stored=stored, **options), atol=1e-10
    )


def test_third_modality_changes_no_score_of_two_others(modalities: dict[str, np.ndarray]) -> None:
    two = {name: modalities[name] for name in ("image", "text")}
    for cls in CORRECTIONS:
        first, second = cls().fit(**two), cls().fit(**modalities)
        assert second.modalities == ("image", "text", "audio")
        for query in two:
            for stored in two:
                args = (modalities[query][::2], modalities[stored][::3])
                np.testing.assert_array_equal(
                    first.scores(*args, query=query, stored=stored), second.scores(*args, query=query, stored=stored)
                )
        assert np.isfinite(second.scores(*[modalities["audio"]] * 2, query="audio", stored="audio")).all()


def test_named_fit_equals_fit_of_arrays_to_the_last_bit(modalities: dict[str, np.ndarray]) -> None:
    x, y = modalities["image"], modalities["text"]
    for cls in CORRECTIONS:
        named, plain = cls().fit(image=x, text=y), cls().fit(x, y)
        assert plain.modalities == ("x", "y")
        np.testing.assert_array_equal(
            named.scores(x, y, query="image", stored="text"), plain.scores(x, y, query="x", stored="y")
        )
        np.testing.assert_array_equal(named.stored(x, modality="image"), named.stored(x, modality="x"))


def test_each_modality_is_fitted_alone_in_a_stream(modalities: dict[str, np.ndarray]) -> None:
    whole = ScoreCalibration(bank_size=40, rng=3).fit(**modalities, paired=False)
    stream = ScoreCalibration(bank_size=40, rng=3)
    for start in range(0, N, 37):
        stream.partial_fit(**{name: rows[start : start + 37] for name, rows in modalities.items()}, paired=False)
    assert stream.fit_info_["bank_rows"] == dict.fromkeys(modalities, 40)
    for query in modalities:
        np.testing.assert_allclose(
            stream.scores(modalities[query], modalities["audio"], query=query, stored="audio"),
            whole.scores(modalities[query], modalities["audio"], query=query, stored="audio"),
            atol=1e-10,
        )


def test_saved_correction_of_three_modalities_gives_the_same_bits(
    modalities: dict[str, np.ndarray], tmp_path: Path
) -> None:
    for correction in (ScoreCalibration(), ScoreCalibration(row_map=align.Centering()), ScoreStandardization()):
        correction.fit(**modalities).save(tmp_path / "scores.safetensors")
        loaded = isthmus.load(tmp_path / "scores.safetensors")
        assert loaded.modalities == correction.modalities
        assert json.dumps(loaded.fit_info_) == json.dumps(correction.fit_info_)
        for name, rows in modalities.items():
            np.testing.assert_array_equal(loaded.stored(rows, modality=name), correction.stored(rows, modality=name))
            np.testing.assert_array_equal(
                loaded.scores(rows, rows, query=name, stored="audio"),
                correction.scores(rows, rows, query=name, stored="audio"),
            )


def test_bank_given_twice_with_twice_k_changes_nothing(modalities: dict[str, np.ndarray]) -> None:
    x, y = modalities["image"], modalities["text"]
    rows = unit(np.random.default_rng(1).normal(size=(5, D)))
    once = CSLS(k=4).fit(x, y)
    twice = CSLS(k=8).fit(np.concatenate([x, x]), np.concatenate([y, y]), group=False)
    for queries in (rows, x):
        np.testing.assert_allclose(
            once.scores(queries, rows, query="x", stored="y"),
            twice.scores(queries, rows, query="x", stored="y"),
            atol=1e-12,
        )
    assert twice.fit_info_["bank_rows"]["x"] == 2 * N


def test_order_of_the_bank_does_not_matter(modalities: dict[str, np.ndarray]) -> None:
    x, y = modalities["image"], modalities["text"]
    order = np.random.default_rng(2).permutation(N)
    for cls in CORRECTIONS:
        sorted_, permuted = cls().fit(x, y, paired=False), cls().fit(x[order], y, paired=False)
        np.testing.assert_allclose(
            sorted_.scores(x, y, query="x", stored="y"), permuted.scores(x, y, query="x", stored="y"), atol=1e-11
        )


def test_members_of_the_family_equal_each_other(modalities: dict[str, np.ndarray]) -> None:
    x, y = modalities["image"], modalities["text"]

    def scores(correction: Any) -> np.ndarray:
        return np.asarray(correction.fit(x, y).scores(x, y, query="x", stored="y"))

    plain = scores(ScoreStandardization())
    np.testing.assert_allclose(scores(ScoreCalibration(hubness_weight=0.0, level_weight=0.0)), plain, atol=1e-13)
    np.testing.assert_allclose(scores(InvertedSoftmax(hubness_weight=0.0)), plain, atol=1e-13)
    new = unit(np.random.default_rng(0).normal(size=(20, D)))
    whole = BankNormalization(k=N, hubness_weight=1.0).fit(x, y).scores(x, new, query="x", stored="y")
    np.testing.assert_allclose(whole, x @ new.T - (x @ new.T).mean(axis=0), atol=1e-12)


def test_level_changes_no_ranking_within_a_modality(modalities: dict[str, np.ndarray]) -> None:
    x, y = modalities["image"], modalities["text"]
    tables = [
        ScoreCalibration(level_weight=v, hubness_weight=0.4).fit(x, y).scores(x, y, query="x", stored="y")
        for v in (0.0, 1.0)
    ]
    differences = tables[0] - tables[1]
    np.testing.assert_allclose(differences, differences[:, :1] * np.ones(N), atol=1e-12)


def test_constant_between_modalities_changes_nothing(modalities: dict[str, np.ndarray]) -> None:
    """Two further coordinates add a constant to all scores between modalities, and the means take it."""
    x, y = modalities["image"], modalities["text"]
    shifted = [np.column_stack([rows, np.full(N, 0.7), np.full(N, sign * 0.4)]) for rows, sign in ((x, 1), (y, -1))]
    factor = 1 + 0.7**2 + 0.4**2
    before = ScoreCalibration().fit(x, y).scores(x, y, query="x", stored="y")
    after = ScoreCalibration().fit(*shifted).scores(*shifted, query="x", stored="y")
    assert np.allclose(unit(shifted[0]) @ unit(shifted[1]).T, (x @ y.T + 0.7**2 - 0.4**2) / factor)
    np.testing.assert_allclose(after, before, atol=1e-10)


def test_fit_to_the_judged_rows_leaves_each_row_out(modalities: dict[str, np.ndarray]) -> None:
    x, y = modalities["image"], modalities["text"]
    model = BankNormalization(k=5).fit(x, y)
    for number in (0, 17):
        others = np.delete(x, number, axis=0)
        alone = np.sort(others @ x[number])[-5:].mean()
        score = model.scores(y[:1], x[number : number + 1], query="x", stored="x")
        assert score[0, 0] == pytest.approx(float(y[0] @ x[number]) - 0.5 * alone, abs=1e-12)


def test_pairs_raise_the_weight_where_they_show_a_gain() -> None:
    pairs = isthmus.demo.load("plain", split="train")
    paired, alone = ScoreCalibration().fit(pairs), ScoreCalibration().fit(pairs, paired=False)
    gain, error = paired.fit_info_["gain"]["text"]
    assert gain > 2 * error
    by_size = 1000 / (2 * 1050)
    assert paired.fit_info_["hubness_weights"] == {"image": 0.5, "text": 0.5}
    assert alone.fit_info_["hubness_weights"] == {"image": by_size, "text": by_size}
    assert paired.uses_pairs
    assert not alone.uses_pairs
    rng = np.random.default_rng(0)
    noise = ScoreCalibration().fit(rng.normal(size=(200, 30)), rng.normal(size=(200, 30)))
    assert noise.fit_info_["hubness_weights"] == {"x": 0.4, "y": 0.4}


def test_gain_of_weight_equals_a_slow_loop(modalities: dict[str, np.ndarray]) -> None:
    x, y = modalities["image"][:40], modalities["text"][:40]
    gain, error = gain_of_weight(x, y, weight=0.5, k=8)
    gains = np.zeros(40)
    for queries, rows in ((x, y), (y, x)):
        for i in range(40):
            scores = rows @ queries[i]
            ahead = np.zeros(40, dtype=bool)
            for j in set(range(40)) - {i}:  # the pairs of the query and of its competitor are left out of the bank
                bank = np.delete(queries, [i, j], axis=0)
                of_match, of_other = (np.sort(bank @ rows[number])[-8:].mean() for number in (i, j))
                ahead[j] = scores[j] - 0.5 * of_other >= scores[i] - 0.5 * of_match
            gains[i] += (1 / (1 + ahead.sum()) - 1 / np.count_nonzero(scores >= scores[i])) / 2
    assert gain == pytest.approx(gains.mean(), abs=1e-12)
    assert error == pytest.approx(gains.std(ddof=1) / np.sqrt(40), abs=1e-12)
    assert gain != 0


def test_small_bank_is_warned_of_and_one_row_is_refused(modalities: dict[str, np.ndarray]) -> None:
    x, y = modalities["image"], modalities["text"]
    small = ScoreCalibration().fit(x[:5], y[:5])
    with pytest.warns(IsthmusWarning, match="bank of 5 rows, fewer than 32"):
        _ = small.score_model
    assert np.isfinite(small.scores(x, y, query="x", stored="y")).all()  # k = 8 exceeds the bank
    with pytest.raises(InputError):
        ScoreCalibration().fit(x[:1], y[:1])


def test_row_map_in_front_is_applied_first(modalities: dict[str, np.ndarray]) -> None:
    x, y = modalities["image"], modalities["text"]
    centred = align.Centering().fit(x, y).transform(x, y)
    inside = CSLS(row_map="Centering").fit(x, y).scores(x, y, query="x", stored="y")
    np.testing.assert_allclose(inside, CSLS().fit(*centred).scores(*centred, query="x", stored="y"), atol=1e-10)
    paired = ScoreCalibration(row_map=align.RidgeMap())
    assert paired.uses_pairs
    with pytest.raises(InputError, match="needs pairs"):
        paired.fit(x, y, paired=False)
    with pytest.raises(InputError, match="maps the first modality differently for audio"):
        _ = ScoreCalibration(row_map="Blend").fit(**modalities).map_x_


def test_adapted_banks_are_those_of_the_new_corpus(modalities: dict[str, np.ndarray]) -> None:
    new = unit(modalities["text"][:60] + 0.4)
    adapted = ScoreCalibration().fit(**modalities).adapt(text=new)
    again = ScoreCalibration().fit(**{**modalities, "text": new}, paired=False)
    for query in modalities:
        np.testing.assert_allclose(
            adapted.scores(modalities[query], new, query=query, stored="text"),
            again.scores(modalities[query], new, query=query, stored="text"),
            atol=1e-10,
        )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda c, x: c.transform(x), "stored.*query.*or use scores"),
        (lambda c, x: c.transform_y(x), "corrects scores and not rows"),
        (lambda c, _x: c.to_torch(), "corrects scores and not rows"),
        (lambda c, x: c.stored(x, modality="z"), "unknown modality 'z'"),
        (lambda c, x: c.stored(x, modality="x", index="exact"), "queries= is missing"),
        (lambda c, x: c.query(x, modality="x", index="hnsw"), "index='hnsw', expected 'lists'"),
        (lambda c, x: c.merge({}, x, modality="x"), "got 0 lists"),
        (lambda c, x: c.partial_fit(x, image=x), "by position and by name"),
    ],
)
def test_wrong_use_of_a_correction_is_refused(
    call: Callable[[Any, Any], Any], message: str, modalities: dict[str, np.ndarray]
) -> None:
    correction = ScoreCalibration().fit(modalities["image"], modalities["text"])
    with pytest.raises(InputError, match=message):
        call(correction, modalities["image"])


@pytest.mark.parametrize(
    ("correction", "message"),
    [
        (ScoreCalibration(k=0), "k=0: expected"),
        (ScoreCalibration(bank_size=1), "bank_size=1"),
        (ScoreCalibration(index="tree"), "index='tree'"),
        (ScoreCalibration(metric="dot"), "metric='dot'"),
        (ScoreCalibration(hubness_weight=-0.1), "expected at least 0"),
        (ScoreCalibration(row_map="CSLS"), "expected a row map"),
        (InvertedSoftmax(beta=0.0), "beta=0.0"),
    ],
)
def test_fit_of_a_correction_with_an_invalid_option_is_refused(
    correction: Any, message: str, modalities: dict[str, np.ndarray]
) -> None:
    with pytest.raises(InputError, match=message):
        correction.fit(modalities["image"], modalities["text"])


def test_moments_hold_no_bank(modalities: dict[str, np.ndarray]) -> None:
    moments = isthmus.Moments.of(modalities["image"], modalities["text"])
    with pytest.raises(InputError, match="ScoreCalibration needs rows for its bank"):
        ScoreCalibration().fit_moments(moments)
    plain = ScoreStandardization().fit_moments(moments)
    assert plain.level(query="x", stored="y") == ScoreStandardization().fit(
        modalities["image"], modalities["text"]
    ).level(query="x", stored="y")


def test_level_of_one_query_equals_that_of_many() -> None:
    rng = np.random.default_rng(0)
    bank = rng.normal(size=(30, 6))
    bank /= np.linalg.norm(bank, axis=1, keepdims=True)
    bank[4] = bank[3]
    queries = np.concatenate([bank[2:5], rng.normal(size=(3, 6)) / 3])  # three equal bank rows, two of them each other
    for k in (1, 8, 40):
        together = mean_of_largest(queries, bank, k=k)
        alone = [mean_of_largest(query[None], bank, k=k)[0] for query in queries]
        np.testing.assert_allclose(alone, together, rtol=1e-12)
