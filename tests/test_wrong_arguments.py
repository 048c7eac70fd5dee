"""Arguments of the wrong type or value are refused by every verb with one sentence that names them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import isthmus
from isthmus import InputError, Modalities, Pairs
from isthmus.align import Auto, Centering, ScoreCalibration
from isthmus.diagnosis import decompose_pairs
from isthmus.evaluation import evaluate_zero_shot, intervene
from isthmus.utils.arguments import check_count, check_flags, check_number, check_seed, list_of_names

RNG = np.random.default_rng(7)
X = RNG.normal(size=(120, 4)) + 1
Y = X + RNG.normal(size=X.shape)
LABELS = np.arange(120) % 2
LONG = "n" * 400


def correction() -> ScoreCalibration:
    return ScoreCalibration().fit(image=X, text=Y)


def wrong_counts(name: str, *, low: int = 1) -> list[tuple[dict[str, Any], str]]:
    values = ("10", -5, low - 1, math.nan, 1.5, [1], None)
    return [({name: value}, f"{name}=") for value in values if not (value is None and name in ("sample", "shared"))]


SEEDS = [({"rng": value}, "rng=.*, expected a whole number of 0 or more") for value in ("a", -1, math.nan, 1.5)]
NAMES = [({"names": value}, "names|two different ones") for value in (5, "ab", [5, 6], ["a"], ["a", "a"], ["a", ""])]

#: Each verb with wrong options and what the message says.
CASES: list[tuple[str, Callable[..., Any], list[tuple[dict[str, Any], str]]]] = [
    (
        "measure",
        lambda **k: isthmus.measure(X, Y, **k),
        [
            *wrong_counts("sample"),
            ({"metrics": 5}, "metrics=5, expected a list of names"),
            ({"metrics": [5]}, "metrics="),
            ({"drop_bad": "no"}, "drop_bad='no', expected True or False"),
            ({"group": "no"}, "group="),
            ({"normalize": "no"}, "normalize="),
            ({"unpaired": "no"}, "unpaired="),
        ],
    ),
    (
        "explain",
        lambda **k: isthmus.explain(X, Y, **k),
        [
            *wrong_counts("sample"),
            ({"metrics": 5}, "metrics=5"),
            ({"comparison": {}}, "comparison={}, expected the table"),
            ({"temperature": "a"}, "temperature"),
            ({"temperature": 0}, "temperature"),
        ],
    ),
    (
        "compare",
        lambda **k: isthmus.compare(X, Y, **{"aligners": ["Centering"], "splits": 1, **k}),
        [
            *wrong_counts("sample"),
            *wrong_counts("splits"),
            *SEEDS,
            ({"aligners": 5}, "aligners=5, expected a list"),
            ({"aligners": [Centering]}, "aligners: got"),
            ({"tasks": 5}, "tasks=5, expected a list of names"),
            ({"sweep": [1]}, "sweep=.*, expected a dictionary"),
            ({"sweep": {5: [1]}}, "sweep got 5"),
            ({"sweep": {"energy": 5}}, "sweep got 'energy': 5"),
            ({"class_texts": 5}, "class_texts=5, expected a dict"),
            ({"fit_sizes": 5}, "fit_sizes=5, expected a list"),
            ({"fit_sizes": ["a"]}, "fit_sizes='a', expected a whole"),
            ({"journal": 5}, "got 5, expected the name of a file"),
            ({"class_texts": {0: X[0, :3]}}, "class_texts: got .* for the class 0, expected a vector of 4"),
            ({"progress": 5}, "progress=5, expected a function"),
            ({"pool": np.arange(2)}, "pool=.*, expected 'mean'"),
        ],
    ),
    (
        "report",
        lambda **k: isthmus.report(X, Y, "page.html", **k),
        [
            *wrong_counts("sample"),
            ({"comparison": 5}, "comparison=5"),
            ({"captions": 5}, "captions=5, expected a list"),
            ({"ids": 5}, "ids=5"),
            ({"images": 5}, "images=5"),
            ({"extra": 5}, "extra=5"),
        ],
    ),
    (
        "fit",
        lambda **k: Centering().fit(X, Y, **k),
        [
            *NAMES,
            ({"group": "no"}, "group="),
            ({"group": np.array([True, False])}, "group=.*, expected True or False"),
            *[({"paired": value}, "paired=.*, expected True or False") for value in ("no", None, 2, [1])],
            ({"index": [[1, 2], [3]]}, "index=.*, expected one entry for each row"),
            ({"labels": LABELS}, "got labels=, which the fit of Auto alone uses"),
            ({"class_texts": {}}, "got class_texts=, which the fit of Auto alone uses"),
        ],
    ),
    (
        "fit by name",
        lambda **k: Centering().fit(image=X, text=Y, **k),
        [({"labels": LABELS}, "got labels="), ({"paired": "no"}, "paired='no'")],
    ),
    ("partial_fit", lambda **k: Centering().partial_fit(X, Y, **k), [({"paired": "no"}, "paired='no', expected True")]),
    ("corrections", lambda **k: ScoreCalibration().fit(X, Y, **k), [({"paired": "no"}, "paired='no', expected True")]),
    (
        "fit of Auto",
        lambda **k: Auto(aim="classification").fit(X, Y, **{"labels": LABELS, **k}),
        [
            ({"paired": "no"}, "paired='no', expected True or False"),
            ({"labels": [[1, 2], [3]]}, "labels=.*, expected one entry for each row"),
            *[({"class_texts": value}, "class_texts=.*, expected a dict") for value in ("no", 5, [X[0], X[1]])],
            *[
                ({"class_texts": {0: X[0], 1: value}}, "class_texts: got .* for the class 1, expected a vector of 4")
                for value in ("no", X[0, :3], X[:2], np.zeros(4), [math.nan] * 4)
            ],
            ({"class_texts": {0: X[0]}}, "no class text for 1 of the labels"),
        ],
    ),
    (
        "Auto",
        lambda **k: Auto(**k).fit(X, Y),
        [
            *[({"rng": value}, "Auto got rng=.*, expected a whole number") for value in ("a", -1, math.nan, 1.5)],
            *[({"repeats": value}, "Auto got repeats=.*, expected a whole") for value in ("a", math.nan, 1.5, None)],
            ({"folds": math.nan}, "Auto got folds=nan, expected a whole number"),
            ({"max_recall_loss": math.nan}, "Auto got max_recall_loss=nan, expected a number"),
        ],
    ),
    (
        "ScoreCalibration",
        lambda **k: ScoreCalibration(**k).fit(X, Y),
        [
            ({"row_map": 5}, "row_map=5: expected a row map"),
            ({"bank_size": math.nan}, "bank_size=nan, expected a whole"),
            ({"k": 1.5}, "k=1.5, expected a whole number such as 8"),
            ({"level_weight": math.nan}, "level_weight=nan"),
            ({"hubness_weight": []}, r"hubness_weight=\[\], expected a number"),
            ({"rng": -1}, "rng=-1"),
        ],
    ),
    (
        "merge",
        lambda **k: correction().merge(
            {"image": (Y[:2] @ X.T, np.tile(np.arange(120), (2, 1)))}, Y[:2], modality="text", **k
        ),
        wrong_counts("k"),
    ),
    (
        "query",
        lambda **k: correction().query(Y, **k),
        [({"modality": value}, "modality") for value in (5, None, "no", np.arange(2))],
    ),
    (
        "scores",
        lambda a=X, b=Y: correction().scores(a, b, query="image", stored="text"),
        [({"a": X[0]}, "scores got a single row"), ({"b": Y[0]}, "scores got a single row")],
    ),
    (
        "transform",
        lambda rows: Centering().fit(X, Y).transform_x(rows),
        [({"rows": rows}, "x: ") for rows in (X.astype(complex), X.astype(str), X.astype(str).astype(object))],
    ),
    (
        "relevance",
        lambda **k: correction().relevance(X, Y, **k),
        [
            *SEEDS,
            *[
                ({"share_without_match": value}, "share_without_match=.*, expected a share")
                for value in ("a", None, [])
            ],
            *[({"n_stored": value}, "n_stored=.*, expected a whole number of 2") for value in ("a", 1, math.nan, 1.5)],
        ],
    ),
    ("calibrate", lambda **k: isthmus.calibrate(X, Y, **k), [*SEEDS, ({"normalize": "no"}, "normalize=")]),
    (
        "decompose_pairs",
        lambda pairs: decompose_pairs(pairs),
        [({"pairs": 5}, "pairs=5, expected"), ({"pairs": X}, "pairs=a ndarray")],
    ),
    (
        "intervene",
        lambda **k: intervene(X, Y, **k),
        [
            *wrong_counts("shared"),
            *SEEDS,
            ({"interventions": 5}, "interventions=5"),
            ({"interventions": [5]}, "interventions="),
            ({"interventions": None}, "interventions=None, expected a list of names"),
            ({"progress": 5}, "progress=5, expected a function"),
        ],
    ),
    (
        "zero_shot",
        lambda labels=LABELS, **k: evaluate_zero_shot(X, Y[:2], labels, **k),
        [
            *NAMES,
            ({"class_names": 5}, "got 1 class name for 2"),
            ({"class_names": [None, None]}, "class_names: rows 0, 1"),
            ({"labels": [None] * 120}, "labels: rows 0, 1, 2, 3, 4 and 115 more .* have no class"),
        ],
    ),
    (
        "open_pairs",
        lambda **k: isthmus.open_pairs(X, Y, **k),
        [
            *NAMES,
            ({"key": 5}, "key=5, expected the name of a column"),
            ({"bits": "a"}, "bits='a', expected True or False"),
            ({"labels": [[1, 2], [3]]}, "labels="),
        ],
    ),
    (
        "config_context",
        lambda **k: isthmus.config_context(**k).__enter__(),
        [
            *[({"threads": value}, "threads=") for value in ("a", 0, math.nan, 1.5, [])],
            ({"device": 5}, "device=5"),
            *[({"cluster": value}, "cluster=.*, expected isthmus.compute.cluster.Cluster") for value in ("a", 5, [])],
        ],
    ),
    (
        "load",
        lambda path: isthmus.load(path),
        [({"path": v}, "got .*, expected|is a folder") for v in (5, None, [], ".")],
    ),
    (
        "stored and query",
        lambda role, index: getattr(correction(), role)(X, modality="image", index=index),
        [({"role": role, "index": v}, "index=.*, expected 'lists'") for role in ("stored", "query") for v in (X, "")],
    ),
    ("fit of compare", lambda fit: isthmus.compare(X, Y, fit=fit), [({"fit": LONG}, "name too long")]),
    ("one path", lambda path: isthmus.measure(path), [({"path": LONG}, "name too long")]),
    (
        "Modalities.open",
        lambda path: Modalities.open(path, LONG, names=("a", "b")),
        [({"path": LONG}, "name too long")],
    ),
    ("key", lambda key: isthmus.open_pairs(X, Y, key=key), [({"key": LONG}, "x: array holds no column of keys")]),
    (
        "compare_models",
        lambda models: isthmus.compare_models(models),
        [({"models": v}, "expected") for v in (5, [X], {}, {"a": LONG, "b": LONG})],
    ),
    (
        "Modalities",
        lambda **k: Modalities(**k),
        [({"": X, "text": Y}, "no empty one"), ({" ": X, "text": Y}, "no empty"), ({"a": 3, "b": Y}, "a: is an int")],
    ),
    (
        "Pairs",
        lambda **k: Pairs(**k),
        [({"": X, "text": Y}, "got the name '' of a modality, expected no empty")],
    ),
]
FLAT = [(verb, call, options, message) for verb, call, cases in CASES for options, message in cases]


@pytest.mark.parametrize(
    ("call", "options", "message"),
    [pytest.param(*case, id=f"{verb}-{number}") for number, (verb, *case) in enumerate(FLAT)],
)
def test_wrong_argument_is_refused_in_one_sentence(
    call: Callable[..., Any], options: dict[str, Any], message: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message) as caught:
        call(**options)
    assert len(str(caught.value)) <= 300
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", ["a", [1.0], math.nan, 0, -1.0])
def test_loss_refuses_a_temperature_that_is_no_positive_number(value: Any) -> None:
    torch = pytest.importorskip("torch")
    x, y = (torch.nn.functional.normalize(torch.tensor(rows)) for rows in (X, Y))
    with pytest.raises(InputError, match="temperature=.*, expected a positive number"):
        isthmus.train.InfoNCE()(x, y, temperature=value)
    with pytest.raises(InputError, match="logit_scale='a', expected a number"):
        isthmus.train.InfoNCE()(x, y, "a")


def test_names_may_be_one_text_with_commas() -> None:
    assert isthmus.open_pairs(X, Y, names="image, text").names == ("image", "text")
    assert list_of_names(["image", " text"], "names") == ["image", "text"]
    table = isthmus.compare(X, Y, aligners="Centering", tasks="retrieval", splits=1)
    assert [row.name for row in table.rows] == ["Identity", "Centering"]


def test_numbers_of_other_types_are_accepted() -> None:
    assert check_count(1e4, "sample") == check_count(np.int32(10_000), "sample") == 10_000
    assert check_number(np.float32(0.5), "share", "a share", 0, 1) == 0.5
    check_seed(np.int64(3))
    check_flags(group=np.bool_(True), normalize=0)
    with pytest.raises(InputError, match="sample=True, expected a whole number of 1 or more"):
        check_count(True, "sample")
