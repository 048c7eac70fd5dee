"""Joins by keys against a loop over dictionaries, counts of unmatched rows, and invalid keys."""

from __future__ import annotations

import json
import string
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import formats
import isthmus
from command_line import isthmus_
from isthmus import InputError, IsthmusWarning
from isthmus.data.joins import join_keys
from isthmus.data.sources import open_source
from isthmus.statistics.moments import moments_of

ALL = {**formats.FILES, **formats.FOLDERS}
#: The column of keys in each format that has them.
KEYS = {
    **dict.fromkeys(
        ("npz", "parquet", "ragged_parquet", "large_parquet", "feather", "arrow", "stream", "hdf5", "chunked_hdf5"),
        "image_id",
    ),
    **dict.fromkeys(("parquet_folder", "dataset", "clip_retrieval"), "image_id"),
    **dict.fromkeys(("safetensors", "torch", "packed_npz"), "number"),
    "webdataset": "__key__",
}


def by_loop(x: list[Any], y: list[Any]) -> list[tuple[int, int]]:
    """Pairs (row of x, row of y), ordered by both."""
    rows = {key: i for i, key in enumerate(x)}
    return sorted((rows[key], j) for j, key in enumerate(y) if key in rows)


def pairs_of(join: Any) -> list[tuple[int, int]]:
    owner = join.x if join.index is None else join.x[join.index]
    return list(zip(owner.tolist(), join.y.tolist(), strict=True))


def random_texts(rng: np.random.Generator, count: int, longest: int) -> list[str]:
    letters = list(string.ascii_letters + "äöü中€")
    return list(dict.fromkeys("".join(rng.choice(letters, size=rng.integers(0, longest + 1))) for _ in range(count)))


@pytest.mark.parametrize("longest", [3, 8, 40, 900])
@pytest.mark.parametrize("libraries", ["numpy numpy", "arrow numpy", "numpy arrow", "arrow arrow", "large arrow"])
def test_join_keys_of_text_agrees_with_a_loop(libraries: str, longest: int, rng: np.random.Generator) -> None:
    x = random_texts(rng, 400, longest)
    y = [*rng.choice(np.array(x, dtype=object), size=500), *random_texts(rng, 100, longest)]
    rng.shuffle(y)
    make = {
        "numpy": lambda keys: np.array(keys),
        "arrow": lambda keys: pa.chunked_array([pa.array(["pad", *keys[:100]])[1:], pa.array(keys[100:])]),
        "large": lambda keys: pa.chunked_array([pa.array(keys, type=pa.large_string())]),
    }
    first, second = libraries.split()
    join = join_keys(make[first](x), make[second](y), key="k", columns=("a", "b"))
    assert pairs_of(join) == by_loop(x, y)
    assert join.unmatched == (len(x) - len({i for i, _ in by_loop(x, y)}), len(y) - len(by_loop(x, y)))


@pytest.mark.parametrize("dtype", ["int64", "int32", "uint8", "uint64"])
def test_join_keys_of_integers_agrees_with_a_loop(dtype: str, rng: np.random.Generator) -> None:
    x = rng.permutation(200).astype(dtype)
    y = rng.integers(100, 250, size=300).astype("int64" if dtype != "uint64" else dtype)
    join = join_keys(x, pa.chunked_array([y]), key="k", columns=("a", "b"))
    assert pairs_of(join) == by_loop(x.tolist(), y.tolist())
    large = np.array([2**63 + 5, 1], dtype=np.uint64)
    assert pairs_of(join_keys(large, large[::-1].copy(), key="k", columns=("a", "b"))) == [(0, 1), (1, 0)]
    with pytest.raises(InputError, match=r"a: has keys of 2\^63 and more"):
        join_keys(large, np.array([-(2**63) + 5, 1]), key="k", columns=("a", "b"))


@pytest.mark.parametrize("letter", ["z", "\x7f", "\x80", "é", "図"])
@pytest.mark.parametrize("dtypes", [("<U9", ">U9"), (">U6", "S"), ("<U12", "arrow")])
def test_join_keys_of_text_compares_characters_in_any_byte_order(letter: str, dtypes: tuple[str, str]) -> None:
    words = [f"{letter * (i % 3)}-{i}" for i in range(40)]

    def column(keys: list[str], dtype: str) -> Any:
        if dtype == "arrow":
            return pa.chunked_array([keys])
        return np.char.encode(keys, "utf-8") if dtype == "S" else np.array(keys, dtype=dtype)

    join = join_keys(column(words, dtypes[0]), column(words[::-2], dtypes[1]), key="key", columns=("x", "y"))
    assert pairs_of(join) == by_loop(words, words[::-2])


@pytest.mark.parametrize("order", [1, -1])
def test_join_keys_compares_integers_with_text_as_they_are_printed(order: int) -> None:
    columns = [np.array(["007", "7", "-12", "18446744073709551615"]), np.array([-12, 5, 7])][::order]
    join = join_keys(*columns, key="key", columns=("x", "y"))
    assert {str(columns[0][row]) for row in join.x} == {"7", "-12"}
    assert [str(columns[0][a]) == str(columns[1][b]) for a, b in zip(join.x, join.y, strict=True)] == [True, True]


def test_join_keys_of_unique_keys_has_no_index() -> None:
    join = join_keys(np.array([5, 9, 7]), np.array([7, 5, 8]), key="k", columns=("a", "b"))
    assert join.index is None
    assert (join.x.tolist(), join.y.tolist(), join.unmatched) == ([0, 2], [1, 0], (1, 1))


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (
            [1, 2, 2],
            [1, 2, 3],
            r"a: the key 2 is in rows 1 and 2 \(counted from 0\), expected one row .* second",
        ),
        (["u", "v"], [1, 2], "first have keys such as 'u', the others such as 1; write both in one way"),
        (["u", "v"], ["w", "x"], "no key of a is a key of b: the first have keys such as 'u', the others such as 'w'"),
        ([1.0, 2.0], [1, 2], r"a: has keys of shape \(2,\) and dtype float64, expected \(n,\) integers or text"),
        ([[1, 2]], [1, 2], r"a: has keys of shape \(1, 2\) and dtype int64"),
    ],
)
def test_join_keys_of_invalid_keys_is_refused(x: list[Any], y: list[Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        join_keys(np.array(x), np.array(y), key="k", columns=("a", "b"))


def test_join_keys_with_colliding_hashes_is_refused(monkeypatch: Any) -> None:
    """A collision of the first hash alone makes its order ambiguous."""

    def colliding(words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.zeros(len(words), dtype=np.uint64), np.arange(len(words), dtype=np.uint64)

    monkeypatch.setattr("isthmus.data.joins.hash_text", colliding)
    with pytest.raises(InputError, match="a: two of its keys have the same hash by chance; give integers as keys"):
        join_keys(np.array(["u", "v"]), np.array(["u", "v"]), key="k", columns=("a", "b"))


@pytest.fixture
def rows(rng: np.random.Generator) -> np.ndarray:
    return rng.normal(size=(60, 6)).astype(np.float32)


@pytest.mark.parametrize("name", KEYS)
def test_open_pairs_by_key_in_each_format_keeps_the_matches(
    name: str, rows: np.ndarray, tmp_path: Path, rng: np.random.Generator
) -> None:
    """Some images have two captions and some none, in another order, and some captions have no image."""
    image = open_source(ALL[name](tmp_path, rows))
    keys = np.array(formats.ids(60)) if KEYS[name] != "number" else np.arange(60)
    owner = np.concatenate([rng.permutation(50), rng.permutation(50)[:30]])
    caption_keys = np.concatenate([keys[owner], np.array(["no"] if KEYS[name] != "number" else [999]).repeat(4)])
    texts = rng.normal(size=(84, 6)).astype(np.float32)
    np.save(tmp_path / "text.npy", texts)
    np.save(tmp_path / "keys.npy", caption_keys)
    with pytest.warns(IsthmusWarning, match="80 pairs of 50 items, .* 10 of 60 rows of image and 4 of 84"):
        pairs = isthmus.open_pairs(
            image.address, tmp_path / "text.npy", names=("image", "text"), key=(KEYS[name], str(tmp_path / "keys.npy"))
        )
    assert (pairs.n_pairs, pairs.n_items) == (80, 50)
    assert pairs.pairing["unmatched"] == {"image": 10, "text": 4}
    expected = by_loop(keys.tolist(), caption_keys.tolist())
    x, y = [], []
    for block_x, block_y, block_owner, _ in pairs.blocks(7):
        assert block_owner is not None
        x.append(block_x[block_owner])
        y.append(block_y)
    np.testing.assert_array_equal(np.concatenate(x), rows[[i for i, _ in expected]])
    np.testing.assert_array_equal(np.concatenate(y), texts[[j for _, j in expected]])


@pytest.mark.parametrize(
    "name", ["parquet", "parquet_folder", "feather", "chunked_hdf5", "dataset", "npz", "webdataset"]
)
def test_open_pairs_by_key_with_y_in_another_order_reads_y_in_the_order_of_x(
    name: str, rows: np.ndarray, tmp_path: Path, rng: np.random.Generator
) -> None:
    """Formats without random access are written in order once, and the selected rows agree with NumPy."""
    text = ALL[name](tmp_path, rows)
    order = rng.permutation(60)
    np.save(tmp_path / "x.npy", rows[order] + 1)
    np.save(tmp_path / "keys.npy", np.array(formats.ids(60))[order])
    pairs = isthmus.open_pairs(tmp_path / "x.npy", text, names=("x", "y"), key=(tmp_path / "keys.npy", KEYS[name]))
    assert pairs.index is None
    assert not pairs.key_join.unmatched[0]
    np.testing.assert_array_equal(pairs.y.read(10, 40), rows[order][10:40])
    np.testing.assert_array_equal(pairs.y.take(np.array([50, 3])), rows[order][[50, 3]])
    assert moments_of(pairs).mean_paired == pytest.approx(
        moments_of(isthmus.Pairs(x=rows[order] + 1, y=rows[order])).mean_paired
    )


def test_blocks_of_an_ascending_subset_open_the_file_once(rows: np.ndarray, tmp_path: Path, monkeypatch: Any) -> None:
    from isthmus.data.sources import parquet

    path, locations = formats.parquet(tmp_path, np.tile(rows, (50, 1)), list_kind="variable"), []
    np.save(tmp_path / "keys.npy", np.arange(0, 3000, 3))
    np.save(tmp_path / "x.npy", np.ones((1000, 6)))
    keys = ("number", tmp_path / "keys.npy")
    with pytest.warns(IsthmusWarning, match="2,000 of 3,000 rows"):
        pairs = isthmus.open_pairs(path, tmp_path / "x.npy", names=("x", "y"), key=keys, group=False)
    real = parquet.open_file
    monkeypatch.setattr(parquet, "open_file", lambda location: locations.append(location) or real(location))
    read_rows = np.concatenate([x for x, _, _, _ in pairs.blocks(90)])
    np.testing.assert_array_equal(read_rows, np.tile(rows, (50, 1))[::3])
    assert len(locations) == 1


def test_open_pairs_takes_files_of_keys_and_arrays(rows: np.ndarray, tmp_path: Path) -> None:
    for name in ("x", "y"):
        np.save(tmp_path / f"{name}.npy", rows)
    keys, paths = np.arange(60), (tmp_path / "x.npy", tmp_path / "y.npy")
    np.save(tmp_path / "k.npy", keys)
    pq.write_table(pa.table({"id": keys[::-1]}), tmp_path / "k.parquet")
    pairs = isthmus.open_pairs(*paths, key=(tmp_path / "k.npy", f"{tmp_path}/k.parquet::id"))
    np.testing.assert_array_equal(pairs.y.read(0, 60), rows[::-1])
    assert pairs.pairing["key"] == f"{tmp_path}/k.npy, {tmp_path}/k.parquet::id"
    np.testing.assert_array_equal(isthmus.open_pairs(*paths, key=(keys, keys[::-1].copy())).y.read(0, 60), rows[::-1])
    with pytest.raises(InputError, match=r"k.parquet: the column of the keys is not named; give .*k.parquet::COLUMN"):
        isthmus.open_pairs(*paths, key=(tmp_path / "k.npy", tmp_path / "k.parquet"))
    with pytest.raises(InputError, match=r"x.npy: npy holds no column of keys; give a file of keys instead of 'id'"):
        isthmus.open_pairs(*paths, key="id")
    np.save(tmp_path / "short.npy", keys[:50])
    with pytest.raises(InputError, match=r"short.npy: holds 50 keys, expected one for each of 60 rows"):
        isthmus.open_pairs(*paths, key=(tmp_path / "k.npy", tmp_path / "short.npy"))
    (tmp_path / "k.dat").write_text("1\n2\n")
    with pytest.raises(InputError, match=r"k.dat: is not a file of keys, expected integers or text saved"):
        isthmus.open_pairs(*paths, key=(tmp_path / "k.npy", tmp_path / "k.dat"))
    with pytest.raises(InputError, match="got 3 keys, expected one for both modalities"):
        isthmus.open_pairs(*paths, key=("a", "b", "c"))
    with pytest.raises(InputError, match="got index and key, expected one of them"):
        isthmus.open_pairs(*paths, key="a", index=keys)


def test_open_pairs_with_an_invalid_key_column_is_refused(rows: np.ndarray, tmp_path: Path) -> None:
    table = formats.table(rows).append_column("score", pa.array(np.ones(60)))
    table = table.append_column("gaps", pa.array([None if i in (4, 9) else i for i in range(60)]))
    pq.write_table(table, tmp_path / "x.parquet")
    pq.write_table(table, tmp_path / "y.parquet")
    paths = (tmp_path / "x.parquet", tmp_path / "y.parquet")
    with pytest.raises(InputError, match="unknown column of keys in .*x.parquet 'image_i': did you mean 'image_id'"):
        isthmus.open_pairs(*paths, key="image_i")
    with pytest.raises(InputError, match="x.parquet::score: holds double, expected keys that are integers or text"):
        isthmus.open_pairs(*paths, key="score")
    with pytest.raises(InputError, match=r"x.parquet::gaps: rows 4, 9 \(counted from 0\) are null; every row"):
        isthmus.open_pairs(*paths, key="gaps")
    (tmp_path / "img_emb").mkdir()
    np.save(tmp_path / "img_emb" / "0.npy", rows)
    with pytest.raises(InputError, match="shards hold no keys and there is no folder .*metadata beside them"):
        isthmus.open_pairs(tmp_path / "img_emb", paths[1], key="image_id")
    (tmp_path / "metadata").mkdir()
    pq.write_table(table[:50], tmp_path / "metadata" / "0.parquet")
    with pytest.raises(InputError, match="metadata: its 1 shards hold 50 rows, but those of .*img_emb hold 60"):
        isthmus.open_pairs(tmp_path / "img_emb", paths[1], key="image_id")


def test_open_pairs_by_key_selects_labels_and_reports_row_numbers_of_the_file(rows: np.ndarray, tmp_path: Path) -> None:
    rows[33] = 0
    np.save(tmp_path / "x.npy", rows)
    np.save(tmp_path / "y.npy", rows[::-1] + 1)
    with pytest.warns(IsthmusWarning, match="without a match"):
        pairs = isthmus.open_pairs(
            tmp_path / "x.npy", tmp_path / "y.npy", labels=np.arange(60), key=(np.arange(60), np.arange(70, 10, -1))
        )
    np.testing.assert_array_equal(pairs.labels, np.arange(11, 60))
    with pytest.raises(InputError, match=r"x.npy: row 33 \(counted from 0\) is"):
        moments_of(pairs)
    assert pairs.take(np.arange(5)).pairing == pairs.pairing


def test_result_of_pairs_by_key_records_the_pairing(rows: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", rows)
    np.save(tmp_path / "y.npy", rows + 1)
    plain = isthmus.measure(isthmus.open_pairs(tmp_path / "x.npy", tmp_path / "y.npy"), metrics=["centroid_angle"])
    assert plain.pairs["pairing"] == {"by": "position"}
    keyed = isthmus.open_pairs(tmp_path / "x.npy", tmp_path / "y.npy", key=(np.arange(60), np.arange(60)))
    result = isthmus.measure(keyed, metrics=["centroid_angle"])
    assert json.loads(result.to_json())["pairs"]["pairing"] == {
        "by": "key", "key": "an array", "unmatched": {"x": 0, "y": 0},
    }  # fmt: skip


def test_command_line_with_key_pairs_rows(rows: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    table = formats.table(rows + 1)
    pq.write_table(table, tmp_path / "image.parquet")
    pq.write_table(table[::-1][:50], tmp_path / "text.parquet")
    process = isthmus_("measure", "image.parquet", "text.parquet", "--key", "image_id", "--json")
    expected = {"by": "key", "key": "image_id", "unmatched": {"image": 10, "text": 0}}
    assert json.loads(process.stdout)["pairs"]["pairing"] == expected
    assert process.stderr.strip() == (
        "isthmus: warning: paired by image_id: 50 pairs of 50 items, without a match for 10 of 60 rows of image and "
        "0 of 50 rows of text"
    )
    process = isthmus_("inspect", "image.parquet", "text.parquet", "--key", "image_id,number")
    assert (process.returncode, process.stdout) == (2, "")
    assert (
        "isthmus: error: no key of image.parquet::image_id is a key of text.parquet::number: the first have keys "
        "such as 'item-00000', the others such as 59; write both in one way"
    ) in process.stderr
    assert "Paired? yes" in isthmus_("inspect", "image.parquet", "text.parquet", "--key", "image_id").stdout
    assert "expected two" in isthmus_("inspect", "image.parquet", "--key", "image_id").stderr


def test_inspect_with_key_gives_no_cosines_of_rows_in_file_order(rows: np.ndarray, tmp_path: Path) -> None:
    for name, step in (("image", 1), ("text", -1)):
        pq.write_table(formats.table(rows + 1)[::step], tmp_path / f"{name}.parquet")
    paths = [str(tmp_path / f"{name}.parquet") for name in ("image", "text")]
    keyed, in_order = (
        json.loads(isthmus_("inspect", *paths, "--json", *options).stdout) for options in (["--key", "image_id"], [])
    )
    assert keyed["cosines"] is None
    assert in_order["cosines"]["pairs"] == len(rows)


def test_open_pairs_by_a_key_of_classes_is_refused() -> None:
    x, y = np.random.default_rng(5).normal(size=(2, 900, 3))
    with pytest.raises(InputError, match="would make 405,000 pairs of 900 and 900 rows"):
        isthmus.open_pairs(x, y, key=(np.arange(900) % 2, np.arange(900) % 2))


def test_message_about_a_key_that_repeats_in_the_first_file_alone_names_that_file() -> None:
    rng = np.random.default_rng(5)
    captions, images = rng.normal(size=(60, 12)), rng.normal(size=(30, 12))
    ids = (np.repeat(np.arange(30), 2), np.arange(30))
    with pytest.warns(IsthmusWarning, match="its keys repeat in text, .* 60 pairs of 60"):
        pairs = isthmus.open_pairs(captions, images, names=("text", "image"), key=ids)
    assert pairs.key_join is not None
    assert not pairs.key_join.repeats_in_both


@pytest.mark.parametrize(
    ("types", "is_refused"),
    [
        ((pa.int64(), pa.int32()), False),
        ((pa.string(), pa.large_string()), False),
        ((pa.int64(), pa.string()), True),
    ],
)
def test_keys_of_shards_of_several_types_are_joined_or_refused(
    types: tuple[Any, Any], is_refused: bool, tmp_path: Path
) -> None:
    rows = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)

    def save(name: str, numbers: range, key_type: Any) -> None:
        ids = pa.array(map(str, numbers) if "string" in str(key_type) else numbers, key_type)
        embeddings = pa.array(list(rows[numbers.start : numbers.stop]), pa.list_(pa.float32()))
        pq.write_table(pa.table({"emb": embeddings, "id": ids}), tmp_path / name)

    (tmp_path / "image").mkdir()
    for number, key_type in enumerate(types):
        save(f"image/{number}.parquet", range(20 * number, 20 * number + 20), key_type)
    save("text.parquet", range(40), types[0])
    if is_refused:
        with pytest.raises(InputError, match="image::id: its shards hold keys of int64 and string, expected one type"):
            isthmus.open_pairs(tmp_path / "image", tmp_path / "text.parquet", key="id")
        return
    pairs = isthmus.open_pairs(tmp_path / "image", tmp_path / "text.parquet", key="id")
    np.testing.assert_array_equal(pairs.x.read(0, 40), rows)
    assert pairs.n_pairs == 40
