"""Zero-shot classification of rows by class texts, without repeated texts."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import isthmus
from isthmus.cli import app
from isthmus.evaluation import evaluate_zero_shot
from isthmus.utils.errors import InputError, IsthmusWarning


def unit(rows: np.ndarray) -> np.ndarray:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def images_and_class_texts(n: int = 400, n_classes: int = 8, d: int = 32) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(7)
    basis, classes = rng.normal(size=(10, d)) / 6, rng.normal(size=(n_classes, 10))
    labels = rng.integers(0, n_classes, n)
    offset_x, offset_y = 1.6 * rng.normal(size=(2, d)) / 6
    x = (classes[labels] + 1.2 * rng.normal(size=(n, 10))) @ basis * 0.3 + 0.3 * rng.normal(size=(n, d)) / 6 + offset_x
    texts = classes @ basis * 0.3 + 0.2 * rng.normal(size=(n_classes, d)) / 6 + offset_y
    return x, texts, labels


def test_zero_shot_report_agrees_with_numpy() -> None:
    x, texts, labels = images_and_class_texts()
    report = evaluate_zero_shot(x, texts, labels)
    predicted = np.argmax(unit(x) @ unit(texts).T, axis=1)
    assert report.accuracy.value == np.mean(predicted == labels)
    assert report.accuracy.low < report.accuracy.value < report.accuracy.high
    assert report.accuracy.null == np.bincount(labels).max() / len(labels)
    u, t = unit(x), unit(texts)
    centred = np.argmax(unit(u - u.mean(axis=0)) @ unit(t - t.mean(axis=0)).T, axis=1)
    np.testing.assert_array_equal(report.centred.predicted, centred)
    assert report.change.value == pytest.approx(np.mean(centred == labels) - np.mean(predicted == labels))
    cosine = u.mean(axis=0) @ t.mean(axis=0) / np.linalg.norm(u.mean(axis=0)) / np.linalg.norm(t.mean(axis=0))
    assert report.gap_angle.plugin == pytest.approx(np.degrees(np.arccos(cosine)))
    row = report.rows()[3]
    assert row["accuracy"] == pytest.approx(np.mean(predicted[labels == 3] == 3))
    assert row["predicted"] == np.count_nonzero(predicted == 3)


def test_zero_shot_report_takes_names_of_classes_in_any_order() -> None:
    x, texts, labels = images_and_class_texts()
    names = np.array([f"class {c}" for c in range(8)])
    order = np.array([3, 1, 7, 0, 2, 6, 5, 4])
    report = evaluate_zero_shot(x, texts[order], names[labels], class_names=names[order])
    assert report.accuracy.value == evaluate_zero_shot(x, texts, labels).accuracy.value
    assert evaluate_zero_shot(x, texts, names[labels]).accuracy.value == report.accuracy.value


def test_zero_shot_report_of_wrong_counts_says_what_to_give() -> None:
    x, texts, labels = images_and_class_texts()
    with pytest.raises(InputError, match="one text for each class in sorted order"):
        evaluate_zero_shot(x, texts[:5], labels)
    with pytest.raises(InputError, match="400 rows of x, expected one each"):
        evaluate_zero_shot(x, texts, labels[:9])
    with pytest.raises(InputError, match="no class text"):
        evaluate_zero_shot(x, texts, labels, class_names=np.arange(1, 9))


def test_zero_shot_report_of_a_class_text_for_each_row_counts_each_text_once() -> None:
    x, texts, labels = images_and_class_texts()
    expected = evaluate_zero_shot(x, texts, labels)
    with pytest.warns(isthmus.IsthmusWarning, match="repeats the class text of each row of x: 8 of its 400 rows"):
        report = evaluate_zero_shot(x, texts[labels], labels)
    assert report.columns() == expected.columns()
    assert report.gap_angle.value == expected.gap_angle.value


@pytest.mark.parametrize("factor", [1, 3])
def test_zero_shot_report_counts_repeated_rows_of_a_class_once(factor: int) -> None:
    x, texts, labels = images_and_class_texts()
    expected = evaluate_zero_shot(x, texts, labels)
    copies = np.repeat(np.arange(400), np.arange(400) % 3 + 1)
    with pytest.warns(isthmus.IsthmusWarning, match="400 of 799 x rows are distinct"):
        report = evaluate_zero_shot(x[copies] * np.linspace(1, factor, 799)[:, None], texts, labels[copies])
    assert report.columns() == expected.columns()
    assert str(report.change) == str(expected.change)
    assert len(evaluate_zero_shot(x[copies], texts, labels[copies], group=False).raw.labels) == 799


def test_zero_shot_report_states_the_change_that_is_excluded() -> None:
    x, texts, labels = images_and_class_texts()
    centred = x - x.mean(axis=0), texts - texts.mean(axis=0)
    report = evaluate_zero_shot(*centred, labels)
    largest = 100 * max(-report.change.low, report.change.high)
    excluded = f"no change can be told from noise, and one of more than {largest:.1f} points is excluded"
    assert excluded in report.sentences()[2]
    same = evaluate_zero_shot(np.tile(np.eye(2) + 0.2, (30, 1)), np.eye(2), np.tile([0, 1], 30), group=False)
    assert (same.change.value, same.change.high) == (0, pytest.approx(1 - 0.025 ** (1 / 60)))
    assert "more than 6.0 points is excluded" in same.sentences()[2]


def test_zero_shot_report_of_equal_or_several_class_texts_says_so() -> None:
    x, texts, labels = images_and_class_texts()
    with pytest.warns(isthmus.IsthmusWarning, match="of the classes 1 and 4 are equal, and 7 of 8 are distinct"):
        evaluate_zero_shot(x, texts[[0, 1, 2, 3, 1, 5, 6, 7]], labels)
    with pytest.raises(InputError, match="holds 2 texts of the class 0, expected one"):
        evaluate_zero_shot(x, texts, labels, class_names=np.arange(8) // 2)
    with pytest.warns(isthmus.IsthmusWarning, match="All rows of x are the same"):
        evaluate_zero_shot(np.ones_like(x), texts, labels)
    with pytest.raises(InputError, match="give y first, if the labels are those of its rows"):
        evaluate_zero_shot(texts, x, labels)


def test_zero_shot_report_drop_bad_leaves_rows_out_with_their_labels() -> None:
    x, texts, labels = images_and_class_texts()
    broken, usable = x.copy(), np.arange(2, 400)
    broken[0], broken[1] = 0, np.nan
    with pytest.raises(InputError, match="row 1 .* and row 0 is all zeros"):
        evaluate_zero_shot(broken, texts, labels)
    with pytest.warns(isthmus.IsthmusWarning, match="left out 2 of 400 x rows"):
        report = evaluate_zero_shot(broken, texts, labels, drop_bad=True)
    assert report.columns() == evaluate_zero_shot(x[usable], texts, labels[usable]).columns()
    missing = np.vstack([texts, np.zeros_like(texts[:1])])
    with pytest.warns(isthmus.IsthmusWarning, match="left out 1 of 9 y rows"):
        report = evaluate_zero_shot(x, missing, labels, drop_bad=True)
    assert report.columns() == evaluate_zero_shot(x, texts, labels).columns()


def test_zero_shot_command_prints_accuracy_and_classes(tmp_path: Path) -> None:
    x, texts, labels = images_and_class_texts()
    paths = [str(tmp_path / f"{name}.npy") for name in ("image", "class_text", "labels")]
    for path, rows in zip(paths, (x, texts, labels), strict=True):
        np.save(path, rows)
    expected = evaluate_zero_shot(x, texts, labels)
    words = ["zero-shot", paths[0], paths[1], "--labels", paths[2]]
    output = CliRunner().invoke(app, words).output
    assert f"right for {100 * expected.accuracy.value:.1f} % of the 400 rows of image" in output
    assert "Removing both means" in output
    assert "Not shown" not in output
    np.save(paths[0], x[labels != 5])
    np.save(paths[2], labels[labels != 5])
    np.save(tmp_path / "classes.npy", np.arange(8))
    with_empty_class = CliRunner().invoke(app, [*words, "--classes", str(tmp_path / "classes.npy")]).output
    assert re.search(r"Not shown: 1 class text whose class has no rows, the nearest of \d+ rows?\.", with_empty_class)
    assert [line.split()[0] for line in with_empty_class.splitlines() if line[:1].isdigit()] == [*"01234", *"67"]
    for path, rows in zip(paths, (x, texts, labels), strict=True):
        np.save(path, rows)
    content = json.loads(CliRunner().invoke(app, [*words, "--json", "-o", str(tmp_path / "report.json")]).output)
    assert content["accuracy"]["value"] == expected.accuracy.value
    assert len(content["classes"]) == 8
    assert isthmus.load(tmp_path / "report.json").columns() == expected.columns()


def test_accuracy_of_a_class_has_an_interval_and_a_class_without_rows_has_none() -> None:
    x, texts, labels = images_and_class_texts()
    report = evaluate_zero_shot(x[labels != 5], texts, labels[labels != 5], class_names=np.arange(8))
    for row in report.rows():
        if row["class"] == 5:
            assert (row["rows"], row["accuracy"], row["low"]) == (0, None, None)
        else:
            assert row["low"] <= row["accuracy"] <= row["high"]
    assert len(isthmus.plot.zero_shot(report, n_classes=3).get_yticklabels()) == 3


def test_labels_of_any_column_are_classes(rng: np.random.Generator) -> None:
    pandas = pytest.importorskip("pandas")
    texts = rng.normal(size=(3, 6))
    numbers = np.arange(60) % 3
    rows = texts[numbers] + 0.3 * rng.normal(size=(60, 6))
    names = np.array(["cat", "dog", "owl"])[numbers]
    expected = evaluate_zero_shot(rows, texts, numbers).accuracy.value
    for labels in (pandas.Series(names), pandas.Categorical(names), names.astype(object), list(names)):
        report = evaluate_zero_shot(rows, texts, labels=labels)
        assert report.accuracy.value == expected
        assert [row["class"] for row in report.rows()] == ["cat", "dog", "owl"]


def test_several_texts_for_each_class_are_warned_of(rng: np.random.Generator) -> None:
    """Two prompts a class, one class after the other: text 1 belongs to class 0 and is read as class 1."""
    texts = rng.normal(size=(6, 5))
    rows, labels = rng.normal(size=(30, 5)), np.arange(30) % 3
    with pytest.warns(IsthmusWarning, match="no row has the label of the class texts 3 to 5, .* the mean of several"):
        evaluate_zero_shot(rows, texts, labels)
