"""The command line: every kind of bad input ends in one clear line and exit code 2, and nothing is written."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

import isthmus
from command_line import isthmus_


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Good files beside one of each kind of bad ones."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 40, 6)).astype(np.float32) + 1
    np.save(tmp_path / "image.npy", x)
    np.save(tmp_path / "text.npy", y)
    np.save(tmp_path / "short.npy", y[:30])
    np.save(tmp_path / "narrow.npy", y[:, :5])
    np.save(tmp_path / "empty.npy", y[:0])
    np.save(tmp_path / "one.npy", y[:1])
    np.save(tmp_path / "flat.npy", y[0])
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    (tmp_path / "cut.npy").write_bytes((tmp_path / "text.npy").read_bytes()[:-100])
    (tmp_path / "garbage.npy").write_bytes(b"nonsense")
    for name, value in (("nan", np.nan), ("inf", -np.inf), ("zero", 0)):
        bad = y.copy()
        bad[[3, 17]] = value
        np.save(tmp_path / f"{name}.npy", bad)
    return tmp_path


BAD = {
    "absent.npy": "no such file or folder; give the path of an embedding file",
    "cut.npy": "is truncated: its header states 960 bytes of data for shape (40, 6), 860 are there",
    "garbage.npy": "is not a complete .npy file",
    "objects.npy": "holds Python objects (pickled), which are never loaded",
    "empty.npy": "is empty (shape (0, 6)), expected at least two rows",
    "one.npy": "has one row (shape (1, 6)), expected at least two",
    "flat.npy": "has shape (6,), expected two dimensions (rows, width)",
    "short.npy": "has 40 rows and",
    "narrow.npy": "has width 6 and",
    "nan.npy": "rows 3, 17 (counted from 0) hold null, NaN or infinite values; remove these pairs",
    "inf.npy": "rows 3, 17 (counted from 0) hold null, NaN or infinite values; remove these pairs",
    "zero.npy": "rows 3, 17 (counted from 0) are all zeros and have no direction",
}


@pytest.mark.parametrize("verb", ["measure", "report", "fit"])
@pytest.mark.parametrize("name", BAD)
def test_bad_embeddings(verb: str, name: str, folder: Path) -> None:
    before = sorted(p.name for p in folder.iterdir())
    words = {"measure": ["measure"], "report": ["report"], "fit": ["fit", "Centering"]}[verb]
    out = ["-o", folder / {"measure": "out.json", "report": "out.html", "fit": "out.safetensors"}[verb]]
    done = isthmus_(*words, folder / "image.npy", folder / name, *out)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("isthmus: error: ")
    assert BAD[name] in lines[0]
    assert name in lines[0]
    assert sorted(p.name for p in folder.iterdir()) == before


def refused(done: subprocess.CompletedProcess[str], *parts: str) -> None:
    assert done.returncode == 2, done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    for part in parts:
        assert part in lines[0]


def test_outputs_that_cannot_be_written(folder: Path) -> None:
    files = folder / "image.npy", folder / "text.npy"
    for words in (["report", *files], ["fit", "Centering", *files], ["measure", *files], ["demo"]):
        refused(
            isthmus_(*words, "-o", folder / "no" / "out"), "cannot be written because the folder", "create it first"
        )
        refused(isthmus_(*words, "-o", folder), "is a folder, expected the name of a file")


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes anywhere")
def test_a_folder_without_permission(folder: Path) -> None:
    (folder / "locked").mkdir(mode=0o500)
    refused(
        isthmus_("report", folder / "image.npy", folder / "text.npy", "-o", folder / "locked" / "out.html"),
        "cannot be written; check the permissions",
    )


def test_unknown_names(folder: Path) -> None:
    files = folder / "image.npy", folder / "text.npy"
    refused(
        isthmus_("fit", "Centring", *files, "-o", folder / "a"), "unknown aligner 'Centring': did you mean 'Centering'?"
    )
    refused(isthmus_("fit", "Centering", *files, "-o", folder / "a", "--set", "x=1"), "unknown option of Centering 'x'")
    refused(isthmus_("fit", "Centering", *files, "-o", folder / "a", "--set", "x"), "expected NAME=VALUE")
    refused(isthmus_("list", "metric"), "unknown entry 'metric': did you mean 'metrics'?")
    refused(isthmus_("demo", "--run", "plane", "-o", folder / "a"), "unknown demo run 'plane': did you mean 'plain'?")
    assert not (folder / "a").exists()


def test_names_collide(folder: Path) -> None:
    refused(isthmus_("measure", folder / "image.npy", folder / "image.npy"), "would both be called 'image'", "--names")


def test_apply_refuses(folder: Path) -> None:
    saved, out = folder / "a.safetensors", folder / "out.npy"
    assert isthmus_("fit", "Centering", folder / "image.npy", folder / "text.npy", "-o", saved).returncode == 0
    refused(
        isthmus_("apply", folder / "absent", folder / "image.npy", "-o", out),
        "no such file or folder; give an aligner saved by `isthmus fit`",
    )
    refused(isthmus_("apply", folder / "image.npy", folder / "image.npy", "-o", out), "not a complete safetensors file")
    refused(isthmus_("apply", saved, folder / "short.npy", "-o", out), "unknown modality 'short'", "image or text")
    narrow = isthmus_("apply", saved, folder / "narrow.npy", "--modality", "text", "-o", out)
    refused(narrow, "narrow.npy: got rows of dimension", "expected 6 for text", "give rows of the same model")
    refused(isthmus_("apply", saved, folder / "nan.npy", "--modality", "text", "-o", out), "nan.npy: rows 3, 17")
    refused(isthmus_("apply", saved, folder / "image.npy", "-o", folder / "out.txt"), "ends in one of")
    before = (folder / "image.npy").read_bytes()
    refused(
        isthmus_("apply", saved, folder / "image.npy", "-o", folder / "image.npy"), "is the file that is being read"
    )
    assert (folder / "image.npy").read_bytes() == before
    assert not out.exists()


def test_inspect_reports_what_is_wrong(folder: Path) -> None:
    np.save(folder / "twice.npy", np.tile(np.load(folder / "image.npy"), (2, 1)))
    done = isthmus_("inspect", folder / "nan.npy", folder / "zero.npy", folder / "twice.npy", "--json")
    nan, zero, twice = json.loads(done.stdout)["sources"]
    assert (nan["non_finite"], nan["non_finite_rows"], zero["zero"], zero["zero_rows"]) == (2, [3, 17], 2, [3, 17])
    assert (twice["duplicates"], twice["rows"], twice["width"], twice["dtype"]) == (40, 80, 6, "float32")
    norms = np.linalg.norm(np.load(folder / "image.npy"), axis=1)
    assert twice["norm_low"] == pytest.approx(norms.min(), rel=1e-6)
    assert twice["norm_mean"] == pytest.approx(norms.mean(), rel=1e-6)
    text = isthmus_("inspect", folder / "nan.npy").stdout
    assert "2 rows: 3, 17" in text
    refused(isthmus_("inspect", folder / "cut.npy"), "is truncated")


def test_inspect_says_whether_rows_look_paired(folder: Path) -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(300, 8)) + 2
    np.save(folder / "x.npy", x)
    np.save(folder / "y.npy", x + rng.normal(size=x.shape))
    np.save(folder / "z.npy", (x + rng.normal(size=x.shape))[rng.permutation(300)])
    assert "Paired? yes: mean cosine" in isthmus_("inspect", folder / "x.npy", folder / "y.npy").stdout
    assert "Paired? no sign that the rows match" in isthmus_("inspect", folder / "x.npy", folder / "z.npy").stdout
    assert "300 rows against 40" in isthmus_("inspect", folder / "x.npy", folder / "image.npy").stdout
    np.save(folder / "x60.npy", x[:60])
    np.save(folder / "index.npy", np.arange(300) // 5)
    np.save(folder / "captions.npy", np.repeat(x[:60], 5, axis=0) + rng.normal(size=x.shape))
    files = folder / "x60.npy", folder / "captions.npy"
    indexed = isthmus_("inspect", *files, "--index", folder / "index.npy").stdout
    assert "Paired? yes" in indexed
    np.save(folder / "x60-flat.npy", np.repeat(x[:60], 5, axis=0))
    verdict = indexed.splitlines()[-1]
    for names in (("x60-flat.npy", "captions.npy"), ("captions.npy", "x60-flat.npy")):
        assert verdict in isthmus_("inspect", *(folder / name for name in names)).stdout


def test_measure_prints_a_table_and_writes_json(folder: Path) -> None:
    done = isthmus_("measure", folder / "image.npy", folder / "text.npy", "-o", folder / "out.json")
    assert "centroid_angle" in done.stdout
    assert json.loads((folder / "out.json").read_text())["version"] == isthmus.__version__


def test_list_shows_every_registered_thing() -> None:
    done = isthmus_("list", "--json")
    rooms = json.loads(done.stdout)
    ours = {name for name, cls in isthmus.align.registry().items() if cls.__module__.startswith("isthmus.")}
    assert set(rooms["aligners"]) == ours
    assert set(rooms["metrics"]) == set(isthmus.metrics.registry())
    assert set(rooms["runs"]) == {"plain", "warm", "collapsed"}
    assert "clip-retrieval" in isthmus_("list", "sources").stdout
    kinds = [set(json.loads(isthmus_("list", kind, "--json").stdout)[kind]) for kind in ("formats", "stores")]
    assert "npy" in kinds[0]
    assert "qdrant" in kinds[1]
    assert set.union(*kinds) == set(json.loads(isthmus_("list", "sources", "--json").stdout)["sources"])
    assert "runs it" in isthmus_("list", "theorem_1").stdout


def test_no_verb_shows_help() -> None:
    done = isthmus_()
    for verb in ("demo", "inspect", "measure", "report", "fit", "apply", "list"):
        assert verb in done.stdout + done.stderr


def test_measures_are_chosen_and_labels_and_captions_reach_them(folder: Path) -> None:
    rng = np.random.default_rng(1)
    np.save(folder / "labels.npy", rng.integers(0, 3, size=40))
    np.save(folder / "index.npy", np.repeat(np.arange(40), 2))
    np.save(
        folder / "captions.npy", np.repeat(np.load(folder / "text.npy"), 2, axis=0) + 0.1 * rng.normal(size=(80, 6))
    )
    labels, index = ["--labels", folder / "labels.npy"], ["--index", folder / "index.npy"]
    words = ["measure", folder / "image.npy", folder / "captions.npy", *labels, *index, "--json", "--metrics"]
    found = json.loads(isthmus_(*words, "predicted_class_gini_image,first order").stdout)
    assert found["pairs"]["items"] == 40
    assert found["pairs"]["n"] == 80
    assert next(iter(found["metrics"])) == "predicted_class_gini_image"
    assert "centroid_angle" in found["metrics"]
    shown = isthmus_("measure", folder / "image.npy", folder / "text.npy", "--metrics", "fast").stdout
    assert "FIRST ORDER" in shown
    assert "NEIGHBOURS" not in shown
    refused(isthmus_("measure", folder / "image.npy"), "alone, expected the embeddings of two modalities or more")
    refused(isthmus_("measure", folder / "image.npy", folder / "text.npy", "--metrics", "rnk"), "unknown measure 'rnk'")


def test_list_of_one_name_shows_this_entry_alone() -> None:
    shown = isthmus_("list", "R@1").stdout
    assert "{x}_to_{y}_R@1" in shown
    assert "{y}_to_{x}_R@1" in shown
    assert "R@5" not in shown
    assert isthmus_("list", "score-calibration").stdout.startswith("aligners\n  ScoreCalibration\n")
    assert "centroid_angle" in isthmus_("list", "angle").stdout
    refused(isthmus_("list", "centroid_angel"), "unknown entry 'centroid_angel': did you mean 'centroid_angle'?")


def test_short_names_of_measures_are_expanded(folder: Path) -> None:
    files = folder / "image.npy", folder / "text.npy"
    done = isthmus_("measure", *files, "--json", "--metrics", "R@1,angle,rmg,effective_rank")
    assert list(json.loads(done.stdout)["metrics"]) == [
        "image_to_text_R@1", "text_to_image_R@1", "centroid_angle", "relative_modality_gap", "effective_rank_image",
        "effective_rank_text",
    ]  # fmt: skip


def test_outputs_with_another_ending_are_refused(folder: Path) -> None:
    files = folder / "image.npy", folder / "text.npy"
    refused(isthmus_("report", *files, "-o", folder / "page.pdf"), "a page is written as .html or .htm")
    refused(isthmus_("demo", "-o", folder / "page.txt"), "a page is written as .html or .htm")
    refused(isthmus_("fit", "Centering", *files, "-o", folder / "a.pkl"), "an aligner is written as .safetensors")
    refused(isthmus_("measure", *files, "-o", folder / "a.txt"), "a result is written as .json, .csv, .md or .tex")


def test_help_of_every_verb_has_an_example_that_names_real_options() -> None:
    import re

    from isthmus.cli._help import VERBS

    examples = {(name,): verb.example for name, verb in VERBS.items()}
    groups = [("train", "demo"), ("theory", "all"), ("theory", "list"), ("theory", "theorem_1")]
    for words in [*examples, *groups]:
        shown = isthmus_(*words, "--help").stdout
        example = examples.get(words) or " ".join(shown.split()).split("Example: ")[1]
        verb = words[0]
        assert f"Example: {example}" in " ".join(shown.split()), verb
        for option in re.findall(r" (--?[a-z-]+)", example):
            assert option in shown, (verb, option)


def test_usage_of_an_experiment_is_the_line_that_one_types() -> None:
    assert isthmus_("theory", "theorem_3", "--help").stdout.splitlines()[0].endswith(" theory [OPTIONS] NAME")
