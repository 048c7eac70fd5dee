"""Lines of .csv with another number of cells, in columns of keys, labels and indexes."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import isthmus
from isthmus import InputError, IsthmusWarning, open_pairs
from isthmus.evaluation import evaluate_zero_shot

N_ROWS = 20
ROWS = {name: np.random.default_rng(seed).normal(size=(N_ROWS, 4)) for seed, name in enumerate(("image", "text"))}
LABELS = np.arange(N_ROWS) % 3
#: Row whose line has a cell too many.
BAD = 7
OTHERS = np.delete(np.arange(N_ROWS), BAD)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write image.csv with a cell too many in line 9, and text.csv, ids.csv with keys, and image.npy of all rows."""
    monkeypatch.chdir(tmp_path)
    for name, rows in ROWS.items():
        lines = ["id,label,index,emb", *(f'{i},{LABELS[i]},{i},"{list(map(float, rows[i]))}"' for i in range(N_ROWS))]
        lines[BAD + 1] += ",1.0" if name == "image" else ""
        Path(f"{name}.csv").write_text("\n".join(lines) + "\n")
        np.save(f"{name}.npy", rows)
    return tmp_path


def opened(*rows: Any, **options: Any) -> tuple[isthmus.Pairs, str]:
    """Return pairs without bad rows, with all warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        pairs = open_pairs(*rows, drop_bad=True, **options)
    return pairs, "; ".join(str(warning.message) for warning in caught)


@pytest.mark.parametrize(
    "options",
    [{"key": "id"}, {"labels": "image.csv::label"}, {"index": "image.csv"}, {"key": ("image.csv::id", "text.csv::id")}],
)
def test_message_names_the_line_and_both_numbers_of_cells(options: dict[str, Any], folder: Path) -> None:
    with pytest.raises(InputError) as caught:
        open_pairs("image.csv", "text.csv", **options)
    assert str(caught.value) == (
        "image.csv: line 9 has 5 cells, expected 4; correct the line, or leave it out with --drop-bad (drop_bad=True)"
    )


@pytest.mark.parametrize("key", ["id", ("image.csv::id", "text.csv::id")])
@pytest.mark.parametrize("x", ["image.csv", "image.npy"])
def test_drop_bad_leaves_out_the_line_of_a_key(x: str, key: Any, folder: Path) -> None:
    if x == "image.npy":
        key = ("image.csv::id", "text.csv::id")
    pairs, messages = opened(x, "text.csv", key=key, labels="text.csv::label")
    assert "image.csv: line 9 has 5 cells, expected 4: left out 1 line" in messages
    join = pairs.key_join
    assert join is not None
    assert join.unmatched == (1, 1)
    np.testing.assert_array_equal(join.x, OTHERS)
    np.testing.assert_array_equal(pairs.x.read(0, N_ROWS), ROWS["image"][OTHERS])
    np.testing.assert_array_equal(pairs.y.read(0, N_ROWS), ROWS["text"][OTHERS])
    np.testing.assert_array_equal(pairs.labels, LABELS[OTHERS])


@pytest.mark.parametrize("option", ["labels", "index"])
@pytest.mark.parametrize("x", ["image.csv", "image.npy"])
def test_drop_bad_leaves_out_the_line_of_a_label_or_an_index(x: str, option: str, folder: Path) -> None:
    column = {"labels": "image.csv::label", "index": "image.csv::index"}[option]
    pairs, messages = opened(x, "text.csv", **{option: column})
    assert "image.csv: line 9 has 5 cells, expected 4: left out 1 line" in messages
    assert messages.endswith("left out 1 of 20 pairs, 19 are used")
    np.testing.assert_array_equal(pairs.x.take(pairs.owner), ROWS["image"][OTHERS])
    np.testing.assert_array_equal(pairs.y.read(0, N_ROWS), ROWS["text"][OTHERS])
    if option == "labels":
        np.testing.assert_array_equal(pairs.labels, LABELS[OTHERS])


def test_keys_that_repeat_in_both_files_leave_out_the_line_too(folder: Path) -> None:
    for name in ROWS:
        path = Path(f"{name}.csv")
        path.write_text(path.read_text().replace("\n5,", "\n4,"))
    pairs, _ = opened("image.csv", "text.csv", key="id")
    join = pairs.key_join
    assert join is not None
    assert join.sizes == (N_ROWS, N_ROWS)
    np.testing.assert_array_equal(join.x, OTHERS)
    assert pairs.n_pairs == N_ROWS - 1 + 2  # two rows of the key 4 match two rows each


def test_line_is_that_of_the_file_with_double_spaces_and_quoted_breaks(folder: Path) -> None:
    path = Path("image.csv")
    text = path.read_text()
    path.write_text(text.replace("\n", "\n\n"))
    with pytest.raises(InputError, match="line 17 has 5 cells, expected 4"):
        open_pairs("image.npy", "text.npy", labels="image.csv::label")
    path.write_text(text.replace("\n3,0,", '\n3,"of two\n\nlines",'))
    with pytest.raises(InputError, match="line 11 has 5 cells, expected 4"):
        open_pairs("image.npy", "text.npy", labels="image.csv::label")


def test_most_lines_with_another_number_are_refused_also_with_drop_bad(folder: Path) -> None:
    path = Path("image.csv")
    path.write_text(path.read_text().replace(']"\n', ']",1\n'))
    with pytest.raises(InputError, match=r"line 2 has 5 cells, expected 4 \(20 of 20 lines .* write as many cells"):
        open_pairs("image.npy", "text.npy", labels="image.csv::label", drop_bad=True)


def test_zero_shot_leaves_out_rows_without_a_label(folder: Path) -> None:
    texts = ROWS["text"][:3]
    expected = evaluate_zero_shot(ROWS["image"][OTHERS], texts, LABELS[OTHERS])
    with pytest.raises(InputError, match="line 9 has 5 cells, expected 4; correct the line, or leave it out"):
        evaluate_zero_shot(ROWS["image"], texts, "image.csv::label")
    with pytest.warns(IsthmusWarning, match="line 9 has 5 cells, expected 4: left out 1 line"):
        report = evaluate_zero_shot(ROWS["image"], texts, "image.csv::label", drop_bad=True)
    assert report == expected
    with pytest.raises(InputError, match="line 9 has 5 cells, expected 4; correct the line$"):
        evaluate_zero_shot(ROWS["image"], ROWS["text"], LABELS, class_names="image.csv::label", drop_bad=True)


def test_masked_labels_and_keys_are_refused_or_left_out() -> None:
    mask = np.arange(N_ROWS) == BAD
    labels, keys = np.ma.MaskedArray(LABELS, mask), np.ma.MaskedArray(np.arange(N_ROWS), mask)
    for options in ({"labels": labels}, {"key": (keys, np.arange(N_ROWS))}):
        with pytest.raises(InputError, match=r"row 7 \(counted from 0\) is masked"):
            open_pairs(*ROWS.values(), **options)  # type: ignore[arg-type]
        pairs, _ = opened(*ROWS.values(), **options)
        np.testing.assert_array_equal(pairs.y.read(0, N_ROWS), ROWS["text"][OTHERS])
    with pytest.raises(InputError, match=r"labels: row 7 \(counted from 0\) is masked"):
        isthmus.Pairs(ROWS, labels=labels)
