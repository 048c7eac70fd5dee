"""Files with one value for each row: index, labels and keys."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import isthmus
from isthmus import InputError
from isthmus.cli import app
from isthmus.data.row_values import read_row_values

INDEX = np.repeat(np.arange(20), 2)
LINES = [str(row) for row in INDEX]


def write(path: Path, lines: list[str]) -> Path:
    """Write lines of text, and return the path."""
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("index.txt", LINES),
        ("index.csv", ["index", *LINES]),
        ("bare.csv", LINES),
        ("frame.csv", [",image,index", *(f'{n},"a, b",{row}' for n, row in enumerate(LINES))]),
        ("index.tsv", ["index\tid", *(f"{row}\t{n}" for n, row in enumerate(LINES))]),
        ("other.csv::image_row", ["caption,image_row", *(f"c,{row}" for row in LINES)]),
        ("quoted.txt", ['"index"', *(f'  "{row}" ' for row in INDEX)]),
        ("bare.jsonl", LINES),
        ("index.jsonl", [json.dumps({"id": 1, "index": int(row)}) for row in LINES]),
    ],
)
def test_index_is_read_from_files_of_text(name: str, lines: list[str], tmp_path: Path) -> None:
    write(tmp_path / name.partition("::")[0], lines)
    np.testing.assert_array_equal(read_row_values(f"{tmp_path}/{name}", "index"), INDEX)


def test_index_and_keys_are_read_by_python_and_shell(tmp_path: Path, rng: np.random.Generator) -> None:
    x = rng.normal(size=(20, 8))
    y = x[INDEX] + rng.normal(size=(40, 8))
    expected = str(isthmus.measure(isthmus.Pairs(image=x, text=y, index=INDEX), metrics="fast")["centroid_angle"])
    np.save(tmp_path / "image.npy", x)
    np.save(tmp_path / "text.npy", y)
    pq.write_table(pa.table({"row": INDEX, "id": LINES}), tmp_path / "rows.parquet")
    index = write(tmp_path / "index.csv", ["index", *LINES])
    paths = tmp_path / "image.npy", tmp_path / "text.npy"
    for options in (
        {"index": index},
        {"index": f"{tmp_path}/rows.parquet::row"},
        {"key": (np.arange(20), index)},
        {"key": (write(tmp_path / "x.txt", [str(n) for n in range(20)]), f"{index}::index")},
    ):
        pairs = isthmus.open_pairs(*paths, **options)
        assert str(isthmus.measure(pairs, metrics="fast")["centroid_angle"]) == expected
    printed = CliRunner().invoke(app, ["measure", *map(str, paths), "--index", str(index), "--json"])
    assert json.loads(printed.stdout)["pairs"]["items"] == 20
    with pytest.raises(InputError, match="holds the columns row, id; give one, such as rows.parquet::id"):
        isthmus.open_pairs(*paths, index=tmp_path / "rows.parquet")


@pytest.mark.parametrize(
    ("name", "lines", "message"),
    [
        ("a.csv", ["index", "0", "", "1"], "line 3 is empty"),
        ("a.csv", ["index,b", "0,1", ",1"], r"row 1 \(counted from 0\) is null"),
        ("a.csv::c", ["index,b", "0,1"], "unknown column in .*a.csv 'c'"),
        ("a.jsonl", ["{", "0"], "line 1 is no JSON"),
        ("a.dat", ["0"], "is no readable file of index"),
        ("none.csv", [], "no such file"),
    ],
)
def test_files_that_are_no_index_are_refused(name: str, lines: list[str], message: str, tmp_path: Path) -> None:
    if lines:
        write(tmp_path / name.partition("::")[0], lines)
    with pytest.raises(InputError, match=message):
        read_row_values(f"{tmp_path}/{name}", "index")


def test_labels_of_text_are_read_with_and_without_heading(tmp_path: Path) -> None:
    names = ["cat", "dog", "a b"]
    assert read_row_values(write(tmp_path / "a.csv", ["label", *names]), "labels").tolist() == names
    assert read_row_values(write(tmp_path / "a.txt", names), "labels").tolist() == names
    assert read_row_values(["cat"], "labels") == ["cat"]


IDS = ["007", "7", "12"]


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("a.txt", IDS),
        ("a.csv", ["image_id", *IDS]),
        ("a.csv::b", ["a,b", *(f"x,{id_}" for id_ in IDS)]),
        ("a.jsonl", [json.dumps(id_) for id_ in IDS]),
    ],
)
@pytest.mark.parametrize("option", ["key", "labels"])
def test_values_of_text_stay_text_if_they_do_not_print_as_numbers(
    name: str, lines: list[str], option: str, tmp_path: Path
) -> None:
    path = write(tmp_path / name.partition("::")[0], lines)
    assert read_row_values(f"{tmp_path}/{name}", option).tolist() == IDS
    write(path, [line.replace("007", "8") for line in lines])
    assert read_row_values(f"{tmp_path}/{name}", option).tolist() == [8, 7, 12]


def test_forms_of_numbers_that_are_not_printed_are_text_except_in_an_index(tmp_path: Path) -> None:
    long = "123456789012345678901"  # of more than 64 bits
    path = write(tmp_path / "a.txt", ["1.50", "+7", long])
    assert read_row_values(path, "key").tolist() == read_row_values(path, "labels").tolist() == ["1.50", "+7", long]
    path = write(tmp_path / "b.csv", ["x", "1.5", "2.0"])
    assert read_row_values(path, "key").tolist() == ["1.5", "2.0"]
    assert read_row_values(path, "labels").tolist() == [1.5, 2]
    assert read_row_values(write(tmp_path / "c.csv", ["index,b", "00,0", "01,0"]), "index").tolist() == [0, 1]


def test_keys_with_leading_zeros_match_their_own_form_alone(tmp_path: Path, rng: np.random.Generator) -> None:
    rows = rng.normal(size=(3, 4))
    lines = [f"{id_},{','.join(map(str, row))}" for id_, row in zip(IDS, rows, strict=True)]
    table = write(tmp_path / "x.csv", ["id,e0,e1,e2,e3", *lines])
    numbers, texts = (
        write(tmp_path / "numbers.txt", ["12", "7", "5"]),
        write(tmp_path / "t.jsonl", ['"12"', '"07"', '"007"']),
    )
    for keys, expected in ((numbers, [1, 2]), (texts, [0, 2]), (np.array([7, 12, 13]), [1, 2])):
        with pytest.warns(isthmus.IsthmusWarning, match="without a match for 1 of 3 rows of image and 1 of 3 rows"):
            pairs = isthmus.open_pairs(table, rows, key=("id", keys), names=("image", "text"))
        assert pairs.key_join.x.tolist() == expected


@pytest.mark.parametrize("option", ["labels", "index", "key", "scale"])
@pytest.mark.parametrize("content", ["archive", "broken archive", "text", "nothing"])
def test_file_of_an_option_that_is_no_array_is_refused(option: str, content: str, tmp_path: Path) -> None:
    path = tmp_path / "values.npz"
    path.write_bytes({"broken archive": b"PK\x03\x04" + bytes(50), "text": b"1 2"}.get(content, b""))
    if content == "archive":
        np.savez(path, a=np.arange(30), b=np.arange(30))
    rows = np.eye(30)
    with pytest.raises(
        InputError, match=r"values.npz: is (no readable file of|not a file of keys|not an .npy file of)"
    ):
        isthmus.open_pairs(rows, rows, **{option: str(path)})


def test_keys_that_are_one_number_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "key.npy", np.int64(3))
    with pytest.raises(InputError, match=r"key.npy: is not a file of keys, expected integers or text"):
        isthmus.open_pairs(np.eye(3), np.eye(3), key=str(tmp_path / "key.npy"))
    with pytest.raises(InputError, match="holds 1 key, expected one for each of 3 rows|holds 1 keys, expected one"):
        isthmus.open_pairs(np.eye(3), np.eye(3), key=(np.int64(3), np.int64(3)))


def test_first_line_is_a_heading_only_if_it_is_no_value(tmp_path: Path) -> None:
    assert read_row_values(write(tmp_path / "a.txt", ["y", "n", "y"]), "labels").tolist() == ["y", "n", "y"]
    assert read_row_values(write(tmp_path / "b.txt", ["y", "cat", "dog"]), "labels").tolist() == ["cat", "dog"]
    assert read_row_values(write(tmp_path / "c.csv", ["image_class", "3", "4"]), "labels").tolist() == [3, 4]


def test_lines_end_at_line_breaks_alone_and_blank_lines_end_a_file(tmp_path: Path) -> None:
    texts = [f"a\u2028b\x85{number}" for number in range(3)]
    assert read_row_values(write(tmp_path / "a.txt", [*texts, "", ""]), "labels").tolist() == texts
    lines = [json.dumps({"label": text}, ensure_ascii=False) for text in texts]
    assert read_row_values(write(tmp_path / "a.jsonl", [*lines, ""]), "labels").tolist() == texts
    with pytest.raises(InputError, match="a.txt: line 2 is empty, expected one value for each row"):
        read_row_values(write(tmp_path / "a.txt", ["1", "", "3"]), "labels")


def test_line_of_json_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    lines = ['{"label": 1}', '{"label": two}', '{"label": 3}']
    with pytest.raises(InputError, match=r"a.jsonl: line 2 is no JSON; expected one value"):
        read_row_values(write(tmp_path / "a.jsonl", lines), "labels")


@pytest.mark.parametrize("is_masked", [True, False])
def test_masked_arrays_of_codes_are_codes_and_not_floats(is_masked: bool) -> None:
    codes = np.ma.MaskedArray(np.random.default_rng(0).integers(-99, 99, (30, 8)).astype("int8"), False)
    codes[3, 1] = np.ma.masked if is_masked else 5
    with pytest.raises(InputError, match="masked array of int8, which has no NaN" if is_masked else "has dtype int8"):
        isthmus.open_pairs(codes, codes)
    if not is_masked:
        scaled = isthmus.open_pairs(codes, codes, scale=0.1).x.read(0, 30)
        np.testing.assert_allclose(scaled, 0.1 * codes.data, rtol=1e-6)


def test_raw_of_arrays_is_reported_as_not_used() -> None:
    with pytest.warns(isthmus.IsthmusWarning, match="for files without a header, and x is no file$"):
        isthmus.open_pairs(np.eye(30), np.eye(30), raw="4:float32")


def test_text_of_numbers_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "rows.txt"
    path.write_text("1 2\n3 4\n", encoding="utf-8-sig")
    assert isthmus.sources.open_source(path).read(0, 2).tolist() == [[1.0, 2.0], [3.0, 4.0]]
