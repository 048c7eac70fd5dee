"""Warnings of comparisons, fits, calibrations, interventions and modalities about degenerate and unmatched data."""

from __future__ import annotations

import contextlib
import html
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import isthmus
from isthmus import IsthmusWarning, Pairs, align
from isthmus.data.columns import as_source
from isthmus.diagnosis import calibrate
from isthmus.evaluation import intervene
from isthmus.statistics.pairing import judge_pairing
from isthmus.statistics.pairing import looks_paired as inspect_pairing

N, D = 300, 16
VERBS: dict[str, Callable[[Pairs], Any]] = {
    "compare": lambda pairs: isthmus.compare(pairs, aligners=["Centering"], tasks=["retrieval"], splits=1),
    "fit": lambda pairs: align.Centering().fit(pairs),
    "fit of scores": lambda pairs: align.ScoreCalibration().fit(pairs.x, pairs.y),
    "Auto": lambda pairs: align.Auto(aim="retrieval", constraint="rows", repeats=1).fit(pairs),
    "calibrate": calibrate,
    "Modalities": lambda pairs: isthmus.Modalities(image=pairs.x, text=pairs.y).measure(metrics="centroid_angle"),
}


def rows_of(kind: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    x = rng.normal(size=(N, D))
    y = x + 0.3 * rng.normal(size=(N, D)) + np.eye(D)[0] * 2
    if kind == "half shuffled":
        y[N // 2 :] = rng.permutation(y[N // 2 :])
    if kind == "shuffled":
        y = rng.permutation(y)
    if kind == "shifted":
        y = np.roll(y, 3, axis=0)
    if kind == "rotated":
        y = y @ np.linalg.qr(rng.normal(size=(D, D)))[0]
    if kind == "negated":
        y = -y
    if kind == "reordered":
        y = rng.permutation(x)
    if kind == "narrow":
        x = 1 + 0.001 * x
    return x, y


SENTENCES = {
    "half shuffled": "Rows 1[45][0-9] to 299 do not match",
    "shifted": "The match of a row stands 3 rows later in",
    "shuffled": "No sign that the rows match: ",
    "negated": "The rows of (text|y) point away from their matching rows of (image|x), as after a sign flip: ",
    "reordered": "The same 300 rows stand in (image and text|x and y), but in another order: ",
    "rotated": "The rows match, but the modalities are rotated against each other",
    "narrow": "The rows of (image|x) are nearly all the same",
}


def messages_of(verb: Callable[[Pairs], Any], pairs: Pairs) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        verb(pairs)
    return [str(entry.message) for entry in caught if issubclass(entry.category, IsthmusWarning)]


@pytest.mark.parametrize("kind", SENTENCES)
@pytest.mark.parametrize("verb", VERBS)
def test_verb_on_unmatched_or_collapsed_rows_warns_once(verb: str, kind: str, rng: np.random.Generator) -> None:
    x, y = rows_of(kind, rng)
    pairs = Pairs(image=x, text=y)
    messages = [text for text in messages_of(VERBS[verb], pairs) if "match" in text or "the same" in text]
    assert len(messages) == 1
    assert all(re.match(SENTENCES[kind], text) for text in messages)


@pytest.mark.parametrize("verb", VERBS)
def test_verb_on_matching_rows_is_silent(verb: str, rng: np.random.Generator) -> None:
    x = rng.normal(size=(N, D))
    assert messages_of(VERBS[verb], Pairs(image=x, text=x + 0.3 * rng.normal(size=(N, D)))) == []


def test_interventions_on_shifted_rows_warn(rng: np.random.Generator) -> None:
    x, y = rows_of("shifted", rng)
    messages: list[str] = []

    def run(pairs: Pairs) -> None:
        with contextlib.suppress(isthmus.InputError):
            intervene(pairs, interventions=["translate"])

    messages = messages_of(run, Pairs(image=x, text=y))
    assert messages[0].startswith("The match of a row stands 3 rows later in text")


def test_second_call_with_the_same_pairs_is_silent(rng: np.random.Generator) -> None:
    x, y = rows_of("shifted", rng)
    pairs = Pairs(image=x, text=y)
    assert len(messages_of(VERBS["calibrate"], pairs)) == 1
    assert messages_of(VERBS["compare"], pairs) == []


def test_paired_map_of_two_spaces_is_silent(rng: np.random.Generator) -> None:
    x, y = rows_of("rotated", rng)
    assert messages_of(lambda pairs: align.RidgeCCA().fit(pairs), Pairs(image=x, text=y)) == []


@pytest.mark.slow
def test_report_states_in_its_verdict_and_does_not_warn(rng: np.random.Generator, tmp_path: Path) -> None:
    x, y = rows_of("shifted", rng)
    sentences: list[str] = []
    pairs = Pairs(image=x, text=y)
    assert messages_of(lambda p: sentences.extend(isthmus.report(p, tmp_path / "r.html").verdict), pairs) == []
    assert sentences[0].startswith("The match of a row stands 3 rows later in text")


@pytest.mark.parametrize("kind", ["shuffled", "shifted", "rotated", "half shuffled"])
def test_sentence_about_the_pairing_is_the_same_in_every_function(
    kind: str, rng: np.random.Generator, tmp_path: Path
) -> None:
    """`inspect` states it after "Paired?", results and verdicts state it, and fits and comparisons warn with it."""
    x, y = rows_of(kind, rng)
    sentence = judge_pairing(Pairs(image=x, text=y)).sentence
    assert sentence
    inspected = inspect_pairing(as_source("image", x), as_source("text", y), names=("image", "text"))
    assert inspected.sentence == sentence
    assert inspected.reason.removeprefix("no: ").removeprefix("only in part: ")[1:] == sentence[1:-1]
    result = isthmus.measure(Pairs(image=x, text=y), metrics="centroid_angle")
    assert result.pairs["matching"]["sentence"] == sentence
    assert repr(result).splitlines()[:2] == ["Result of 1 measure, image-text", f"  {sentence}"]
    assert isthmus.explain(Pairs(image=x, text=y)).verdict[0] == sentence
    tables: list[Any] = []
    options: dict[str, Any] = {"aligners": ["Centering"], "splits": 1}
    messages_of(lambda pairs: tables.append(isthmus.compare(pairs, **options)), Pairs(image=x, text=y))
    report = isthmus.report(Pairs(image=x, text=y), tmp_path / "r.html", comparison=tables[0])
    assert report.verdict[0] == sentence
    assert sentence in html.unescape((tmp_path / "r.html").read_text(encoding="utf-8"))
    for name in ("compare", "Auto", "calibrate"):
        assert messages_of(VERBS[name], Pairs(image=x, text=y)).count(sentence) == 1


def test_longest_sentences_about_the_pairing_have_at_most_300_characters(rng: np.random.Generator) -> None:
    for kind in ("shuffled", "rotated"):
        x, y = rows_of(kind, rng)
        assert len(judge_pairing(Pairs(image_embedding=x, text_embedding=y)).sentence) <= 300


def test_further_modality_is_named_in_the_warning(rng: np.random.Generator) -> None:
    x, y = rows_of("shifted", rng)
    rows = {"image": x, "text": x + 0.1 * y, "audio": y}
    messages = messages_of(lambda _: align.Procrustes().fit(**rows), Pairs(image=x, text=y))
    assert any(
        message.startswith("image and audio: the match of a row stands 3 rows later in audio") for message in messages
    )


@pytest.mark.parametrize("collapsed", [("image",), ("text",), ("image", "text")])
def test_comparison_of_constant_rows_names_them(collapsed: tuple[str, ...], rng: np.random.Generator) -> None:
    rows = dict(zip(("image", "text"), rows_of("", rng), strict=True))
    rows |= {name: np.ones((N, D)) + np.eye(D)[number] for number, name in enumerate(collapsed)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(isthmus.InputError, match=f"all rows of {collapsed[0]} are the same.*1 different item"):
            isthmus.compare(Pairs(**rows), aligners=["Centering"], splits=1)
