"""Codes of quantisers, packed signs and rows without a header, through every verb of the command line."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from typer.testing import CliRunner

import isthmus
from isthmus import InputError, IsthmusWarning
from isthmus.cli import app
from isthmus.data.sources import open_source

RNG = np.random.default_rng(9)
SHARED = RNG.normal(size=(200, 12)) / 4
X, Y = (
    (SHARED + RNG.normal(size=SHARED.shape) / 8 + RNG.normal(size=12)).astype(np.float32),
    (SHARED + RNG.normal(size=SHARED.shape) / 8 + RNG.normal(size=12)).astype(np.float32),
)
BOTH = np.concatenate([X, Y])
RANGES = np.stack([BOTH.min(axis=0), BOTH.max(axis=0)])
STEP = (RANGES[1] - RANGES[0]) / 255
#: Ranges of 12 coordinates whose steps are 1/32 wide.
EIGHT = np.array([[-4.0] * 12, [-4.0 + 255 / 32] * 12])


#: Most rows here have no length 1, so that their codes do not show their rounding.
pytestmark = pytest.mark.filterwarnings("ignore:.*do not show how they were rounded")


def codes(rows: np.ndarray, dtype: str) -> np.ndarray:
    """Return the codes of sentence-transformers: rounded down, not to the nearest."""
    steps = np.floor((rows - RANGES[0]) / STEP)
    return (steps - 128).astype(np.int8) if dtype == "int8" else steps.astype(np.uint8)


def angle(x: np.ndarray, y: np.ndarray) -> float:
    """Return the angle between the mean directions in degrees."""
    means = [(rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(float).mean(axis=0) for rows in (x, y)]
    cosine = means[0] @ means[1] / np.linalg.norm(means[0]) / np.linalg.norm(means[1])
    return float(np.degrees(np.arccos(cosine)))


def run(*arguments: Any) -> str:
    """Return what a command prints."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with codes of both modalities and their ranges."""
    for name, rows in (("image", X), ("text", Y)):
        for dtype in ("int8", "uint8"):
            np.save(tmp_path / f"{name}_{dtype}.npy", codes(rows, dtype))
        (tmp_path / f"{name}.dat").write_bytes(rows.tobytes())
    np.save(tmp_path / "ranges.npy", RANGES)
    return tmp_path


@pytest.mark.parametrize("rounding", [np.floor, np.trunc])
def test_int8_codes_that_were_rounded_down_or_cut_towards_zero_are_told_apart(rounding: np.ufunc) -> None:
    rows = RNG.normal(size=(500, 16))
    ranges = np.stack([rows.min(axis=0), rows.max(axis=0)])
    step = (ranges[1] - ranges[0]) / 255
    stored = rounding((rows - ranges[0]) / step - 128).astype(np.int8)
    error = (isthmus.open_pairs(stored, stored + 0, ranges=ranges).x.read(0, 500) - rows) / step
    assert abs(error.mean()) < 0.02
    assert 0.28 < np.sqrt((error**2).mean()) < 0.31


@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
@pytest.mark.parametrize("name", ["down", "nearest", "zero"])
def test_codes_of_unit_rows_show_their_rounding(name: str, dtype: type, tmp_path: Path) -> None:
    rows = np.random.default_rng(5).normal(size=(400, 24)) + np.linspace(-1, 1, 24)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    ranges, shift = np.stack([rows.min(axis=0), rows.max(axis=0)]), 128 * (dtype is np.int8)
    steps = (ranges[1] - ranges[0]) / 255
    rounding = {"down": np.floor, "nearest": np.rint, "zero": np.trunc}[name]
    stored = rounding((rows - ranges[0]) / steps - shift).astype(dtype)
    np.save(tmp_path / "image.npy", stored)
    np.save(tmp_path / "ranges.npy", ranges)
    expected = {"nearest": "to the nearest", "zero": "cut towards zero"}.get(name, "rounded down")
    assert (expected if shift or name != "zero" else "rounded down") in run(
        "inspect", tmp_path / "image.npy", "--ranges", tmp_path / "ranges.npy"
    )
    error = (open_source(tmp_path / "image.npy", ranges=ranges).read(0, 400) - rows) / steps
    assert abs(error.mean()) < 0.02
    assert np.abs(error).max() < (1.01 if shift and name == "zero" else 0.51)  # the code 0 stands for two steps then


def test_codes_that_do_not_show_their_rounding_are_read_as_stated() -> None:
    stored = codes(X, "uint8")
    with pytest.warns(IsthmusWarning, match="read as rounded down.*--rounding nearest"):
        down = isthmus.open_pairs(stored, Y, ranges=(RANGES, None)).x.read(0, 200)
    stated = isthmus.open_pairs(stored, Y, ranges=(RANGES, None), rounding=("nearest", None)).x.read(0, 200)
    np.testing.assert_allclose(np.where(stored == 255, 0, stated - down), -STEP / 2 * (stored < 255), atol=1e-6)
    for options in ({"scale": 0.1, "rounding": "nearest"}, {"ranges": RANGES, "rounding": "up"}):
        with pytest.raises(InputError, match="expected down, nearest, zero, and codes with ranges"):
            isthmus.open_pairs(stored, stored, **options)


@pytest.mark.parametrize("fixed", [False, True])
@pytest.mark.parametrize(
    ("write", "options", "atol"),
    [
        (lambda rows: np.floor((rows + 4) * 32 - 128).astype(np.int8), {"ranges": EIGHT}, 0.016),
        (lambda rows: np.floor((rows + 4) * 32).astype(np.uint8), {"ranges": EIGHT}, 0.016),
        (lambda rows: rows, {}, 0),
        (lambda rows: rows.astype(np.float16), {}, 2e-3),
    ],
)
def test_bytes_of_codes_and_floats_in_parquet_are_read(
    write: Callable[[np.ndarray], np.ndarray], options: dict[str, Any], atol: float, fixed: bool, tmp_path: Path
) -> None:
    rows = np.clip(RNG.normal(size=(200, 12)), -3.9, 3.9).astype(np.float32)
    stored = write(rows)
    kind = pa.binary(stored.shape[1] * stored.itemsize) if fixed else pa.binary()
    hashes = pa.array([RNG.bytes(32) for _ in rows], pa.binary(32))
    table = pa.table({"hash": hashes, "emb": pa.array([row.tobytes() for row in stored], kind)})
    pq.write_table(table, tmp_path / "image.parquet")
    source = open_source(tmp_path / "image.parquet", **options)
    np.testing.assert_allclose(source.read(0, 200), rows, rtol=0, atol=atol)


def test_bytes_of_packed_signs_are_read_from_the_chosen_column(tmp_path: Path) -> None:
    rows = RNG.normal(size=(200, 64))
    packed = [row.tobytes() for row in np.packbits(rows > 0, axis=1)]
    pq.write_table(pa.table({"emb": packed}), tmp_path / "image.parquet")
    with pytest.warns(IsthmusWarning, match="a column of bytes is read as unsigned"):
        signs = open_source(f"{tmp_path / 'image.parquet'}::emb", bits=True).read(0, 200)
    np.testing.assert_array_equal(signs, np.where(rows > 0, 1, -1))
    with pytest.raises(InputError, match="choose a column of packed signs by ::COLUMN"):
        open_source(tmp_path / "image.parquet", bits=True)


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_ranges_decode_codes_to_the_middle_of_their_interval(dtype: str, folder: Path) -> None:
    source = open_source(folder / f"image_{dtype}.npy", ranges=folder / "ranges.npy")
    assert source.dtype == "float32"
    decoded = source.read(0, 200)
    np.testing.assert_array_equal(source.take(np.array([7, 3])), decoded[[7, 3]])
    assert np.abs(decoded - X).max() <= STEP.max() * 0.501
    assert abs(float((decoded - X).mean())) < 0.05 * STEP.mean()
    measured = isthmus.measure(
        isthmus.open_pairs(codes(X, dtype), codes(Y, dtype), ranges=RANGES), metrics=["centroid_angle"]
    )
    assert measured["centroid_angle"].plugin == pytest.approx(angle(X, Y), abs=0.1)


def test_scale_and_offset_are_applied_as_given_to_each_modality(folder: Path) -> None:
    x, y = folder / "image_uint8.npy", folder / "text_int8.npy"
    pairs = isthmus.open_pairs(x, y, scale=STEP, offset=(RANGES[0], RANGES[0] + 128 * STEP))
    np.testing.assert_allclose(pairs.x.read(0, 9), codes(X, "uint8")[:9] * STEP + RANGES[0], rtol=1e-6)
    np.testing.assert_allclose(pairs.y.read(0, 9), codes(Y, "int8")[:9] * STEP + RANGES[0] + 128 * STEP, atol=1e-6)
    mixed = isthmus.open_pairs(codes(X, "uint8"), Y, scale=(STEP, None), offset=(RANGES[0], None))
    np.testing.assert_array_equal(mixed.y.read(0, 200), Y)


def test_bits_unpack_signs_of_both_kinds_of_bytes() -> None:
    wide = np.hstack([X, X, X, X])
    packed = np.packbits(wide > 0, axis=1)
    signs = np.where(wide > 0, 1, -1)
    for stored in (packed, (packed.astype(int) - 128).astype(np.int8), torch.tensor(packed)):
        np.testing.assert_array_equal(isthmus.open_pairs(stored, stored, bits=True, group=False).x.read(0, 200), signs)


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".pt", ".safetensors", ".h5", ".i8bin", "/"])
def test_codes_are_decoded_in_every_format(suffix: str, tmp_path: Path) -> None:
    stored, path = codes(X, "int8"), tmp_path / f"image{suffix}"
    if suffix == ".npy":
        np.save(path, stored)
    elif suffix == ".npz":
        np.savez_compressed(path, image=stored, ids=np.arange(200))
    elif suffix == ".pt":
        torch.save({"image": torch.tensor(stored), "ids": torch.arange(200)}, path)
    elif suffix == ".safetensors":
        from safetensors.numpy import save_file

        save_file({"image": stored, "ids": np.arange(200)}, path)
    elif suffix == ".h5":
        with pytest.importorskip("h5py").File(path, "w") as file:
            file["image"], file["ids"] = stored, np.arange(200)
    elif suffix == ".i8bin":
        path.write_bytes(np.array(stored.shape, dtype="<u4").tobytes() + stored.tobytes())
    else:
        path.mkdir()
        np.save(path / "image_0.npy", stored[:90])
        np.save(path / "image_1.npy", stored[90:])
    source = open_source(path, ranges=RANGES)
    assert source.shape == X.shape
    assert np.abs(source.read(0, 200) - X).max() <= STEP.max() * 1.001
    with pytest.raises(InputError, match="has dtype int8: codes, which are no embeddings without their scale"):
        open_source(path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scale": 0.1, "bits": True}, "give one kind of them"),
        ({"ranges": RANGES[:, :4]}, r"ranges has shape \(2, 4\).*expected finite numbers of shape \(2, 12\)"),
        ({"scale": np.full(12, np.nan)}, "expected finite numbers"),
        ({"scale": "missing.npy"}, "no such file"),
        ({"scale": (1, 2, 3)}, "scale has 3 values, expected one, or 2"),
        ({"scal": 1}, "unknown option 'scal': did you mean 'scale'"),
    ],
)
def test_options_of_codes_that_do_not_fit_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        isthmus.open_pairs(codes(X, "int8"), codes(Y, "int8"), **options)


def test_ranges_of_floats_and_of_vector_sets_are_refused() -> None:
    with pytest.raises(InputError, match="holds float32, and ranges and bits are for int8 and uint8"):
        isthmus.open_pairs(codes(X, "int8").astype(np.float32), codes(Y, "int8"), ranges=RANGES)
    with pytest.raises(InputError, match="codes of several vectors an item"):
        isthmus.open_pairs(np.stack([codes(X, "int8")] * 2, axis=1), Y, ranges=(RANGES, None), pool="mean")


def test_raw_rows_are_read_by_dtype_and_width(tmp_path: Path) -> None:
    (tmp_path / "image.bin").write_bytes(X.tobytes())
    (tmp_path / "half").write_bytes(X.astype(">f2").tobytes())
    (tmp_path / "brain.raw").write_bytes((X.view(np.uint32) >> 16).astype(np.uint16).tobytes())
    np.save(tmp_path / "text.npy", Y)
    np.testing.assert_array_equal(open_source(tmp_path / "image.bin", raw="float32:12").read(0, 200), X)
    np.testing.assert_array_equal(open_source(tmp_path / "half", raw=">f2:12").read(0, 200), X.astype(np.float16))
    np.testing.assert_allclose(open_source(tmp_path / "brain.raw", raw="bfloat16:12").read(0, 200), X, rtol=0.01)
    assert isthmus.open_pairs(tmp_path / "image.bin", tmp_path / "text.npy", raw="float32:12").n_pairs == 200
    for raw, message in (("float32:13", "no rows of 52 bytes"), ("float32", "expected a dtype"), ("x:12", "such as")):
        with pytest.raises(InputError, match=message):
            open_source(tmp_path / "image.bin", raw=raw)
    with pytest.raises(InputError, match="is in no known format.*--raw float32:512"):
        open_source(tmp_path / "image.bin")


@pytest.mark.filterwarnings("ignore:image_int8 and image_uint8")
def test_verbs_read_codes_with_their_ranges(folder: Path) -> None:
    x, y, ranges = folder / "image_int8.npy", folder / "text_int8.npy", ("--ranges", folder / "ranges.npy")
    true = angle(X, Y)
    assert "200 x 12, float32" in run("inspect", x, y, *ranges)
    measured = json.loads(run("measure", x, y, *ranges, "--metrics", "centroid_angle", "--json"))
    assert measured["metrics"]["centroid_angle"]["plugin"] == pytest.approx(true, abs=0.1)
    run("fit", "Centering", x, y, *ranges, "-o", folder / "a.safetensors")
    run("apply", folder / "a.safetensors", x, folder / "out.npy", *ranges, "--modality", "image_int8")
    expected = isthmus.load(folder / "a.safetensors").transform_x(open_source(x, ranges=RANGES).read(0, 200))
    np.testing.assert_allclose(np.load(folder / "out.npy"), expected, atol=1e-6)
    matrix = run("measure", x, y, folder / "image_uint8.npy", *ranges, "--metrics", "centroid_angle")
    assert matrix.count(f"{true:.1f}"[:2]) >= 2
    raw = ("--raw", "float32:12")
    values = json.loads(
        run("measure", folder / "image.dat", folder / "text.dat", *raw, "--metrics", "centroid_angle", "--json")
    )
    assert values["metrics"]["centroid_angle"]["plugin"] == pytest.approx(true, abs=1e-4)


def test_scale_of_rows_with_fractions_is_refused(folder: Path) -> None:
    np.save(folder / "rows.npy", X)
    with pytest.raises(InputError, match="rows.npy: holds float32 with fractions.*--scale 0.1, for the first of two"):
        open_source(folder / "rows.npy", scale=STEP)


def test_raw_that_no_file_needs_warns(folder: Path) -> None:
    np.save(folder / "rows.npy", X)
    with pytest.warns(IsthmusWarning, match="raw=float32:9 .--raw. is not used.*rows.npy has a format"):
        isthmus.open_pairs(folder / "rows.npy", Y, raw="float32:9")


def test_bits_that_are_not_packed_get_the_scale_of_signs() -> None:
    bits = [(rows > rows.mean(axis=0)).astype(np.uint8) for rows in (X, Y)]
    with pytest.raises(InputError, match="holds only 0 and 1, bits that are not packed; give --scale 2 --offset -1"):
        isthmus.open_pairs(*bits, bits=True)
    signs = [2.0 * rows - 1 for rows in bits]
    decoded = isthmus.open_pairs(*bits, scale=2, offset=-1, group=False)
    np.testing.assert_array_equal(decoded.x.read(0, 200), signs[0])
    with pytest.warns(IsthmusWarning, match="the first rows hold only 0 and 1, like bits: if these are signs, read"):
        isthmus.open_pairs(*(rows.astype(np.float32) for rows in bits))


@pytest.mark.parametrize(
    ("dtype", "advice"),
    [("bool", r"rows.astype\('float32'\) for 0 and 1, or 2.0 \* rows - 1"), ("int16", r"scale \* rows \+ off")],
)
def test_whole_numbers_of_other_types_get_the_next_step(dtype: str, advice: str) -> None:
    with pytest.raises(InputError, match=f"has dtype {dtype}.*{advice}"):
        isthmus.open_pairs((100 * X).astype(dtype), Y)


def test_rounding_is_of_the_file_of_codes_alone() -> None:
    pairs = isthmus.open_pairs(X, codes(Y, "int8"), ranges=(None, RANGES), rounding="down")
    assert angle(X, pairs.y.read(0, 200)) == pytest.approx(angle(X, Y), abs=0.5)
    with pytest.raises(InputError, match=r"first file alone give --ranges FILE.npy, or ranges=\(FILE, None\)"):
        isthmus.open_pairs(X, codes(Y, "int8"), ranges=RANGES)
    whole = codes(X, "int8").astype(np.float32)
    with pytest.raises(InputError, match=r"if they are codes, save them with .astype\(np.int8\)"):
        isthmus.open_pairs(whole, codes(Y, "int8"), ranges=RANGES)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_bits_beside_a_file_of_floats_or_of_codes_are_for_the_packed_file(
    order: tuple[int, int], tmp_path: Path
) -> None:
    rows = np.hstack([X, X[:, :4]])
    packed = np.packbits(rows.mean(axis=0) < rows, axis=1)
    signs = 2.0 * np.unpackbits(packed, axis=1) - 1
    floats, eight_bits = rows, np.clip(20 * rows, -127, 127).astype(np.int8)
    np.save(tmp_path / "packed.npy", packed)
    for name, other, expected in (("floats", floats, floats), ("codes", eight_bits, 0.05 * eight_bits)):
        np.save(tmp_path / f"{name}.npy", other)
        scale = None if name == "floats" else tuple((None, 0.05)[number] for number in order)
        files, arrays = [tmp_path / "packed.npy", tmp_path / f"{name}.npy"], [packed, other]
        for given in (files, arrays):
            both: list[Any] = [given[number] for number in order]
            pairs = isthmus.open_pairs(*both, bits=True, scale=scale, group=False)
            read = [pairs.x.read(0, len(X)), pairs.y.read(0, len(X))]
            np.testing.assert_allclose(read[order.index(0)], signs)
            np.testing.assert_allclose(read[order.index(1)], expected, rtol=1e-6)
    with pytest.raises(InputError, match="floats.npy: holds float32, .* leave out --bits"):
        isthmus.open_pairs(tmp_path / "floats.npy", tmp_path / "floats.npy", names=("x", "y"), bits=True)


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_codes_read_as_bits_warn_of_the_width_that_results(dtype: str, tmp_path: Path) -> None:
    wide = np.hstack([X, Y, X])
    stored = np.clip(np.round(20 * wide), -128, 127) + (0 if dtype == "int8" else 128)
    np.save(tmp_path / "codes.npy", stored.astype(dtype))
    with pytest.warns(IsthmusWarning, match="reads each byte as 8 signs, so 36 bytes become 288 dimensions, but its"):
        source = open_source(tmp_path / "codes.npy", bits=True)
    assert source.format == f"npy ({dtype}, 8 signs in each byte)"
    assert source.shape == (200, 288)
    constant_signs = np.tile(np.packbits(RNG.normal(size=320) > 0), (200, 1))
    assert isthmus.open_pairs(constant_signs, constant_signs, bits=True).x.shape == (200, 320)


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_codes_that_are_spread_evenly_are_told_from_packed_signs(dtype: str) -> None:
    rows = RNG.normal(size=(300, 24)) @ RNG.normal(size=(24, 256))
    ranks = rows.argsort(axis=0).argsort(axis=0)
    codes = (256 * ranks // len(rows) - (128 if dtype == "int8" else 0)).astype(dtype)
    assert 0.45 < np.mean(np.abs(codes.astype(int) - (0 if dtype == "int8" else 128)) < 64) < 0.55
    with pytest.warns(IsthmusWarning, match="its bytes are spread like codes of one coordinate each"):
        open_source_of(codes)
    packed = np.packbits(rows > np.median(rows, axis=0), axis=1)
    noise = RNG.integers(0, 256, size=(300, 32), dtype=np.uint8)  # signs of independent coordinates
    for signs in (packed, noise, np.repeat(noise[:60], 5, axis=0)):
        signs = signs if dtype == "uint8" else (signs.astype(np.int16) - 128).astype(np.int8)
        assert open_source_of(signs).shape == (300, 256)


def open_source_of(rows: np.ndarray) -> Any:
    return isthmus.open_pairs(rows, rows, bits=True, group=False).x


def test_codes_of_24_coordinates_read_as_bits_warn_and_packed_signs_do_not() -> None:
    rows = np.random.default_rng(24).normal(size=(260, 6)) @ np.random.default_rng(25).normal(size=(6, 192))
    low, high = rows[:, :24].min(axis=0), rows[:, :24].max(axis=0)
    codes = (np.floor(255 * (rows[:, :24] - low) / (high - low)) - 128).astype(np.int8)
    with pytest.warns(IsthmusWarning, match="so 24 bytes become 192 dimensions, but its bytes are spread like codes"):
        isthmus.open_pairs(codes, codes, bits=True)
    packed = np.packbits(rows > 0, axis=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert isthmus.open_pairs(packed, packed, bits=True, group=False).x.shape == (260, 192)
