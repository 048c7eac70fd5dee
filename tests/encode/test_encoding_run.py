"""Runs of encoders: written files, skipped images, and resumption after a kill."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("pyarrow")

from pyarrow import parquet

import isthmus
from isthmus import InputError
from isthmus.encode import Encoder, open_encoder, open_items, run


@pytest.fixture(scope="module")
def encoder(clip: Path) -> Encoder:
    return open_encoder(str(clip), device="cpu")


def make_data(digits: Any, folder: Path) -> tuple[Path, Path]:
    """The digits with one to three captions each, among them files that are no images."""
    pictures, names, captions = digits
    images = folder / "images"
    images.mkdir()
    lines = []
    for i, (name, caption) in enumerate(zip(names, captions, strict=True)):
        content = (pictures / name).read_bytes()
        if i == 3:
            content = b"no image at all"
        if i in (9, 10):  # in batches of one, nothing is left of them
            content = content[: len(content) // 2]
        if i != 13:
            (images / name).write_bytes(content)
        lines += [{"image": name, "caption": c} for c in [caption, "the " + caption, "a picture"][: 1 + i % 3]]
    lines.append({"image": "digit_05.png", "caption": "far from the other captions"})
    lines.append({"image": "empty.png", "caption": "  "})
    (folder / "captions.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return images, folder / "captions.jsonl"


@pytest.fixture
def data(digits: Any, tmp_path: Path) -> tuple[Path, Path]:
    return make_data(digits, tmp_path)


SKIPPED = {
    "digit_03.png": "is no image of a known format",
    "digit_09.png": "OSError: ",
    "digit_10.png": "OSError: ",
    "digit_13.png": "cannot be read (No such file or directory)",
    "empty.png": "has no caption",
}


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def by_hand(
    encoder: Encoder, digits: Any, tmp_path_factory: pytest.TempPathFactory
) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[str]]:
    """Images, texts, index and captions, one at a time and straight from the files."""
    images, file = make_data(digits, tmp_path_factory.mktemp("by_hand"))
    from PIL import Image

    captions: dict[str, list[str]] = {}
    for line in map(json.loads, file.read_text().splitlines()):
        captions.setdefault(line["image"], []).append(line["caption"])
    kept = [name for name in captions if name not in SKIPPED]
    x = [encoder.encode_media(encoder.prepare([Image.open(images / name).convert("RGB")])) for name in kept]
    texts = [text for name in kept for text in captions[name]]
    y = [encoder.encode_texts([text]) for text in texts]
    index = [row for row, name in enumerate(kept) for _ in captions[name]]
    return np.concatenate(x), np.concatenate(y), np.array(index), texts


@pytest.mark.parametrize(("batch", "shard"), [(64, 1000), (4, 7), (1, 1), (5, 2)])
def test_run_with_any_batch_and_shard_size_writes_the_same_rows(
    batch: int, shard: int, encoder: Encoder, data: tuple[Path, Path], by_hand: Any, tmp_path: Path
) -> None:
    reports: list[tuple[int, int | None]] = []
    done = run(
        encoder, open_items(data[0], captions=data[1]), tmp_path / "out", batch=batch, shard=shard, workers=3,
        progress=lambda *n: reports.append(n),
    )  # fmt: skip
    x, y, index, texts = by_hand
    pairs = isthmus.open_pairs(done.x, done.y, index=np.load(done.index))
    assert pairs.names == ("image", "text")
    with pytest.raises(InputError, match=r"pair with --index .*index\.npy instead of a key"):
        isthmus.open_pairs(done.x, done.y, key="image_id")
    np.testing.assert_allclose(pairs.x.read(0, 99), x, atol=1e-5)
    np.testing.assert_allclose(pairs.y.read(0, 99), y, atol=1e-5)
    np.testing.assert_array_equal(np.load(done.index), index)
    assert (done.images, done.captions) == (len(x), len(y)) == (20, 43)
    assert reports[0] == (0, 25)
    assert reports[-1] == (25, 25)
    assert [n for n, _ in reports] == sorted(n for n, _ in reports)
    assert {s["image_id"]: s["reason"] for s in done.skipped}.keys() == SKIPPED.keys()
    for entry in done.skipped:
        assert entry["reason"].startswith(SKIPPED[entry["image_id"]])
    metadata = sorted((tmp_path / "out" / "metadata").iterdir(), key=lambda p: int(p.stem.rpartition("_")[2]))
    lines = [line for part in metadata for line in parquet.read_table(part).to_pylist()]
    assert [line["caption"] for line in lines] == texts
    assert [line["image"] for line in lines] == index.tolist()
    assert lines[0]["image_id"] == "digit_00.png"
    record = json.loads((tmp_path / "out" / "encode.json").read_text())
    assert record["complete"]
    assert record["skipped"] == done.skipped
    assert sum(s["images"] for s in record["shards"]) == 20


def test_run_records_model_versions_and_options(
    encoder: Encoder, clip: Path, data: tuple[Path, Path], tmp_path: Path
) -> None:
    import hashlib

    import transformers

    run(encoder, open_items(data[0], captions=data[1]), tmp_path / "out", normalize=True)
    record = json.loads((tmp_path / "out" / "encode.json").read_text())
    assert record["model"]["backend"] == "transformers"
    weights = hashlib.sha256((clip / "model.safetensors").read_bytes()).hexdigest()
    assert record["model"]["files"]["model.safetensors"] == weights
    assert record["versions"]["transformers"] == transformers.__version__
    assert record["preprocessing"]["image"]["size"] == {"shortest_edge": 24}
    assert record["input"]["captions"] == "captions.jsonl"
    assert record["options"] == {"device": "cpu", "dtype": "float32", "normalize": True, "batch": 64, "shard": 10_000}
    for side in ("img_emb", "text_emb"):
        rows = isthmus.sources.open_source(tmp_path / "out" / side).read(0, 99)
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)


#: Ends the program in the middle of the nth writing of an array; the work itself comes after it.
KILLED = """
import os, signal, sys
import numpy as np
whole, left = np.save, int(sys.argv.pop(1))
def save(file, *args, **kwargs):
    global left
    left -= 1
    if left == 0:
        file.write(b"half a file")
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    whole(file, *args, **kwargs)
np.save = save
"""
#: An encoder without a framework: the first pixels, and the first letters.
TOY = """
from isthmus.encode import Encoder, open_items, run
import numpy as np
class Toy(Encoder):
    backend, libraries = "toy", ("numpy", "pillow")
    def prepare(self, media):
        return [np.asarray(image).ravel()[100:108] for image in media]
    def encode_media(self, inputs):
        return np.array(inputs, dtype=np.float32) + 1
    def encode_texts(self, texts):
        return np.array([[ord(c) for c in text.ljust(8)[:8]] for text in texts], dtype=np.float32)
    def preprocessing(self):
        return {}
    media_features = text_features = None
def work(images, captions, out):
    return run(Toy(device="cpu", dtype="float32"), open_items(images, captions=captions), out, shard=5, batch=3)
"""
no_kill = pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")


def killed(code: str, write: int, *words: object) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED + code, str(write), *map(str, words)], capture_output=True, text=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr


def assert_resumes(out: Path, again: Callable[[Path], Any]) -> None:
    """`again` in the folder `out`, which a killed run has left, gives what it gives in a new one."""
    before = files(out)
    assert any(name.endswith(".part") for name in before)
    found, whole = again(out), again(out.parent / "whole")
    assert files(out) == files(out.parent / "whole")
    assert found.skipped == whole.skipped
    for name, content in before.items():  # what was whole is what it was
        if not name.endswith((".part", "encode.json")):
            assert files(out)[name] == content


@no_kill
@pytest.mark.parametrize("write", [1, 4, 11])  # the first images; captions of the second shard; the index
def test_run_after_a_kill_resumes_to_the_same_files(write: int, data: tuple[Path, Path], tmp_path: Path) -> None:
    names: dict[str, Any] = {}
    exec(TOY, names)
    killed(TOY + "work(*sys.argv[1:])", write, *data, tmp_path / "out")
    record = json.loads((tmp_path / "out" / "encode.json").read_text())
    assert not record["complete"]
    assert len(record["shards"]) == (write - 1) // 2
    assert_resumes(tmp_path / "out", lambda out: names["work"](*data, out))


@pytest.mark.slow
@no_kill
def test_encode_verb_after_a_kill_resumes_to_the_same_files(
    encoder: Encoder, clip: Path, data: tuple[Path, Path], tmp_path: Path
) -> None:
    words = ["encode", clip, data[0], "--captions", data[1], "-o", tmp_path / "out", "--shard", 5, "--batch", 3]
    killed("from isthmus.cli import main\nmain()", 6, *words, "--device", "cpu")
    reports: list[int] = []

    def again(out: Path) -> Any:
        items = open_items(data[0], captions=data[1])
        return run(encoder, items, out, shard=5, batch=3, progress=lambda done, _: reports.append(done))

    assert_resumes(tmp_path / "out", again)
    assert reports[0] == 10


def test_run_in_complete_folder_changes_nothing(encoder: Encoder, data: tuple[Path, Path], tmp_path: Path) -> None:
    items = open_items(data[0], captions=data[1])
    first = run(encoder, items, tmp_path / "out", shard=5)
    times = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*")}
    second = run(encoder, items, tmp_path / "out", shard=5)
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*")} == times
    assert first == second


def test_run_with_other_settings_raises(encoder: Encoder, data: tuple[Path, Path], tmp_path: Path) -> None:
    items = open_items(data[0], captions=data[1])
    run(encoder, items, tmp_path / "out", shard=5)
    before = files(tmp_path / "out")
    with pytest.raises(InputError, match=r"out: was started with options.shard = 5, now it is 6; give a new folder"):
        run(encoder, items, tmp_path / "out", shard=6)
    with pytest.raises(InputError, match=r"options.normalize = False, now it is True"):
        run(encoder, items, tmp_path / "out", shard=5, normalize=True)
    data[1].write_text(data[1].read_text().replace("bold", "thin"))
    with pytest.raises(InputError, match=r"input.captions_sha256"):
        run(encoder, open_items(data[0], captions=data[1]), tmp_path / "out", shard=5)
    assert files(tmp_path / "out") == before


def test_run_in_foreign_folder_raises(encoder: Encoder, data: tuple[Path, Path], tmp_path: Path) -> None:
    items = open_items(data[0], captions=data[1])
    with pytest.raises(InputError, match="images: holds files but no encode.json; give a new folder"):
        run(encoder, items, data[0])
    with pytest.raises(InputError, match=r"captions.jsonl: is a file, expected a folder"):
        run(encoder, items, data[1])
    with pytest.raises(InputError, match="cannot be written because .*no does not exist; create it first"):
        run(encoder, items, tmp_path / "no" / "out")
    with pytest.raises(InputError, match="batch is 0, expected at least 1"):
        run(encoder, items, tmp_path / "out", batch=0)
    (tmp_path / "made").mkdir()
    for content, message in (("{", "is not valid JSON"), ("{}", "is no record of"), ('{"format": 9}', "is no record")):
        (tmp_path / "made" / "encode.json").write_text(content)
        with pytest.raises(InputError, match=message):
            run(encoder, items, tmp_path / "made")
    assert not (tmp_path / "out").exists()


def test_run_without_usable_images_raises_and_leaves_no_folder(encoder: Encoder, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for i in range(3):
        (tmp_path / "images" / f"{i}.png").write_bytes(b"nothing")
    (tmp_path / "c.csv").write_text("image,caption\n0.png,a\n1.png,b\n2.png,c\n")
    items = open_items(tmp_path / "images", captions=tmp_path / "c.csv")
    with pytest.raises(InputError, match=r"0 images could be encoded, expected at least two: 0.png is no image of a"):
        run(encoder, items, tmp_path / "out", shard=2)
    assert not (tmp_path / "out").exists()


def test_run_with_infinite_vectors_raises(clip: Path, data: tuple[Path, Path], tmp_path: Path) -> None:
    import torch

    broken = open_encoder(str(clip), device="cpu")
    with torch.no_grad():
        broken.model.visual_projection.weight[0, 0] = torch.inf  # type: ignore[attr-defined]
    with pytest.raises(
        InputError, match=r"digit_00.png: the model returns NaN or infinite values in float32; its weights"
    ):
        run(broken, open_items(data[0], captions=data[1]), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_run_converts_every_image_mode_to_rgb(encoder: Encoder, tmp_path: Path) -> None:
    """Grey, with palette, transparent, with four inks: what Pillow's own conversion to RGB gives."""
    from PIL import Image

    colours = Image.fromarray(np.random.default_rng(0).integers(0, 255, size=(30, 40, 3), dtype=np.uint8))
    kinds = {
        "rgb.png": colours, "grey.png": colours.convert("L"), "palette.gif": colours.convert("P"),
        "clear.png": colours.convert("RGBA"), "inks.jpg": colours.convert("CMYK"), "bits.bmp": colours.convert("1"),
    }  # fmt: skip
    for name, image in kinds.items():
        image.save(tmp_path / name)
    see_through = colours.convert("P")
    see_through.save(tmp_path / "through.png", transparency=bytes(range(100)))
    names = [*kinds, "through.png"]
    (tmp_path / "c.csv").write_text("image,caption\n" + "".join(f"{name},a\n" for name in names))
    done = run(encoder, open_items(tmp_path, captions=tmp_path / "c.csv"), tmp_path / "out")
    assert done.skipped == []
    x = isthmus.sources.open_source(done.x).read(0, 9)
    for row, name in zip(x, names, strict=True):
        with Image.open(tmp_path / name) as image:
            rgb = (image.convert("RGBA") if name == "through.png" else image).convert("RGB")
        np.testing.assert_allclose(row, encoder.encode_media(encoder.prepare([rgb]))[0], atol=1e-5)


def test_run_with_sounds_decodes_and_resamples_them(clap: Path, tmp_path: Path) -> None:
    from scipy.io import wavfile

    encoder = open_encoder(str(clap), device="cpu")
    time = np.arange(16_000) / 16_000
    tones = {f"{pitch}.wav": np.sin(2 * np.pi * pitch * time) for pitch in (220, 440, 880)}
    kinds = {
        "220.wav": lambda s: (s * 32767).astype(np.int16),
        "440.wav": lambda s: np.stack([s, s], axis=1).astype(np.float32),
        "880.wav": lambda s: np.round(s * 127 + 128).astype(np.uint8),
    }
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for name, tone in tones.items():
            file = io.BytesIO()
            wavfile.write(file, 16_000, kinds[name](tone))
            for path, content in ((name, file.getvalue()), (name.replace("wav", "txt"), b"a number")):
                info = tarfile.TarInfo(path)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    done = run(encoder, open_items(tmp_path / "a.tar"), tmp_path / "out", batch=2)
    assert done.skipped == []
    assert done.x.name == "audio_emb"
    assert isthmus.open_pairs(done.x, done.y).names == ("audio", "text")
    x = isthmus.sources.open_source(done.x).read(0, 9)
    for row, tone in zip(x, tones.values(), strict=True):
        # At half the rate every second sample is the same tone; the filter leaves a rim at both ends.
        same = encoder.encode_media(encoder.prepare([tone[::2].astype(np.float32)]))[0]
        assert same @ row / np.linalg.norm(same) / np.linalg.norm(row) > 0.999


def verb(*words: object, capsys: pytest.CaptureFixture[str]) -> str:
    from isthmus.cli import app

    app([*map(str, words)], standalone_mode=False)
    return capsys.readouterr().out


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_HUB_OFFLINE", "HF_HUB_DISABLE_PROGRESS_BARS"):
        monkeypatch.setenv(name, os.environ.get(name, "0"))  # put back afterwards


@pytest.mark.usefixtures("environment")
def test_encode_verb_prints_a_summary_and_json(
    clip: Path, data: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["encode", clip, data[0], "--captions", data[1], "-o", tmp_path / "out"]
    text = verb(*words, capsys=capsys)
    assert "Encoded 20 images and 43 captions" in text
    assert "skipped with its captions: digit_03.png is no image of a known format" in text
    command = text.splitlines()[-1].removeprefix("Next: isthmus ").split()
    measured = verb(*command, "--json", capsys=capsys)
    assert json.loads(measured)["pairs"]["n"] == 43
    found = json.loads(verb(*words, "--json", capsys=capsys))
    assert (found["images"], found["captions"], len(found["skipped"]), found["unchanged"]) == (20, 43, 5, True)
    assert f"left to do: 20 images and 43 captions are in {tmp_path / 'out'} already" in verb(*words, capsys=capsys)


@pytest.mark.usefixtures("environment")
def test_encode_verb_shows_a_bar_on_terminals_only(
    clip: Path, data: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    from isthmus.cli import encoding

    clock = iter(range(0, 1000, 2))
    monkeypatch.setattr(encoding.time, "monotonic", lambda: next(clock))
    for number, (extra, shown) in enumerate([([], True), (["--json"], False)]):
        terminal = Terminal()
        monkeypatch.setattr(sys, "stderr", terminal)
        monkeypatch.setenv("TERM", "xterm")
        verb("encode", clip, data[0], "--captions", data[1], "-o", tmp_path / f"{number}", *extra, capsys=capsys)
        assert ("images/s" in terminal.getvalue()) == shown
        assert ("encoding" in terminal.getvalue()) == shown
