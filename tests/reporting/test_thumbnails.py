"""Thumbnails: order, broken and hostile files, and nothing of a file but its pixels on the page."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import isthmus
from isthmus.reporting import thumbnails
from isthmus.reporting.thumbnails import image_paths, lines_of, make_thumbnails
from shifted_pairs import shifted_pairs

SECRET = b"taken at 52.5 N 13.4 E"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pictures")
    for i in range(12):
        pixels = np.full((90, 160, 3), 20 * i, dtype=np.uint8)
        Image.fromarray(pixels).save(path / f"photo{i}.jpg", comment=SECRET)
    (path / "notes.txt").write_text("no image")
    return path


def pixels_of(address: str) -> np.ndarray:
    """Return the pixels of a `data:` address."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(address.partition("base64,")[2]))))


def test_folder_is_read_in_the_order_of_numbers(folder: Path) -> None:
    paths = image_paths(folder, 12)
    assert [path.name for path in paths if path][:3] == ["photo0.jpg", "photo1.jpg", "photo2.jpg"]
    assert paths[-1].name == "photo11.jpg"


def test_text_file_holds_relative_paths_and_empty_lines(folder: Path, tmp_path: Path) -> None:
    listed = folder / "list.txt"
    listed.write_text("photo3.jpg\n\nphoto1.jpg\n")
    assert image_paths(listed, 3) == [folder / "photo3.jpg", None, folder / "photo1.jpg"]


def test_images_of_another_number_are_refused(folder: Path) -> None:
    with pytest.raises(isthmus.InputError, match="found 12 image files for 13 items, expected one for each item"):
        image_paths(folder, 13)


def test_lines_end_at_line_feeds_only(tmp_path: Path) -> None:
    (tmp_path / "captions.txt").write_bytes("a\u2028b\n\x0cc\n".encode())
    assert lines_of(tmp_path / "captions.txt") == ["a\u2028b", "\x0cc"]


def test_thumbnail_is_small_and_holds_pixels_alone(folder: Path) -> None:
    address = make_thumbnails(image_paths(folder, 12), [5])[5]
    assert SECRET not in base64.b64decode(address.partition("base64,")[2])
    assert SECRET in (folder / "photo5.jpg").read_bytes()
    shown = pixels_of(address)
    assert shown.shape == (54, 96, 3)
    assert abs(float(shown.mean()) - 100) < 3


def test_thumbnails_shrink_until_they_fit(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thumbnails, "MAX_CHARACTERS", 1)
    assert pixels_of(make_thumbnails(image_paths(folder, 12), [5, 5])[5]).shape[1] == 32


def test_broken_images_are_left_out_with_a_warning(folder: Path, tmp_path: Path) -> None:
    broken = tmp_path / "<script>'\u202e.png"
    broken.write_bytes(b"\x89PNG no image")
    script = tmp_path / "page.eps"
    script.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    paths = [broken, tmp_path / "absent.png", script, folder / "photo0.jpg", None]
    with pytest.warns(
        isthmus.IsthmusWarning, match="3 of the 4 images of the page cannot be read, the first is"
    ) as caught:
        assert list(make_thumbnails(paths, [0, 1, 2, 3, 4])) == [3]
    assert "\u202e" not in str(caught[0].message)
    with pytest.raises(isthmus.InputError, match="give files in one of the formats JPEG"):
        make_thumbnails(paths, [0, 1])


def test_image_of_too_many_pixels_is_left_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)  # the photographs have 14,400
    with pytest.raises(isthmus.InputError, match="DecompressionBombWarning"):
        make_thumbnails(image_paths(folder, 12), [0])


def test_report_shows_thumbnails_in_lists_and_at_points(folder: Path, tmp_path: Path) -> None:
    pairs = shifted_pairs(12, 4)
    page = tmp_path / "page.html"
    isthmus.report(pairs, page, images=folder, comparison=isthmus.compare(pairs, aligners=["Centering"], splits=1))
    text = page.read_text(encoding="utf-8")
    assert re.search(r'<th scope="row"><bdi>\d+</bdi><img class="thumb" src="data:image/\w+;base64,', text)
    assert '"images": ["data:image/' in text
    assert "photo" not in text
