"""Inputs one step away from two matrices, through the verbs of the command line."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import isthmus
from command_line import isthmus_
from isthmus import InputError, IsthmusWarning
from isthmus.cli import app

RNG = np.random.default_rng(4)
SHARED = RNG.normal(size=(120, 16)) / 4
X = (SHARED + RNG.normal(size=SHARED.shape) / 9 + np.eye(16)[0]).astype(np.float32)
Y = (SHARED + RNG.normal(size=SHARED.shape) / 9 + np.eye(16)[1]).astype(np.float32)


def angle(x: np.ndarray, y: np.ndarray) -> float:
    """Return the angle between the mean directions in degrees, in NumPy alone."""
    means = [(rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(float).mean(axis=0) for rows in (x, y)]
    return float(np.degrees(np.arccos(means[0] @ means[1] / np.linalg.norm(means[0]) / np.linalg.norm(means[1]))))


def run(*arguments: Any) -> str:
    """Return what a command prints to standard output."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", IsthmusWarning)
        result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def measured(*arguments: Any) -> tuple[float, int]:
    """Return the angle that `isthmus measure` prints, and the number of pairs."""
    values = json.loads(run("measure", *arguments, "--metrics", "centroid_angle", "--json"))
    return values["metrics"]["centroid_angle"]["plugin"], values["pairs"]["n"]


def run_quick_verbs(folder: Path, x: Path | str, y: Path | str, *options: Any) -> None:
    """Inspect two files, fit an aligner to them, and apply it."""
    named = ("--names", "image,text", *options)
    assert "Paired? yes" in run("inspect", x, y, *options)
    assert "Fitted Centering" in run("fit", "Centering", x, y, *named, "-o", folder / "a.safetensors")
    assert "Wrote" in run("apply", folder / "a.safetensors", x, folder / "out.npy", "--modality", "image", *options)


def run_slow_verbs(folder: Path, x: Path | str, y: Path | str, *options: Any) -> None:
    """Run the other verbs that take two files."""
    named = ("--names", "image,text", *options)
    values = json.loads(run("measure", x, y, *named, "--metrics", "centroid_angle", "--json"))["metrics"]
    assert f"{values['centroid_angle']['value']:.1f} degrees" in run("explain", x, y, *named)
    run_quick_verbs(folder, x, y, *options)
    assert "Adapted" in run("adapt", folder / "a.safetensors", x, y, *options, "-o", folder / "b.safetensors")
    chosen = ("--tasks", "retrieval", "--aligners", "Identity,Centering", "--splits", "1")
    assert "pairs to fit on" in run("compare", x, y, *named, *chosen)
    assert "gap" in run("intervene", x, y, *named, "--interventions", "translate")


def test_verbs_read_a_folder_of_one_vector_a_file(tmp_path: Path) -> None:
    for name, rows in (("image", X), ("text", Y)):
        (tmp_path / name).mkdir()
        for number, row in enumerate(rows[:60]):
            np.save(tmp_path / name / f"{number:04d}.npy", row.astype(np.float16))
    assert measured(tmp_path / "image", tmp_path / "text") == pytest.approx(
        (angle(X[:60].astype(np.float16), Y[:60].astype(np.float16)), 60), abs=0.01
    )


def test_verbs_read_every_kind_of_tensors_in_a_file(tmp_path: Path) -> None:
    tensors = {"vision": torch.tensor(X), "text": torch.tensor(Y) * 100, "audio": torch.tensor(X + 0.1) * 20}
    torch.save(tensors | {"logit_scale": torch.tensor(4.6)}, tmp_path / "modalities.pt")
    torch.save([torch.tensor(X[start : start + 50]) for start in range(0, 120, 50)], tmp_path / "batches.pt")
    torch.save({"image": list(torch.tensor(X)), "text": list(torch.tensor(Y))}, tmp_path / "lists.pt")
    torch.save({f"{number:06d}.jpg": row for number, row in enumerate(torch.tensor(X))}, tmp_path / "by_name.pt")
    torch.save({"image": torch.tensor(X).bfloat16()}, tmp_path / "half.pt")
    text, names = f"{tmp_path}/lists.pt::text", ("--names", "a,b")
    for first in ("modalities.pt::vision", "batches.pt", "lists.pt::image", "by_name.pt"):
        assert measured(f"{tmp_path}/{first}", text, *names) == pytest.approx((angle(X, Y), 120), abs=1e-4)
    half = torch.tensor(X).bfloat16().float().numpy()
    assert measured(f"{tmp_path}/half.pt", text, *names)[0] == pytest.approx(angle(half, Y), abs=1e-4)
    matrix = run("measure", *(f"{tmp_path}/modalities.pt::{n}" for n in ("vision", "text", "audio")))
    estimate = isthmus.measure(X, Y, metrics="angle")["centroid_angle"]  # the matrix shows it without its bias
    assert f"{estimate.value:.1f}" in matrix
    for path in ("modalities.pt", "lists.pt"):
        with pytest.raises(InputError, match="holds the arrays .* select one, such as") as caught:
            run("inspect", tmp_path / path)
        assert len(str(caught.value)) <= 300


def test_verbs_squeeze_and_pool_sets_of_vectors(tmp_path: Path) -> None:
    sets = np.repeat(X[:, None], 6, axis=1) + (RNG.normal(size=(120, 6, 16)) / 50).astype(np.float32)
    counts = 1 + np.arange(120) % 6
    sets[np.arange(6) >= counts[:, None]] = 0
    pooled = sets.sum(axis=1) / counts[:, None]
    np.save(tmp_path / "sets.npy", sets)
    np.save(tmp_path / "text.npy", Y)
    np.save(tmp_path / "one.npy", X[:, None])
    np.save(tmp_path / "stack.npy", np.stack([X, Y]))
    assert measured(tmp_path / "one.npy", tmp_path / "text.npy")[0] == pytest.approx(angle(X, Y), abs=1e-4)
    assert measured(f"{tmp_path}/stack.npy::0", f"{tmp_path}/stack.npy::1")[0] == pytest.approx(angle(X, Y), abs=1e-4)
    assert measured(tmp_path / "stack.npy")[0] == pytest.approx(angle(X, Y), abs=1e-4)
    assert isthmus.measure(tmp_path / "stack.npy", metrics="centroid_angle").pairs["names"] == ["x", "y"]
    found = measured(tmp_path / "sets.npy", tmp_path / "text.npy", "--pool", "mean")[0]
    assert found == pytest.approx(angle(pooled, Y), abs=1e-4)
    run_quick_verbs(tmp_path, tmp_path / "sets.npy", tmp_path / "text.npy", "--pool", "mean")
    for verb in (("inspect",), ("fit", "Centering"), ("measure",)):
        with pytest.raises(InputError, match=r"has shape \(120, 6, 16\): 6 vectors an item.*--pool mean, max or first"):
            run(*verb, tmp_path / "sets.npy", tmp_path / "text.npy")
    modalities = isthmus.Modalities(image=sets, text=Y, audio=X, pool="mean").measure(metrics="centroid_angle")
    assert modalities["image", "text"]["centroid_angle"].plugin == pytest.approx(angle(pooled, Y), abs=1e-4)


def test_verbs_leave_out_invalid_rows_of_both_modalities(tmp_path: Path) -> None:
    x, y = X.copy(), Y.copy()
    x[[3, 50]], x[[9, 10]], y[70] = np.nan, 0, 0
    usable = np.isfinite(x).all(axis=1) & x.any(axis=1) & y.any(axis=1)
    np.save(tmp_path / "image.npy", x)
    np.save(tmp_path / "text.npy", y)
    paths = (tmp_path / "image.npy", tmp_path / "text.npy")
    assert measured(*paths, "--drop-bad") == pytest.approx((angle(x[usable], y[usable]), 115), abs=1e-4)
    run_quick_verbs(tmp_path, *paths, "--drop-bad")
    assert np.load(tmp_path / "out.npy").shape == (116, 16)
    with pytest.warns(IsthmusWarning, match="left out 4 of 120 image rows: they are NaN, infinite or all zeros"):
        isthmus.data.invalid_rows.usable_sources({"image": isthmus.sources.open_source(paths[0])}, paired=False)
    with pytest.raises(InputError, match=r"rows 3.* rows 9.*; .*text.npy: row 70 .* --drop-bad"):
        run("measure", *paths)
    fitted = run(
        "fit", "ScoreCalibration", *paths, paths[0], "--names", "a,b,c", "--drop-bad", "-o", tmp_path / "c.safetensors"
    )
    assert "115 a, 115 b, 115 c" in fitted
    unpaired = run("fit", "Centering", *paths, "--unpaired", "--drop-bad", "-o", tmp_path / "d.safetensors")
    assert "116 image and 119 text" in unpaired


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["pooled", "dropped", "codes", "raw", "folder"])
def test_every_verb_reads_every_kind(kind: str, tmp_path: Path) -> None:
    x, y = X.copy(), Y
    options: tuple[Any, ...] = ()
    if kind == "pooled":
        x, options = np.stack([X, 2 * X, 0 * X], axis=1), ("--pool", "max")
    elif kind == "dropped":
        x[7], options = np.inf, ("--drop-bad",)
    elif kind == "codes":
        x, y = np.round(X * 100).astype(np.int8), np.round(Y * 100).astype(np.int8)
        options = ("--scale", "0.01")
    elif kind == "raw":
        options = ("--raw", "float32:16")
    for name, rows in (("image", x), ("text", y)):
        if kind == "folder":
            (tmp_path / name).mkdir()
            for number, row in enumerate(rows):
                np.save(tmp_path / name / f"{number}.npy", row)
        elif kind == "raw":
            (tmp_path / name).write_bytes(rows.tobytes())
        else:
            np.save(tmp_path / f"{name}.npy", rows)
    suffix = "" if kind in ("folder", "raw") else ".npy"
    run_slow_verbs(tmp_path, tmp_path / f"image{suffix}", tmp_path / f"text{suffix}", *options)


def test_transform_takes_rows_of_any_kind_and_refuses_codes() -> None:
    aligner = isthmus.align.Centering().fit(X, Y)
    expected = aligner.transform_x(X)
    for rows in (X.tolist(), X[:, None], list(X), isthmus.sources.Source(X, address="image"), torch.tensor(X)):
        np.testing.assert_allclose(np.asarray(aligner.transform_x(rows)), expected, atol=1e-6)
    for codes in ((X * 50).astype(np.int8), torch.tensor(X * 9).to(torch.uint8)):
        with pytest.raises(InputError, match="codes, which are no embeddings without their scale"):
            aligner.transform_x(codes)


def test_tensors_with_a_gradient_are_measured_silently() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        x = torch.tensor(X, requires_grad=True)
        value = isthmus.measure(x, torch.nn.Parameter(torch.tensor(Y)), metrics="centroid_angle")[
            "centroid_angle"
        ].plugin
    assert value == pytest.approx(angle(X, Y), abs=1e-4)


def test_floats_that_hold_codes_are_warned_of() -> None:
    codes = np.round(X * 60).astype(np.float32)
    with pytest.warns(IsthmusWarning, match="x: the first rows hold whole numbers only, like codes of a quantiser"):
        isthmus.open_pairs(codes, Y)
    isthmus.open_pairs(np.eye(16), Y[:16])  # one-hot rows are no codes


def test_empty_argument_or_one_file_is_refused_in_one_sentence(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    with pytest.raises(InputError, match="the argument after `inspect` is empty; give a path"):
        CliRunner().invoke(app, ["inspect", ""], catch_exceptions=False)
    alone = ["fit", "Translation", str(tmp_path / "x.npy"), "-o", str(tmp_path / "a.safetensors")]
    with pytest.raises(InputError, match=r"got .*x.npy alone, expected the embeddings of two modalities"):
        CliRunner().invoke(app, alone, catch_exceptions=False)
    both = tmp_path / "clip.npz"
    np.savez(both, image=X, text=Y)
    message = r"clip.npz: holds the arrays image, text; give two of them as \S*clip.npz::image \S*clip.npz::text"
    with pytest.raises(InputError, match=message):
        isthmus.measure(both)
    for arguments in (["measure", both], ["fit", "Centering", both, "-o", tmp_path / "a.safetensors"]):
        with pytest.raises(InputError, match=message):
            run(*arguments)


@pytest.mark.parametrize(("transposed", "warned"), [("image", True), ("text", True), ("both", True), ("none", False)])
def test_transposed_files_are_named(transposed: str, warned: bool, tmp_path: Path) -> None:
    rows = {"image": X, "text": Y}
    for name in rows:
        unit = rows[name] / np.linalg.norm(rows[name], axis=1, keepdims=True)
        np.save(tmp_path / f"{name}.npy", unit.T if transposed in (name, "both") else unit)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", IsthmusWarning)
        paths = [str(tmp_path / "image.npy"), str(tmp_path / "text.npy")]
        inspected = CliRunner().invoke(app, ["inspect", *paths]).output
    found = [str(warning.message) for warning in caught if "looks transposed" in str(warning.message)]
    assert len(found) == {"none": 0, "both": 2}.get(transposed, 1)
    assert all("has shape (16, 120)" in message and len(message) <= 300 for message in found)
    assert ("one of them is transposed" in inspected) == (transposed in ("image", "text"))
    assert "Two sets without pairs" not in inspected


def test_unknown_option_names_the_verbs_that_have_it(capsys: pytest.CaptureFixture[str]) -> None:
    from isthmus.cli import main

    for arguments, message in (
        (
            ["inspect", "a.npy", "b.npy", "--names", "a,b"],
            "unknown option '--names', which is an option of fit, measure",
        ),
        (["compare", "a.npy", "b.npy", "--metrics", "cka"], "'--metrics', which is an option of measure; run"),
        (["encode", "model", "photos", "-o", "rows", "--raw"], "unknown option '--raw', which is an option of inspect"),
        (["measure", "a.npy", "b.npy", "--name", "a,b"], "unknown option '--name': did you mean '--names'; run"),
        (["measure", "a.npy", "b.npy", "--xyz", "a"], "unknown option '--xyz'; run"),
    ):
        with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as ended:
            patch.setattr("sys.argv", ["isthmus", *arguments])
            patch.setattr(warnings, "showwarning", warnings.showwarning)  # which main replaces
            main()
        assert ended.value.code == 2
        assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            "compare a b third",
            "got a third file, expected two: third; compare two modalities at a time, or all with `is",
        ),
        ("intervene a b third", "and give files of matching rows as --index and of classes as --labels; run"),
        ("demo a b", "expected no argument, got a b; run"),
        ("export a b c", "expected no more than ALIGNER FOLDER, got c; run"),
    ],
)
def test_further_arguments_name_what_is_expected(arguments: str, message: str) -> None:
    process = isthmus_(*arguments.split())
    assert process.returncode == 2
    assert message in process.stderr
    assert len(process.stderr) <= 300


def test_row_numbers_as_a_third_file_name_the_option(tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}.npy" for name in ("image", "text", "index")]
    for path, rows in zip(paths, (X, Y, np.arange(len(X))), strict=True):
        np.save(path, rows)
    for verb in ("measure", "explain", "report"):
        process = isthmus_(verb, *paths)
        assert process.returncode == 2
        assert "--index or --labels (index=, labels=) takes one number for each row" in process.stderr


def test_raw_dtype_without_a_size_is_refused(tmp_path: Path) -> None:
    (tmp_path / "image.bin").write_bytes(X.tobytes())
    with pytest.raises(InputError, match="float has no size, expected a dtype such as float32:16"):
        isthmus.sources.open_source(tmp_path / "image.bin", raw="float:16")


def test_modalities_warn_of_raw_that_no_file_needs(tmp_path: Path) -> None:
    for name, rows in (("image", X), ("text", Y)):
        np.save(tmp_path / f"{name}.npy", rows)
    with pytest.warns(IsthmusWarning, match="raw=float32:8 .--raw. is not used"):
        isthmus.Modalities.open(tmp_path / "image.npy", tmp_path / "text.npy", raw="float32:8")


@pytest.mark.parametrize(("verb", "matrix"), [("measure", "mean_unpaired_cosine"), ("explain", "orientation")])
def test_three_modalities_without_pairs_have_matrices(verb: str, matrix: str, tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}.npy" for name in ("image", "text", "audio")]
    for path, rows in zip(paths, (X, Y[:-5], Y), strict=True):
        np.save(path, rows)
    process = isthmus_(verb, *paths, "--unpaired")
    assert process.returncode == 0, process.stderr
    assert f"\n{matrix}" in process.stdout
    assert "R@1" not in process.stdout
    assert isthmus_(verb, *paths).stderr.endswith("or measure sets without pairs (--unpaired, unpaired=True)\n")


def test_fit_names_its_option_for_rows_without_pairs() -> None:
    with pytest.raises(InputError, match="an option of measure and explain, expected paired=False in fit"):
        isthmus.align.Centering().fit(X, Y[:-5], unpaired=True)


def test_inspect_of_three_files_judges_each_two_of_them(tmp_path: Path) -> None:
    for name, rows in {"image": X, "text": Y, "audio": Y[::-1]}.items():
        np.save(tmp_path / f"{name}.npy", rows)
    paths = [tmp_path / f"{name}.npy" for name in ("image", "text", "audio")]
    out = run("inspect", *paths)
    assert "Paired, image.npy and text.npy? yes: mean cosine" in out
    assert "Paired, image.npy and audio.npy? no" in out
    pairings = json.loads(run("inspect", *paths, "--json"))["pairings"]
    assert [entry["looks_paired"] for entry in pairings.values()] == [True, False, False]


def test_inspect_prints_the_warning_of_a_file_once(tmp_path: Path) -> None:
    torch.save([torch.tensor(X), torch.tensor(X)], tmp_path / "two.pt")
    assert isthmus_("inspect", tmp_path / "two.pt").stderr.count("read as batches of one modality") == 1
