"""Relevance of a hit: its probabilities on pairs that it has not seen, its thresholds, its file and its errors."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import isthmus
from isthmus.align import Auto, Relevance, Reliability, ScoreCalibration, ScoreStandardization
from isthmus.align._hit_model import HitModel, Logistic
from isthmus.align._relevance_sentences import cosine_sentence, threshold_sentence
from isthmus.utils.errors import InputError, IsthmusWarning

DIRECTIONS = (("image", "text"), ("text", "image"))


def simulated(n: int, seed: int, noise: float = 0.85) -> isthmus.Pairs:
    """Return pairs of two cones of unequal variances."""
    rng = np.random.default_rng(seed)
    scales = np.arange(1, 49) ** -0.25
    latent = rng.normal(size=(n, 48)) * scales
    rows = [latent + noise * rng.normal(size=(n, 48)) * scales + 2 * np.eye(48)[k] for k in (0, 3)]
    return isthmus.Pairs(image=rows[0], text=rows[1])


@pytest.fixture(scope="module")
def train() -> isthmus.Pairs:
    return simulated(400, 0)


@pytest.fixture(scope="module")
def test() -> isthmus.Pairs:
    return simulated(400, 1)


@pytest.fixture(scope="module")
def correction(train: isthmus.Pairs) -> ScoreCalibration:
    return ScoreCalibration().fit(train)


@pytest.fixture(scope="module")
def relevance(correction: ScoreCalibration, train: isthmus.Pairs) -> Relevance:
    return correction.relevance(train)


def open_set(
    relevance: Relevance, pairs: isthmus.Pairs, share: float = 0.5, seed: int = 5
) -> tuple[np.ndarray, np.ndarray, int]:
    """Return probabilities and truth of the hits of both directions, and the number of matches."""
    items = np.arange(pairs.n_items)
    stored = np.random.default_rng(seed).permutation(items)[: round((1 - share) * len(items))]
    rows = dict(zip(pairs.names, (np.asarray(table) for table in pairs.unit()), strict=True))
    probabilities, truths = [], []
    for query, corpus in DIRECTIONS:
        hits, probability = relevance.first_hits(
            rows[query], rows[corpus][stored], query=query, stored=corpus, share_without_match=share
        )
        probabilities.append(probability)
        truths.append(stored[hits] == items)
    return np.concatenate(probabilities), np.concatenate(truths), 2 * len(stored)


def calibration_error(probability: np.ndarray, is_right: np.ndarray) -> float:
    groups = np.array_split(np.argsort(probability), 10)
    return float(np.mean([abs(probability[g].mean() - is_right[g].mean()) for g in groups]))


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_probability_of_new_pairs_is_calibrated_for_other_shares(
    relevance: Relevance, test: isthmus.Pairs, share: float
) -> None:
    probability, is_right, _ = open_set(relevance, test, share)
    assert 0.05 < is_right.mean() < 0.95
    assert calibration_error(probability, is_right) < 0.09
    assert abs(probability.mean() - is_right.mean()) < 0.05


def test_threshold_keeps_its_precision_and_recall_on_new_pairs(relevance: Relevance, test: isthmus.Pairs) -> None:
    probability, is_right, n_matches = open_set(relevance, test)
    thresholds = [relevance.threshold(0.8, query=a, stored=b) for a, b in DIRECTIONS]
    recall = np.mean([relevance.recall(0.8, query=a, stored=b, n_stored=200) for a, b in DIRECTIONS])
    passes = probability >= np.repeat(thresholds, test.n_items)
    assert is_right[passes].mean() == pytest.approx(0.8, abs=0.06)
    assert (passes & is_right).sum() / n_matches == pytest.approx(recall, abs=0.1)


def test_threshold_of_a_batch_has_the_wanted_mean_probability(relevance: Relevance, test: isthmus.Pairs) -> None:
    probability, _, _ = open_set(relevance, test)
    threshold = relevance.threshold(0.9, query="image", stored="text", probabilities=probability)
    passes = probability >= threshold
    assert probability[passes].mean() >= 0.9 > probability[probability >= threshold - 0.05].mean()
    assert np.isnan(relevance.threshold(0.9, query="image", stored="text", probabilities=np.full(9, 0.2)))


def test_relevance_of_fitted_and_of_new_pairs_agree(
    correction: ScoreCalibration, relevance: Relevance, test: isthmus.Pairs
) -> None:
    of_new_pairs = correction.relevance(test)
    probability, is_right, _ = open_set(relevance, simulated(400, 7))
    other, _, _ = open_set(of_new_pairs, simulated(400, 7))
    assert np.abs(probability - other).mean() < 0.06
    assert calibration_error(other, is_right) < 0.09


def test_relevance_of_a_row_map_fitted_to_the_pairs_is_calibrated_on_other_pairs(train: isthmus.Pairs) -> None:
    mapped = ScoreCalibration(row_map="RidgeMap").fit(train).relevance(train)
    probability, is_right, _ = open_set(mapped, simulated(400, 3))
    assert calibration_error(probability, is_right) < 0.13
    assert probability.mean() < is_right.mean() + 0.03


def test_probability_falls_as_the_corpus_grows(relevance: Relevance, test: isthmus.Pairs) -> None:
    queries = np.asarray(test.unit()[0])[:5]
    scores = np.array([[3.0, 2.5]] * 5)
    values = [
        relevance.probability(scores, queries, query="image", stored="text", n_stored=n) for n in (100, 200, 10_000)
    ]
    assert (values[0] > values[1]).all()
    assert (values[1] > values[2]).all()
    assert relevance.recall(0.8, query="image", stored="text", n_stored=10_000) < relevance.recall(
        0.8, query="image", stored="text"
    )


def test_saved_relevance_gives_the_same_probabilities(
    correction: ScoreCalibration, relevance: Relevance, test: isthmus.Pairs, tmp_path: Path
) -> None:
    correction.relevance(simulated(400, 0))
    correction.save(tmp_path / "correction.safetensors")
    loaded = isthmus.load(tmp_path / "correction.safetensors").relevance()
    assert loaded.sentences() == relevance.sentences()
    assert np.allclose(open_set(loaded, test)[0], open_set(relevance, test)[0], atol=1e-6)


def test_merge_gives_the_relevance_of_the_best_row_of_each_list(
    correction: ScoreCalibration, test: isthmus.Pairs
) -> None:
    relevance = correction.relevance(simulated(400, 0), n_stored=400)
    rows = dict(zip(test.names, (np.asarray(table) for table in test.unit()), strict=True))
    query = correction.query(rows["text"][:20], modality="text")
    lists = {}
    for name in ("image", "text"):
        products = query @ correction.stored(rows[name], modality=name).T
        best = np.argsort(-products, axis=1)[:, :5]
        lists[name] = (np.take_along_axis(products, best, axis=1), best)
    hits, probability = relevance.first_hits(rows["text"][:20], rows["image"], query="text", stored="image")
    alone = correction.merge({"image": lists["image"]}, rows["text"][:20], modality="text", k=3)
    assert alone.relevance is not None
    assert (alone.rows[:, 0] == hits).all()
    assert np.allclose(alone.relevance[:, 0], probability, atol=1e-4)
    assert np.isnan(alone.relevance[:, 1:]).all()
    both = correction.merge(lists, rows["text"][:20], modality="text", k=10)
    assert both.relevance is not None
    assert np.isnan(both.relevance[both.modalities == "text"]).all()
    assert np.isfinite(both.relevance).sum() == 20
    single = correction.merge({"image": tuple(t[:, :1] for t in lists["image"])}, rows["text"][:20], modality="text")
    assert single.relevance is not None
    assert np.isnan(single.relevance).all()
    empty = {name: (table[0], np.full_like(table[1], -1)) for name, table in lists.items()}
    none = correction.merge(empty, rows["text"][:20], modality="text", k=3)
    assert (none.rows == -1).all()
    assert none.relevance is not None
    assert np.isnan(none.relevance).all()


def test_merge_without_calibration_has_no_relevance(train: isthmus.Pairs) -> None:
    fresh = ScoreCalibration().fit(train)
    hits = fresh.merge({"image": (np.ones((1, 1)), np.zeros((1, 1), int))}, np.ones((1, 48)), modality="text")
    assert hits.relevance is None
    with pytest.raises(InputError, match="no relevance was calibrated"):
        fresh.relevance()


def test_auto_calibrates_and_saves_the_relevance_of_its_choice(train: isthmus.Pairs, tmp_path: Path) -> None:
    with pytest.warns(IsthmusWarning, match="Auto falls back to ScoreCalibration"):
        auto = Auto(aim="search").fit(simulated(30, 0))
    sentences = auto.relevance(train).sentences()
    auto.save(tmp_path / "auto.safetensors")
    assert isthmus.load(tmp_path / "auto.safetensors").relevance().sentences() == sentences


def test_auto_refuses_relevance_if_it_chose_a_row_map(train: isthmus.Pairs) -> None:
    with pytest.warns(IsthmusWarning, match="Auto falls back to Centering"):
        auto = Auto(aim="search", constraint="rows").fit(simulated(30, 0))
    with pytest.raises(InputError, match="Auto chose Centering, which has no relevance of hits"):
        auto.relevance(train)


def test_at_cosine_describes_the_hits_of_that_cosine(relevance: Relevance) -> None:
    rows = relevance.models["image", "text"].cosines
    middle = relevance.at_cosine(rows[10][0], query="image", stored="text")
    assert middle["from"] <= rows[10][0] <= middle["to"]
    assert middle["low"] <= middle["median"] <= middle["high"]
    assert np.isnan(relevance.at_cosine(-1.0, query="image", stored="text")["right_share"])
    assert "none has -1" in relevance.sentences(-1.0)[0]
    assert "right. The corrected score tells" in relevance.sentences(rows[10][0])[0]
    with pytest.raises(InputError, match="cosine=2, expected a number between -1 and 1"):
        relevance.at_cosine(2.0, query="image", stored="text")


def test_reliability_is_a_table_and_a_file(relevance: Relevance, tmp_path: Path) -> None:
    reliability = relevance.reliability(query="image", stored="text")
    reliability.save(tmp_path / "reliability.json")
    restored = Reliability.from_dict(json.loads((tmp_path / "reliability.json").read_text()))
    assert restored.error == pytest.approx(reliability.error)
    assert reliability.columns()["counts"] == [int(n) for n in reliability.counts]
    assert reliability.counts.sum() == 4 * 400


def test_higher_precision_never_finds_more_matches_in_a_sentence(relevance: Relevance) -> None:
    direction, model = next(iter(relevance.models.items()))

    class Extrapolated(HitModel):
        def recall(self, precision: float, n_stored: int | None = None, /) -> float:
            return 0.14 if precision < 0.85 else 0.16

    sentence = threshold_sentence(direction, Extrapolated(**vars(model)), None)
    assert [int(share) for share in re.findall(r"(\d+) % at a precision", sentence)] == [14, 14]


def test_certain_probabilities_are_not_stated_as_above_one_or_below_zero() -> None:
    hits = {"from": 0.2, "to": 0.3, "right_share": 0.6, "low": 0.0004, "median": 0.5, "high": 0.9996}
    sentence = cosine_sentence(("image", "text"), 0.25, hits)
    assert "being right below 0.01, and another tenth has one above 0.99." in sentence


def test_relevance_of_several_texts_states_the_rows_of_each_modality(rng: np.random.Generator) -> None:
    pairs = simulated(60, 0)
    texts = np.repeat(pairs.y.read(0, 60), 3, axis=0) + 0.3 * rng.normal(size=(180, 48))
    captions = isthmus.Pairs(image=pairs.x.read(0, 60), text=texts, index=np.repeat(np.arange(60), 3))
    sentences = " ".join(isthmus.explain(captions).relevance_sentences(0.5))
    sizes = [int(size) for size in re.findall(r"If \w+ queries search (\d+) \w+ rows", sentences)]
    assert sizes == [180, 60]


def test_sentences_give_thresholds_or_deny_them(relevance: Relevance) -> None:
    assert "of the matches, a threshold on the probability finds" in relevance.sentences()[0]
    noisy = ScoreCalibration().fit(simulated(300, 0, noise=1.5))
    assert (
        "no threshold separates right hits from wrong ones"
        in noisy.relevance(simulated(300, 1, noise=1.5)).sentences()[0]
    )
    rng = np.random.default_rng(0)
    unrelated = isthmus.Pairs(x=rng.normal(size=(60, 9)), y=rng.normal(size=(60, 9)))
    with pytest.raises(InputError, match="expected 10 or more of each; calibrate with more pairs"):
        ScoreCalibration().fit(unrelated).relevance(unrelated)


def test_relevance_of_several_rows_of_y_for_each_item_counts_each_of_them_as_right() -> None:
    pairs = simulated(200, 0)
    image, text = (np.asarray(rows) for rows in pairs.unit())
    rng = np.random.default_rng(2)
    texts = np.concatenate([text, text + 0.02 * rng.normal(size=text.shape)])
    grouped = isthmus.Pairs(image=image, text=texts, index=np.tile(np.arange(200), 2))
    relevance = ScoreCalibration().fit(grouped).relevance(grouped)
    assert relevance.models["image", "text"].n_stored == 2 * relevance.models["text", "image"].n_stored
    assert relevance.recall(0.8, query="image", stored="text") > 0.2


def test_relevance_refuses_corrections_without_bank_and_few_pairs(
    correction: ScoreCalibration, train: isthmus.Pairs
) -> None:
    with pytest.raises(InputError, match="ScoreStandardization has no bank"):
        ScoreStandardization().fit(train).relevance(train)
    with pytest.raises(InputError, match="30 items are too few"):
        correction.relevance(simulated(30, 0))
    with pytest.raises(InputError, match="share_without_match=1, expected a share"):
        correction.relevance(train, share_without_match=1)
    with pytest.raises(InputError, match=r"n_stored\['image'\]=1"):
        correction.relevance(train, n_stored={"image": 1})
    with pytest.raises(InputError, match="sound"):
        correction.relevance(train, n_stored={"sound": 10})


def test_relevance_refuses_invalid_arguments(relevance: Relevance, test: isthmus.Pairs) -> None:
    rows = np.asarray(test.unit()[0])
    names = {"query": "image", "stored": "text"}
    for arguments, message in (
        ({"share_without_match": 1.0}, "expected at least 0 and below 1"),
        ({"n_stored": 1}, "n_stored=1, expected 2 or more"),
    ):
        with pytest.raises(InputError, match=message):
            relevance.probability(np.ones((400, 2)), rows, **names, **arguments)
    with pytest.raises(InputError, match=r"scores of shape \(400, 1\) for 400 queries"):
        relevance.probability(np.ones((400, 1)), rows, **names)
    with pytest.raises(InputError, match="relevance of image to image was not calibrated, only image to text"):
        relevance.threshold(0.8, query="image", stored="image")
    with pytest.raises(InputError, match=r"precision=1.2, expected a share between 0 and 1"):
        relevance.threshold(1.2, **names)
    with pytest.warns(IsthmusWarning, match="got 10 stored rows, and 100 in the calibration"):
        relevance.first_hits(rows, rows[:10], **names)


def test_logistic_equals_that_of_scikit_learn(rng: np.random.Generator) -> None:
    features = rng.normal(size=(800, 3)) * [1, 5, 0.1] + [0, 3, 1]
    target = features @ [1.0, -0.2, 4.0] + rng.logistic(size=800) > 3
    standardized = (features - features.mean(axis=0)) / features.std(axis=0)
    expected = LogisticRegression(C=1 / (1e-4 * 800), tol=1e-9).fit(standardized, target)
    probability = Logistic.fitted(features, target).probability(features)
    assert np.allclose(probability, expected.predict_proba(standardized)[:, 1], atol=1e-4)


def test_logistic_of_separable_hits_stays_finite() -> None:
    features = np.linspace(-1, 1, 50)[:, None]
    probability = Logistic.fitted(features, features[:, 0] > 0).probability(features)
    assert np.isfinite(probability).all()
    assert (np.diff(probability) >= 0).all()


def test_hit_model_restores_from_its_json_values(relevance: Relevance) -> None:
    from dataclasses import asdict

    model = relevance.models["image", "text"]
    assert asdict(HitModel.from_dict(asdict(model))) == asdict(model)


def test_relevance_of_clip_finds_half_of_the_matches_at_four_fifths_precision(clip_coco: isthmus.Pairs) -> None:
    recall, kept = [], []
    for seed in range(2):
        order = np.random.default_rng(seed).permutation(500)
        relevance = ScoreCalibration().fit(clip_coco.take(order[:250])).relevance(clip_coco.take(order[:250]))
        probability, is_right, n_matches = open_set(relevance, clip_coco.take(order[250:]))
        for half in (slice(0, 250), slice(250, 500)):
            ranked = is_right[half][np.argsort(-probability[half])].cumsum()
            precision = ranked / np.arange(1, 251)
            recall.append([ranked[precision >= p].max() / (n_matches / 2) for p in (0.8, 0.9)])
        thresholds = np.repeat([relevance.threshold(0.8, query=a, stored=b) for a, b in DIRECTIONS], 250)
        kept.append(is_right[probability >= thresholds].mean())
    assert (np.mean(recall, axis=0) > (0.42, 0.27)).all()
    assert np.mean(kept) == pytest.approx(0.8, abs=0.05)


@pytest.mark.filterwarnings("ignore:.* rows are distinct")
def test_size_of_the_corpus_of_each_modality_is_a_mapping_of_whole_numbers() -> None:
    """Texts of the demonstration data repeat, so that a query finds more images than texts."""
    pairs = isthmus.demo.load("collapsed")
    explanation = isthmus.explain(pairs)
    sentences = " ".join(explanation.relevance_sentences(0.6))
    assert "is unknown" not in sentences
    assert "1,797 image rows" in sentences
    with pytest.raises(InputError, match=r"n_stored\['text'\]=1, expected a whole number of 2 or more"):
        isthmus.align.ScoreCalibration().fit(pairs).relevance(pairs, n_stored={"image": 1797, "text": 1})
