"""Items of all captions formats and tars, and the errors of invalid ones."""

from __future__ import annotations

import io
import json
import re
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from isthmus import InputError
from isthmus.encode import open_items

#: Image -> captions, with quotes, separators and line breaks.
EXPECTED = {
    "b.png": ('a "bold" three, or so', "zwei Wörter\u2028ohne Zeile"),
    "sub/a.png": ("one",),
    "c.png": ("two\nlines", "a\ttab"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images" / "sub").mkdir(parents=True)
    for name in EXPECTED:
        (tmp_path / "images" / name).write_bytes(name.encode())
    return tmp_path / "images"


def rows() -> list[tuple[str, str]]:
    """Return one row for each caption. The captions of an image are not consecutive."""
    flat = [(name, caption) for name, captions in EXPECTED.items() for caption in captions]
    return [flat[0], flat[2], flat[3], flat[1], flat[4]]


def write_table(path: Path) -> None:
    import csv

    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file, delimiter="\t" if path.suffix == ".tsv" else ",")
        writer.writerow(["split", "File_Name", "caption"])
        writer.writerows(("train", *row) for row in rows())


def write_jsonl(path: Path) -> None:
    lines = [{"text": list(captions), "file_name": name} for name, captions in EXPECTED.items()]
    path.write_text("\n".join(json.dumps(line, ensure_ascii=False) for line in lines) + "\n\n", encoding="utf-8")


def write_coco(path: Path) -> None:
    ids = {name: 10 - i for i, name in enumerate(EXPECTED)}
    images = [{"id": number, "file_name": name, "height": 3} for name, number in ids.items()]
    annotations = [{"id": i, "image_id": ids[name], "caption": caption} for i, (name, caption) in enumerate(rows())]
    path.write_text(json.dumps({"info": {}, "images": images, "annotations": annotations}))


WRITERS: dict[str, Callable[[Path], None]] = {
    "c.csv": write_table, "c.tsv": write_table, "c.jsonl": write_jsonl, "c.json": write_coco,
}  # fmt: skip


@pytest.mark.parametrize("name", WRITERS)
def test_open_items_with_each_captions_format_lists_the_same_items(name: str, folder: Path) -> None:
    file = folder.parent / name
    WRITERS[name](file)
    items = open_items(folder, captions=file)
    for _ in range(2):  # items can be iterated twice
        found = list(items)
        assert {item.key: item.captions for item in found} == EXPECTED
        assert [item.key for item in found] == list(EXPECTED)
        assert [item.read() for item in found] == [key.encode() for key in EXPECTED]
    assert items.total == 3
    before = items.provenance
    file.write_bytes(file.read_bytes().replace(b"bold", b"thin"))
    assert open_items(folder, captions=file).provenance != before


def add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


def test_open_items_with_tars_reads_samples_in_order(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "0.tar", "w") as tar:
        add(tar, "x/000.JPG", b"zero")
        add(tar, "x/000.txt", b" a zero \n")
        add(tar, "x/000.json", b'{"caption": "not this"}')
        add(tar, "x/001.json", json.dumps({"captions": ["a one", " ", "the ö"]}).encode())
        add(tar, "x/001.png", b"one" * 5000)
        add(tar, "x/002.txt", b"no image")
    with tarfile.open(tmp_path / "1.tar", "w", format=tarfile.PAX_FORMAT) as tar:
        add(tar, f"{'long' * 60}.seg.png", b"no picture")
        add(tar, "000.png", b"again")
        add(tar, "000.cls", b"7")
    found = list(open_items(tmp_path))
    assert [(i.key, i.captions, i.read()) for i in found] == [
        ("0/x/000", ("a zero",), b"zero"), ("0/x/001", ("a one", "the ö"), b"one" * 5000), ("1/000", (), b"again"),
    ]  # fmt: skip
    assert [i.key for i in open_items([tmp_path / "1.tar", tmp_path / "0.tar"])] == ["1/000", "0/x/000", "0/x/001"]


def test_open_items_with_tar_of_webdataset_reads_its_samples(tmp_path: Path) -> None:
    webdataset = pytest.importorskip("webdataset", exc_type=ImportError)
    from PIL import Image

    with webdataset.TarWriter(str(tmp_path / "a.tar")) as sink:
        for i in range(3):
            sink.write({"__key__": f"{i:06d}", "png": Image.new("RGB", (4, 4), (i, 0, 0)), "txt": f"number {i}"})
    found = list(open_items(tmp_path / "a.tar"))
    assert [(i.key, i.captions) for i in found] == [(f"a/{i:06d}", (f"number {i}",)) for i in range(3)]
    assert Image.open(io.BytesIO(found[2].read())).getpixel((0, 0)) == (2, 0, 0)


def test_open_items_with_damaged_tar_raises(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for i in range(5):
            add(tar, f"{i}.png", b"x" * 1000)
            add(tar, f"{i}.txt", b"caption")
    complete = (tmp_path / "a.tar").read_bytes()
    (tmp_path / "a.tar").write_bytes(complete[:5000])
    with pytest.raises(InputError, match=r"a.tar: is damaged after sample '\d' \(unexpected end of data\)"):
        list(open_items(tmp_path / "a.tar"))
    for content in (b"", b"nonsense" * 100, complete[:100]):
        (tmp_path / "a.tar").write_bytes(content)
        with pytest.raises(InputError, match=r"a.tar: is no plain .tar"):
            open_items(tmp_path / "a.tar")
    (tmp_path / "captions.csv").write_text("image,caption\na.png,a thin zero\n")
    with pytest.raises(InputError, match=r"captions.csv: is no .tar; give the folder of the images"):
        open_items(tmp_path / "captions.csv")
    with tarfile.open(tmp_path / "b.tar", "w") as tar:
        add(tar, "1.png", b"x")
        add(tar, "1.txt", b"\xff\xfe")
    with pytest.raises(InputError, match=r"b.tar: the caption of sample '1' cannot be read"):
        list(open_items(tmp_path / "b.tar"))


BAD = {
    "c.csv": [
        ("", "is empty, expected a header line such as image,caption"),
        ("image,caption\n", "names no image"),
        ("a,b\nb.png,x\n", "has the columns a, b, none of which is known to hold the images; name it with"),
        ("image,b\nb.png,x\n", "has the columns image, b, none of which is known to hold the captions"),
        ("image,caption\nb.png,a cat, black\n", "line 2 has 3 fields, the header has 2"),
        ('image,caption\nb.png,"a cat\n', "line 2 cannot be read (unexpected end of data)"),
        ("image,caption\n,a cat\n", "line 2: the image is '', expected the name of a file"),
        ("image,caption\nnot.png,a cat\n", "none of its image names is a file in"),
    ],
    "c.jsonl": [
        ("{", "line 1 is not valid JSON"),
        ("[1]\n", "line 1 is no object"),
        ('{"image": "b.png", "caption": 3}', "line 1: the caption is [3], expected text or a list of texts"),
        ('{"image": 7, "caption": "x"}', "line 1: the image is 7, expected the name of a file"),
        ('{"image": "b.png", "caption": "x"}\n{"image": "b.png"}', "line 2: has the columns image, none of which"),
    ],
    "c.json": [
        ("{", "is not valid JSON"),
        ("[]", "is no COCO captions file"),
        ('{"images": []}', "is no COCO captions file (KeyError('annotations'))"),
        (
            '{"images": [], "annotations": [{"image_id": 3, "caption": "x"}]}',
            "annotation 0 is of image 3, which `images` does not list",
        ),
        ('{"images": [{"id": 1}], "annotations": []}', "is no COCO captions file (KeyError('file_name'))"),
    ],
}  # fmt: skip


@pytest.mark.parametrize(("name", "content", "message"), [(n, c, m) for n, rows in BAD.items() for c, m in rows])
def test_open_items_with_invalid_captions_raises_one_line(name: str, content: str, message: str, folder: Path) -> None:
    (folder.parent / name).write_text(content)
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        open_items(folder, captions=folder.parent / name)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_open_items_with_named_columns_uses_them(folder: Path) -> None:
    (folder.parent / "c.csv").write_text("wo,was,image\nb.png,drei,x\n")
    (item,) = open_items(folder, captions=folder.parent / "c.csv", image_column="wo", caption_column="was")
    assert (item.key, item.captions) == ("b.png", ("drei",))
    with pytest.raises(InputError, match=r"unknown column of .*c.csv 'wa': did you mean 'was'"):
        open_items(folder, captions=folder.parent / "c.csv", caption_column="wa")


def test_open_items_with_missing_or_unknown_files_raises(folder: Path) -> None:
    with pytest.raises(InputError, match="nothing: no such file or folder"):
        open_items(folder / "nothing")
    with pytest.raises(InputError, match="holds no .tar; a folder of images needs a captions file"):
        open_items(folder)
    with pytest.raises(InputError, match="c.csv: no such captions file"):
        open_items(folder, captions=folder / "c.csv")
    (folder / "c.xlsx").write_text("x")
    with pytest.raises(InputError, match="is in no known captions format; expected .csv, .tsv, .jsonl"):
        open_items(folder, captions=folder / "c.xlsx")
    (folder / "latin.csv").write_bytes("image,caption\nb.png,für\n".encode("latin-1"))
    with pytest.raises(InputError, match="latin.csv: is not UTF-8 text"):
        open_items(folder, captions=folder / "latin.csv")
    with pytest.raises(InputError, match="a captions file needs one folder of images"):
        open_items([folder, folder], captions=folder / "latin.csv")
