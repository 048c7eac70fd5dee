"""Rows in memory of every kind give the pairs that plain NumPy arrays give."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import torch

import isthmus
from isthmus import InputError, Pairs
from isthmus.data.columns import to_array
from isthmus.data.named_rows import column_modalities
from isthmus.data.opening import as_pairs

RNG = np.random.default_rng(25)
X = (RNG.normal(size=(60, 8)) + 1).astype(np.float32)
Y = (X + RNG.normal(size=X.shape) - 2).astype(np.float32)
pd = pytest.importorskip("pandas")
pa = pytest.importorskip("pyarrow")
nw = pytest.importorskip("narwhals")


def angle(x: Any, y: Any) -> float:
    means = [(rows / np.linalg.norm(rows, axis=1, keepdims=True)).mean(0) for rows in (np.float64(x), np.float64(y))]
    cosine = means[0] @ means[1] / np.linalg.norm(means[0]) / np.linalg.norm(means[1])
    return float(np.degrees(np.arccos(cosine)))


def measured(x: Any, y: Any) -> float:
    return isthmus.measure(x, y, metrics="centroid_angle")["centroid_angle"].plugin


def polars_series(rows: np.ndarray) -> Any:
    return pytest.importorskip("polars").Series(list(rows))


def hugging_face_column(rows: np.ndarray) -> Any:
    datasets = pytest.importorskip("datasets")
    return datasets.Dataset.from_dict({"embedding": list(rows)})["embedding"]


def hugging_face_data_set(rows: np.ndarray) -> Any:
    datasets = pytest.importorskip("datasets")
    return datasets.Dataset.from_dict({"embedding": list(rows), "id": list(range(len(rows)))})


KINDS: dict[str, Callable[[np.ndarray], Any]] = {
    "list of lists": lambda rows: rows.tolist(),
    "list of arrays": list,
    "tuple of arrays": tuple,
    "list of tensors": lambda rows: [torch.tensor(row) for row in rows],
    "list of batches": lambda rows: [torch.tensor(rows[start : start + 25]) for start in (0, 25, 50)],
    "tensor": torch.tensor,
    "parameter": lambda rows: torch.nn.Parameter(torch.tensor(rows)),
    "object array": lambda rows: pd.Series(list(rows)).to_numpy(),
    "one vector axis": lambda rows: rows[:, None],
    "pandas column": lambda rows: pd.Series(list(rows)),
    "pandas frame of one column": lambda rows: pd.DataFrame({"embedding": list(rows)}),
    "pandas frame of floats": pd.DataFrame,
    "Arrow list": lambda rows: pa.array(list(rows)),
    "Arrow chunks": lambda rows: pa.chunked_array([list(rows[:20]), list(rows[20:])]),
    "Arrow fixed-size list": lambda rows: pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), rows.shape[1]),
    "Arrow table": lambda rows: pa.table({"id": pa.array(range(len(rows))), "embedding": list(rows)}),
    "wide Arrow table": lambda rows: pa.table({f"dim_{j}": rows[:, j] for j in range(rows.shape[1])}),
    "narwhals frame": lambda rows: nw.from_native(pd.DataFrame({"embedding": list(rows)})),
    "narwhals column": lambda rows: nw.from_native(pd.Series(list(rows)), series_only=True),
    "polars column": polars_series,
    "column of datasets": hugging_face_column,
    "data set": hugging_face_data_set,
}


@pytest.mark.parametrize("kind", KINDS)
def test_measure_of_any_kind_on_either_side_gives_the_angle_of_the_arrays(kind: str) -> None:
    right = angle(X, Y)
    assert measured(KINDS[kind](X), Y) == pytest.approx(right, abs=1e-6)
    assert measured(X, KINDS[kind](Y)) == pytest.approx(right, abs=1e-6)
    assert measured(KINDS[kind](X), torch.tensor(Y)) == pytest.approx(right, abs=1e-6)


def test_measure_of_bfloat16_against_an_array_reads_both_in_numpy() -> None:
    x = torch.tensor(X).bfloat16()
    assert measured(x, Y) == pytest.approx(angle(x.float().numpy(), Y), abs=1e-5)
    pairs = Pairs(image=x, text=Y)
    assert pairs.x.is_numpy
    assert Pairs(image=x, text=torch.tensor(Y)).x.is_numpy is False


@pytest.mark.parametrize("kind", ["pandas column", "pandas frame of one column", "pandas frame of floats"])
def test_pandas_without_pyarrow_is_read_through_numpy(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    x = KINDS[kind](X)
    find = isthmus.utils.errors.importlib.import_module  # type: ignore[attr-defined]

    def hidden(name: str) -> Any:
        if name == "pyarrow":
            raise ModuleNotFoundError(name, name=name)
        return find(name)

    monkeypatch.setattr("isthmus.utils.errors.importlib.import_module", hidden)
    assert measured(x, Y) == pytest.approx(angle(X, Y), abs=1e-6)
    with pytest.raises(InputError, match=r"reading an? \w*Array needs pyarrow.*pip install 'isthmus\[parquet\]'"):
        measured(Capsule(pa.array(list(X))), Y)


class Capsule:
    """An object of a library that has nothing but the Arrow interface."""

    def __init__(self, column: Any):
        self.__arrow_c_array__ = column.__arrow_c_array__


Capsule.__name__ = "OtherArray"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ((X * 100).astype(np.int8), "image: has dtype int8: codes, which are no embeddings without their scale"),
        ((torch.tensor(X) * 100).to(torch.uint8), "image: has dtype torch.uint8: codes, which"),
        (np.arange(480).reshape(60, 8), "image: has dtype int64, expected floats; whole numbers are ids"),
        (np.arange(480).reshape(60, 8).tolist(), "image: has dtype int64, expected floats; whole numbers are ids"),
        ([*X[:30], *X[:30, :3]], r"image: the first 60 rows have several lengths \(30 of 3, 30 of 8 numbers\)"),
        ([*X[:-1], X[:2, :3]], r"image: row 59 .* is of shape \(2, 3\), expected \(8,\) as the first"),
        ([np.int8(row) for row in X.tolist()[:-1]] + [np.int8([1])], r"image: row 59 .* is not of 8 numbers"),
        ([None] * 60, r"image: rows 0, 1, .* are None, expected one vector in each row"),
        (pa.array([None] * 60, pa.list_(pa.float32())), "image: every row is null or empty"),
        (["a"] * 60, r"image: rows 0, 1, 2, 3, 4 .* are str, expected vectors; remove"),
        ([*X.tolist()[:-1], 0.5], r"image: row 59 .* is float, expected vectors"),
        ([["a", 0.5], *X.tolist()[1:]], r"image: row 0 .* is not made of numbers, expected vectors"),
        ([[[0.5], [0.5, 0.5]]] * 60, "image: all rows are sets of vectors of several lengths"),
        ([X[:3], X[:9], X[:2]], "image: holds 3 arrays of 2 to 9 rows"),
        ((row for row in X), "image: is a generator"),
        (pd.DataFrame(X).assign(id=range(60)), "image: of its 9 columns, 1 hold no floats: id"),
        (pd.DataFrame({"a": list(X), "b": list(Y)}), "image: holds several columns of lists, a, b"),
        (pa.array(["a"] * 60), "image: holds string, expected a list of floats"),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else "",
)  # fmt: skip
def test_pairs_of_rows_that_are_no_matrix_of_floats_are_refused(rows: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        Pairs(image=rows, text=Y)
    assert len(str(caught.value)) <= 300
    assert "astype" not in str(caught.value)


MISSING: dict[str, Callable[[list[Any]], Any]] = {
    "list of arrays": lambda cells: [None if cell is None else np.array(cell) for cell in cells],
    "list of lists": list,
    "pandas column": pd.Series,
    "pandas column with NaN": lambda cells: pd.Series([np.nan if cell is None else np.array(cell) for cell in cells]),
    "pandas frame of floats": lambda cells: pd.DataFrame(cells_or_nan(cells)).astype("Float64"),
    "Arrow list": pa.array,
    "Arrow chunks": lambda cells: pa.chunked_array([pa.array(cells[:1], pa.list_(pa.float64())), pa.array(cells[1:])]),
    "Arrow fixed-size list": lambda cells: pa.array(cells, pa.list_(pa.float32(), 8)),
    "wide Arrow table": lambda cells: pa.table(dict(zip("abcdefgh", wide_columns(cells), strict=True))),
}


def cells_or_nan(cells: list[Any]) -> list[Any]:
    """Return the cells with a list of None in place of each None."""
    return [[None] * 8 if cell is None else cell for cell in cells]


def wide_columns(cells: list[Any]) -> list[Any]:
    return [pa.array(column, pa.float64()) for column in zip(*cells_or_nan(cells), strict=True)]


@pytest.mark.parametrize("kind", MISSING)
def test_missing_rows_are_named_or_left_out_with_their_pairs(kind: str) -> None:
    cells: list[Any] = X.tolist()
    cells[0] = cells[7] = None
    rows = MISSING[kind](cells)
    message = r"x: rows 0, 7 \(counted from 0\) hold null, NaN or infinite values; .* --drop-bad"
    with pytest.raises(InputError, match=message):
        isthmus.measure(rows, Y, metrics="centroid_angle")
    with pytest.warns(isthmus.IsthmusWarning, match="^2 rows of x are NaN.*: left out 2 of 60 pairs"):
        result = isthmus.measure(rows, Y, metrics="centroid_angle", drop_bad=True)
    usable = np.delete(np.arange(60), [0, 7])
    assert result["centroid_angle"].plugin == pytest.approx(angle(X[usable], Y[usable]), abs=1e-5)


def test_as_pairs_takes_pairs_mappings_stacks_tuples_and_paths(tmp_path: Path) -> None:
    np.save(tmp_path / "image.npy", X)
    pairs = Pairs(image=X, text=Y)
    assert as_pairs(pairs) is pairs
    assert as_pairs({"image": X, "text": Y}).names == ("image", "text")
    assert as_pairs(np.stack([X, Y])).names == as_pairs((X, Y)).names == ("x", "y")
    assert as_pairs(tmp_path / "image.npy", Y).names == ("image", "y")
    np.testing.assert_array_equal(as_pairs(np.stack([X, Y])).y.read(0, 60), Y)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((Pairs(image=X, text=Y), Y), "got Pairs and a second argument"),
        ((X,), r"got one ndarray of shape \(60, 8\), expected two modalities"),
        (({"image": X},), "got 1 modality, expected two"),
        (("image.npy",), "image.npy: no such file or folder"),
    ],
)
def test_as_pairs_of_one_modality_or_three_is_refused(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        as_pairs(*arguments)


def test_verbs_take_two_arrays_of_different_libraries(tmp_path: Path) -> None:
    x, y = torch.tensor(X), Y.tolist()
    pairs = Pairs(x=X, y=Y)
    assert isthmus.explain(x, y).verdict == isthmus.explain(pairs).verdict
    assert isthmus.calibrate(x, y).matching.sum() == 60
    table = isthmus.compare(x, y, aligners=["Centering"], splits=1)
    expected = isthmus.compare(pairs, aligners=["Centering"], splits=1)
    assert [row.name for row in table.rows] == [row.name for row in expected.rows]
    fitted = isthmus.compare(x[:30], y[:30], aligners=["Centering"], tasks=["retrieval"], fit=(x[30:], y[30:]))
    assert (fitted.n_fit, fitted.n_test) == (30, 30)
    isthmus.report(x, y, tmp_path / "page.html", comparison=table)
    assert (tmp_path / "page.html").is_file()
    with pytest.raises(InputError, match="got 1 arguments, expected report"):
        isthmus.report(pairs)


@pytest.mark.filterwarnings("ignore:text and audio. every row")
def test_modalities_take_paths_lists_and_tensors(tmp_path: Path) -> None:
    np.save(tmp_path / "image.npy", X)
    modalities = isthmus.Modalities(image=tmp_path / "image.npy", text=Y.tolist(), audio=torch.tensor(Y))
    measured = modalities.measure(metrics="centroid_angle")
    angles = [measured["image", name]["centroid_angle"].plugin for name in ("text", "audio")]
    np.testing.assert_allclose(angles, angle(X, Y), atol=1e-6)


def test_transform_takes_lists_and_columns() -> None:
    aligner = isthmus.align.Centering().fit(X, Y)
    expected = aligner.transform_y(Y[:3].astype(np.float64))
    np.testing.assert_allclose(aligner.transform_y(Y[:3].tolist()), expected, atol=1e-12)
    np.testing.assert_allclose(aligner.transform_y(Y[0].tolist()), expected[0], atol=1e-12)
    np.testing.assert_allclose(aligner.transform_y(pd.Series(list(Y[:3]))), expected, atol=1e-6)
    x, y = aligner.transform(list(X), list(Y))
    assert x.shape == y.shape == (60, 8)


def frame_of(library: str) -> Any:
    rows = np.random.default_rng(0).normal(size=(2, 30, 4))
    columns = {"img_emb": rows[0].tolist(), "text_embedding": rows[1].tolist()}
    if library == "datasets":
        return pytest.importorskip("datasets").Dataset.from_dict(columns)
    if library == "pyarrow":
        return pytest.importorskip("pyarrow").table(columns)
    return pytest.importorskip(library).DataFrame(columns)


@pytest.mark.parametrize("library", ["pandas", "polars", "datasets"])
def test_columns_of_a_table_name_the_modalities(library: str) -> None:
    frame = frame_of(library)
    assert isthmus.open_pairs(frame["img_emb"], frame["text_embedding"]).names == ("image", "text")
    assert isthmus.open_pairs(frame["img_emb"], frame["text_embedding"], names=["a", "b"]).names == ("a", "b")
    assert isthmus.open_pairs(frame["img_emb"], frame["img_emb"], group=False).names == ("x", "y")
    aligner = isthmus.align.Centering().fit(frame["img_emb"], frame["text_embedding"])
    assert aligner.modalities == ("image", "text")


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow", "datasets"])
def test_table_of_two_columns_is_two_modalities(library: str) -> None:
    frame = frame_of(library)
    result = isthmus.measure(frame, metrics="centroid_distance")
    expected = isthmus.measure(*frame_of("pandas").to_dict("list").values(), metrics="centroid_distance")
    assert result.pairs["names"] == ["image", "text"]
    assert result["centroid_distance"].value == expected["centroid_distance"].value


def test_table_of_three_columns_says_what_to_give() -> None:
    with pytest.raises(InputError, match="got one DataFrame of shape .*a table of two columns"):
        isthmus.measure(frame_of("pandas").assign(caption="a"))


@pytest.mark.filterwarnings("ignore:the matrix subclass")
def test_measure_of_subclasses_of_arrays_agrees_with_the_array_or_says_what_to_convert() -> None:
    x, y = np.random.default_rng(3).normal(size=(2, 30, 4)) + 1
    expected = str(isthmus.measure(x, y, metrics="centroid_angle")["centroid_angle"])
    matrices = np.asmatrix(x), np.asmatrix(y)
    assert str(isthmus.measure(*matrices, metrics="centroid_angle")["centroid_angle"]) == expected
    masked = np.ma.masked_array(x, mask=np.broadcast_to(np.arange(30)[:, None] == 7, x.shape))
    with pytest.raises(InputError, match="row 7 .* holds null, NaN"):
        isthmus.measure(masked, y)
    with pytest.raises(
        InputError, match=r"x: is a sparse csr_array, expected dense rows; convert it with .toarray\(\)"
    ):
        isthmus.measure(scipy.sparse.csr_array(x), y)


class Stream:
    """An object that has the Arrow PyCapsule interface and nothing else."""

    def __init__(self, table: Any):
        self.table = table

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self.table.__arrow_c_stream__(requested_schema)


def test_streams_of_one_and_of_two_columns_are_read(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(2, 40, 6))
    table = pa.table({"img_emb": list(x), "text_emb": list(y)})
    np.testing.assert_array_equal(to_array(Stream(table.select(["img_emb"])), "image"), x)
    np.testing.assert_array_equal(to_array(Stream(table["img_emb"]), "image"), x)
    for both in (Stream(table), table.to_reader()):
        assert as_pairs(both).names == ("image", "text")


def test_float_columns_with_missing_values_are_read(rng: np.random.Generator) -> None:
    rows = rng.normal(size=(5, 3))
    frame = pd.DataFrame(rows).astype("Float64")
    np.testing.assert_array_equal(to_array(frame, "x"), rows)
    frame.iloc[2, 1] = pd.NA
    assert np.isnan(to_array(frame, "x")[2, 1])


def test_columns_of_text_codes_or_streams_get_the_next_step(rng: np.random.Generator) -> None:
    text = pd.Series([str(row) for row in rng.normal(size=(5, 3)).tolist()])
    with pytest.raises(
        InputError, match=r"expected a list of floats in each row; run \[json.loads\(text\) for text in"
    ):
        to_array(text, "x")
    with pytest.raises(InputError, match="none of its 3 columns holds floats, such as 0, 1, 2; whole numbers are ids"):
        to_array(pd.DataFrame(rng.integers(0, 9, size=(5, 3))), "x")
    streamed = SimpleNamespace(with_format=lambda name: None)
    with pytest.raises(InputError, match="is a streamed data set, expected rows in memory"):
        to_array(streamed, "x")
    with pytest.raises(InputError, match="got a data set of the splits train, expected one"):
        isthmus.measure({"train": streamed})


def test_columns_without_a_name_are_x_and_y(rng: np.random.Generator) -> None:
    series = [SimpleNamespace(name=name) for name in ("", "text")]
    assert column_modalities(*series) is None


class StoredArray:
    """Rows that a library reads from a file on demand, as those of h5py and zarr: no len and no array namespace."""

    def __init__(self, rows: np.ndarray):
        self._rows, self.shape, self.dtype, self.ndim = rows, rows.shape, rows.dtype, rows.ndim

    def __getitem__(self, key: Any) -> np.ndarray:
        return self._rows[key]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self._rows, dtype=dtype)


def test_rows_that_are_read_on_demand_are_fitted_transformed_and_stored() -> None:
    x, y = StoredArray(X), StoredArray(Y)
    centring = isthmus.align.Centering().fit(x, y)
    np.testing.assert_array_equal(centring.transform_x(x), isthmus.align.Centering().fit(X, Y).transform_x(X))
    correction = isthmus.align.ScoreCalibration().fit(image=x, text=y)
    for role in ("stored", "query"):
        expected = getattr(correction, role)(Y, modality="text")
        np.testing.assert_array_equal(getattr(correction, role)(y, modality="text"), expected)
    stack = isthmus.measure(StoredArray(np.stack([X, Y])), metrics="centroid_angle")
    assert stack["centroid_angle"].value == isthmus.measure(X, Y, metrics="centroid_angle")["centroid_angle"].value


def test_batches_of_different_lengths_are_joined_if_they_have_the_rows_of_the_other_side() -> None:
    expected = isthmus.measure(X, Y, metrics="centroid_angle")["centroid_angle"].value
    batches_x, batches_y = [torch.tensor(X[:10]), torch.tensor(X[10:])], [Y[:5], Y[5:6], Y[6:]]
    for x, y in ((batches_x, Y), (X, batches_y), (batches_x, batches_y)):
        assert isthmus.measure(x, y, metrics="centroid_angle")["centroid_angle"].value == expected
        assert isthmus.Pairs(image=x, text=y).n_pairs == len(X)
    with pytest.raises(InputError, match="x: holds 2 arrays of 5 to 10 rows, .*concatenate them if they are batches"):
        isthmus.measure([X[:5], X[5:15]], Y)
    with pytest.raises(InputError, match="has width 5 and y has width"):
        isthmus.measure([X[:10, :5], X[10:, :5]], Y)


def test_nested_lists_of_batches_name_concatenation() -> None:
    half = len(X) // 2
    for batches in ([X[:10].tolist(), X[10:].tolist()], [X[:half].tolist(), X[half : 2 * half].tolist()]):
        with pytest.raises(InputError, match="or concatenate batches"):
            isthmus.measure(batches, Y)


def test_lazy_tables_and_modalities_as_one_argument_name_what_to_call() -> None:
    pl = pytest.importorskip("polars")
    lazy = pl.DataFrame({"image": X.tolist(), "text": Y.tolist()}).lazy()
    modalities = isthmus.Modalities(image=X, text=Y, audio=X)
    for function, options in ((isthmus.measure, {}), (isthmus.explain, {}), (isthmus.measure, {"unpaired": True})):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(InputError, match=r"got a LazyFrame, expected a table in memory; run its .*\.collect\("):
                function(lazy, **options)
        with pytest.raises(InputError, match=r"got Modalities, expected two modalities; call Modalities.measure\(\)"):
            function(modalities, **options)
    assert isthmus.measure(lazy.collect(), metrics="centroid_angle").pairs["names"] == ["image", "text"]
