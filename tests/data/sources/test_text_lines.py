"""Lines of text files: lists without a field in .jsonl, and blank lines."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import isthmus
from isthmus.data.sources import open_source

ROWS = np.random.default_rng(7).normal(size=(20, 4))


def lines_of(suffix: str) -> list[str]:
    """Return the lines of a file of `ROWS`, without a header."""
    if suffix == ".jsonl":
        return [json.dumps(row) for row in ROWS.tolist()]
    return [(" " if suffix == ".txt" else ",").join(map(str, row)) for row in ROWS.tolist()]


def test_lists_without_a_field_in_jsonl_are_rows(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    lines = lines_of(".jsonl")
    lines[3] = "  [null, 1, 2, 3] "
    path.write_text("\n".join(lines) + "\n")
    rows = open_source(path).read(0, 20)
    assert np.isnan(rows[3, 0])
    np.testing.assert_array_equal(np.delete(rows, 3, axis=0), np.delete(ROWS, 3, axis=0))
    path.write_text("\n".join([*lines[4:], "[1.0, 2.0]"]) + "\n")
    with pytest.raises(isthmus.InputError, match="another length"):
        isthmus.measure(isthmus.open_pairs(path, path, names=("image", "text")))


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize(("suffix", "header"), [(".csv", ""), (".csv", "a,b,c,d"), (".jsonl", ""), (".txt", "")])
def test_blank_lines_end_a_file_and_are_named_between_rows(suffix: str, header: str, end: str, tmp_path: Path) -> None:
    path, lines = tmp_path / f"rows{suffix}", lines_of(suffix)
    first = [header] if header else []
    path.write_bytes(end.join([*first, *lines, "", "", ""]).encode())
    np.testing.assert_array_equal(open_source(path).read(0, 20), ROWS)
    path.write_bytes(end.join([*first, *lines[:5], "", *lines[5:], ""]).encode())
    with pytest.raises(isthmus.InputError, match=f"line {6 + len(first)} is blank, where row 5 would be"):
        open_source(path)
    path.write_bytes(end.join([*first, (2 * end).join(lines), ""]).encode())  # double spaced
    np.testing.assert_array_equal(open_source(path).read(0, 20), ROWS)


@pytest.mark.parametrize("suffix", [".txt", ".jsonl"])
def test_line_of_spaces_is_blank(suffix: str, tmp_path: Path) -> None:
    path, lines = tmp_path / f"rows{suffix}", lines_of(suffix)
    path.write_text("\n".join([*lines[:5], " \t ", *lines[5:], ""]))
    with pytest.raises(isthmus.InputError, match="line 6 is blank, where row 5 would be"):
        open_source(path)


def test_line_of_empty_cells_is_a_row_without_values(tmp_path: Path) -> None:
    path, lines = tmp_path / "rows.tsv", [line.replace(",", "\t") for line in lines_of(".csv")]
    path.write_text("\n".join([*lines[:5], "\t\t\t", *lines[5:], ""]))
    rows = open_source(path).read(0, 21)
    assert np.isnan(rows[5]).all()
    np.testing.assert_array_equal(np.delete(rows, 5, axis=0), ROWS)


def test_blank_lines_of_a_quoted_text_belong_to_its_row(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    cells = [f'"{list(row)}"' for row in ROWS.tolist()]
    captions = ['"first\n\nsecond"' if row == 2 else f'"a caption, {row}"' for row in range(len(cells))]
    path.write_text("caption,embedding\n" + "".join(f"{a},{b}\n" for a, b in zip(captions, cells, strict=True)))
    np.testing.assert_array_equal(open_source(f"{path}::embedding").read(0, 20), ROWS)
