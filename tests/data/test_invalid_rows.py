"""Pairs with a row that is NaN, infinite or zero: named on both sides at once, or left out and counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import isthmus
from isthmus import InputError, IsthmusWarning, Pairs
from isthmus.cli import app
from isthmus.data.opening import drop_invalid_rows
from isthmus.utils import validation


def bad_pairs(n: int = 100) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return x with NaN, infinite and zero rows, y with a zero row, and which pairs are usable."""
    rng = np.random.default_rng(14)
    x = (rng.normal(size=(n, 6)) + 1).astype(np.float32)
    y = (x + rng.normal(size=x.shape) - 2).astype(np.float32)
    x[3], x[50, 2], x[9:12], y[70] = np.nan, np.inf, 0, 0
    return x, y, np.isfinite(x).all(1) & x.any(1) & y.any(1)


def values(result: isthmus.Result) -> list[float]:
    return [estimate.value for estimate in result.values()]


def test_measure_of_bad_rows_names_both_sides_and_both_kinds_in_one_sentence() -> None:
    x, y, _ = bad_pairs()
    with pytest.raises(InputError) as caught:
        isthmus.measure(Pairs(image=x, text=y))
    assert str(caught.value) == (
        "image: rows 3, 50 (counted from 0) hold null, NaN or infinite values and rows 9, 10, 11 are all zeros "
        "and have no direction; text: row 70 (counted from 0) is all zeros and has no direction; remove these pairs, "
        "or leave them out with --drop-bad (open_pairs(x, y, drop_bad=True))"
    )


def test_message_of_long_paths_and_many_rows_has_300_characters_at_most(tmp_path: Path) -> None:
    folder = tmp_path / ("a" * 200)
    folder.mkdir()
    for name in ("image", "text"):
        rows = np.random.default_rng(0).normal(size=(9000, 3))
        rows[1000:3000], rows[5000:8000] = np.nan, 0
        np.save(folder / f"{name}.npy", rows)
    with pytest.raises(
        InputError, match=r"image.npy: rows 1000 and 1,999 more .*text.npy: rows 1000 and 1,999 more"
    ) as caught:
        isthmus.measure(folder / "image.npy", folder / "text.npy")
    assert len(str(caught.value)) <= 300


@pytest.mark.parametrize("folder", ["", "/data/of/the/same/model/and/of/one/long/folder/"])
def test_message_of_two_addresses_with_the_same_end_names_both(folder: str) -> None:
    addresses = [f"{folder}{name}_of_a_model.parquet::embedding" for name in ("image", "text")]
    rows = np.array([9]), np.array([3]), np.array([7])
    message = str(validation.invalid_rows(dict.fromkeys(addresses, rows)))
    assert len(message) <= 300
    assert all(f"{name}_o" in message for name in ("image", "text"))
    kinds = "row 9 holds null, NaN or infinite values and row 3 is all zeros and row 7 has another length"
    assert kinds in str(validation.invalid_rows(dict.fromkeys(["x.parquet::embedding", "y.parquet::embedding"], rows)))


@pytest.mark.parametrize("library", [np.asarray, torch.tensor])
def test_drop_bad_measures_the_usable_pairs_and_counts_the_others(library: Any) -> None:
    x, y, usable = bad_pairs()
    expected = isthmus.measure(x[usable], y[usable])
    with pytest.warns(IsthmusWarning, match="5 rows of x and 1 of y are NaN.*left out 6 of 100 pairs, 94 are used"):
        result = isthmus.measure(library(x), library(y), drop_bad=True)
    np.testing.assert_allclose(values(result), values(expected), rtol=1e-5, atol=1e-6)
    assert result.pairs["n"] == 94
    assert result.pairs["pairing"] == {"by": "position", "dropped": {"x": 5, "y": 1, "pairs": 6}}


def test_drop_bad_of_an_index_drops_all_rows_of_an_item() -> None:
    x, y, _ = bad_pairs(90)
    index = np.arange(90) // 3  # x has 30 items, and 3 and 9 to 11 are bad
    labels = np.arange(30)
    pairs = Pairs(image=x[:30], text=y, index=index, labels=labels)
    with pytest.warns(IsthmusWarning, match="left out 13 of 90 pairs"):
        usable = drop_invalid_rows(pairs)
    assert (usable.n_items, usable.n_pairs) == (26, 77)
    kept_items = np.setdiff1d(labels, [3, 9, 10, 11])
    np.testing.assert_array_equal(usable.labels, kept_items)
    np.testing.assert_array_equal(kept_items[usable.owner], np.delete(index, [*range(9, 12), *range(27, 36), 70]))
    assert usable.sample(10).pairing["dropped"]["pairs"] == 13


def test_drop_bad_of_clean_pairs_returns_them() -> None:
    pairs = Pairs(image=np.eye(4) + 1, text=np.eye(4) + 2)
    assert drop_invalid_rows(pairs) is pairs
    assert "dropped" not in pairs.pairing


def test_drop_bad_of_one_usable_pair_is_refused() -> None:
    x = np.full((5, 3), np.nan)
    x[0] = 1
    with pytest.raises(InputError, match="^4 rows of image are NaN.*: 1 of 5 pairs are usable, expected two"):
        drop_invalid_rows(Pairs(image=x, text=np.ones((5, 3))))


@pytest.mark.parametrize("verb", ["measure", "explain", "compare", "report", "fit"])
def test_drop_bad_in_the_shell_uses_the_usable_pairs(verb: str, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    x, y, _ = bad_pairs()
    np.save("image.npy", x)
    np.save("text.npy", y)
    options = {"compare": ["--aligners", "Centering"], "fit": ["-o", "map.safetensors"]}.get(verb, [])
    arguments = [verb, *(["Centering"] if verb == "fit" else []), "image.npy", "text.npy", *options]
    failed = CliRunner().invoke(app, arguments)
    assert failed.exit_code != 0
    with pytest.warns(IsthmusWarning, match="left out 6 of 100 pairs"):
        process = CliRunner().invoke(app, [*arguments, "--drop-bad", "--json"])
    assert process.exit_code == 0, process.output
    assert json.loads(process.stdout[process.stdout.index("{") :])


def test_modalities_drop_an_item_with_a_bad_row_from_all_pairs() -> None:
    x, y, usable = bad_pairs()
    audio = y[::-1].copy()  # row 29 is bad, as row 70 of y is
    modalities = isthmus.Modalities(image=x, text=y, audio=audio)
    with pytest.warns(
        IsthmusWarning, match="5 rows of image, 1 of text and 1 of audio are NaN.*: left out 7"
    ) as caught:
        results = modalities.measure(metrics="centroid_angle", drop_bad=True)
    assert sum("left out" in str(entry.message) for entry in caught) == 1
    kept = usable & (np.arange(100) != 29)
    expected = isthmus.measure(x[kept], y[kept], metrics="centroid_angle")["centroid_angle"].value
    assert results["image", "text"]["centroid_angle"].value == pytest.approx(expected, abs=1e-6)
    assert {result.pairs["n"] for result in results.values()} == {93}
    assert results["image", "audio"].pairs["pairing"]["dropped"] == {"image": 5, "audio": 1, "pairs": 7}
