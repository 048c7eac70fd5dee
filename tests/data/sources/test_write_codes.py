"""Rows written as codes of a quantiser and read again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from isthmus import InputError
from isthmus.data.sources import open_source, write_codes


def test_codes_of_a_file_are_read_again_and_near_those_of_sentence_transformers(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    name = "codes.npy"
    rows = rng.normal(size=(300, 16)).astype("float32")
    np.save(tmp_path / "rows.npy", rows)
    ranges = write_codes(open_source(tmp_path / "rows.npy"), tmp_path / name)
    assert ranges is not None
    np.testing.assert_array_equal(ranges, [rows.min(axis=0), rows.max(axis=0)])
    steps = (ranges[1] - ranges[0]) / 255
    decoded = open_source(tmp_path / name, ranges=ranges, rounding="down").read(0, 300)
    assert (np.abs(decoded - rows) <= steps * 1.01).all()
    quantization = pytest.importorskip("sentence_transformers.util.quantization", exc_type=ImportError)
    expected = quantization.quantize_embeddings(rows, precision="int8", ranges=ranges.astype("float32"))
    assert (np.abs(np.load(tmp_path / name).astype(int) - expected) <= 1).all()


def test_given_ranges_clip_and_bits_keep_the_signs(tmp_path: Path, rng: np.random.Generator) -> None:
    rows = rng.normal(size=(40, 16))
    write_codes(rows, tmp_path / "codes.npy", ranges=np.array([[-0.5] * 16, [0.5] * 16]))
    codes = np.load(tmp_path / "codes.npy")
    assert codes.dtype == np.int8
    assert (codes[rows > 0.5] == 127).all()
    assert (codes[rows < -0.5] == -128).all()
    assert write_codes(rows, tmp_path / "signs.npy", bits=True) is None
    signs = open_source(tmp_path / "signs.npy", bits=True).read(0, 40)
    np.testing.assert_array_equal(signs, np.where(rows > 0, 1, -1))


@pytest.mark.parametrize(
    ("rows", "name", "options", "message"),
    [
        (np.ones((3, 8)), "codes.csv", {}, "expected a name that ends in .npy"),
        (np.ones((3, 9)), "codes.npy", {"bits": True}, "expected a multiple of 8 for bits"),
        (np.ones((3, 8), dtype=int), "codes.npy", {}, "expected floats"),
        (
            np.ones((3, 8)),
            "codes.npy",
            {"ranges": np.ones((2, 3))},
            r"expected finite numbers of shape \(2, 8\): minimum",
        ),
        (np.full((3, 8), np.nan), "codes.npy", {"bits": True}, "hold NaN or infinite values"),
        (np.full((3, 8), np.nan), "codes.npy", {}, "hold NaN or infinite values"),
    ],
)
def test_rows_that_have_no_codes_are_refused_and_leave_no_file(
    tmp_path: Path, rows: np.ndarray, name: str, options: dict, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        write_codes(rows, tmp_path / name, **options)
    assert list(tmp_path.iterdir()) == []


def test_ranges_with_the_maxima_first_are_refused(tmp_path: Path) -> None:
    ranges = write_codes(np.random.default_rng(0).normal(size=(40, 8)), tmp_path / "codes.npy")
    assert ranges is not None
    with pytest.raises(InputError, match="a minimum above its maximum; give the minima in the first row"):
        open_source(tmp_path / "codes.npy", ranges=ranges[::-1], rounding="down")
