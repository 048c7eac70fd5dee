"""The verbs `fit`, `apply` and `adapt`: inputs of a fit, outputs of aligned rows, and refusals."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import isthmus
from command_line import isthmus_
from isthmus import InputError, IsthmusWarning, Moments, align
from isthmus.cli import app
from isthmus.cli.alignment import _show_choice


def run(*words: object) -> Any:
    return CliRunner().invoke(app, list(map(str, words)))


def said(*words: object) -> str:
    done = run(*words)
    assert done.exit_code == 0, done.output
    return str(done.stdout)


def refused(*words: object) -> str:
    done = run(*words)
    assert isinstance(done.exception, InputError), done.output
    return str(done.exception)


def same(path: str, expected: align.Aligner) -> None:
    rows = np.load("image.npy")
    np.testing.assert_allclose(isthmus.load(path).transform_x(rows), expected.transform_x(rows), atol=1e-6)


@pytest.mark.parametrize("suffix", ["npy", "parquet", "csv", "jsonl"])
def test_apply_transforms_a_file_of_one_row(suffix: str, files: Path) -> None:
    said("fit", "Centering", "image.npy", "text.npy", "-o", "a.safetensors")
    row = np.load("image.npy")[:1]
    if suffix == "npy":
        np.save("one.npy", row)
    else:
        pa = pytest.importorskip("pyarrow")
        table = pa.table({"image": list(row)})
        if suffix == "parquet":
            pytest.importorskip("pyarrow.parquet").write_table(table, "one.parquet")
        else:
            cells = str(row[0].tolist())
            Path(f"one.{suffix}").write_text(f'image\n"{cells}"\n' if suffix == "csv" else f'{{"image": {cells}}}\n')
    said("apply", "a.safetensors", f"one.{suffix}", "out.npy", "--modality", "image")
    expected = isthmus.load("a.safetensors").transform_x(row)
    np.testing.assert_allclose(np.load("out.npy"), expected, atol=1e-6)


@pytest.mark.parametrize("option", ["--index", "--key", "--labels"])
def test_fit_to_unpaired_rows_refuses_options_about_pairs(option: str, files: Path) -> None:
    message = refused("fit", "Auto", "image.npy", "text.npy", "--unpaired", option, "labels.npy", "-o", "a")
    assert message == f"{option} is about pairs, and --unpaired rows have none; leave one out"
    assert not Path("a").exists()


@pytest.mark.parametrize("option", ["--index", "--key", "--labels"])
def test_fit_to_saved_moments_refuses_options_about_pairs(option: str, files: Path) -> None:
    isthmus.Moments.of(np.load("image.npy"), np.load("text.npy")).save("moments.safetensors")
    message = refused("fit", "Auto", "moments.safetensors", option, "labels.npy", "-o", "a")
    assert message == f"{option} is about pairs, and saved moments hold none; leave it out"


@pytest.mark.parametrize(
    ("name", "settings", "option", "aims"),
    [
        ("Centering", (), "--labels", "aim=search or aim=classification"),
        ("Auto", ("--set", "aim=retrieval"), "--labels", "aim=search or aim=classification"),
        ("Centering", (), "--class-texts", "aim=classification"),
        ("Auto", (), "--class-texts", "aim=classification"),
    ],
)
def test_fit_refuses_classes_that_the_aligner_does_not_use(
    name: str, settings: tuple[str, ...], option: str, aims: str, files: Path
) -> None:
    message = refused("fit", name, "image.npy", "text.npy", *settings, option, "labels.npy", "-o", "a")
    assert message == f"{option} is for Auto with --set {aims}; this {name} does not use it"
    assert not Path("a").exists()


def test_apply_leaves_out_bad_rows_until_one_is_left(files: Path) -> None:
    said("fit", "Centering", "image.npy", "text.npy", "-o", "a.safetensors")
    rows = np.load("image.npy")[:3]
    rows[1:] = 0
    np.save("image_3.npy", rows)
    with pytest.warns(IsthmusWarning, match="left out 2 of 3 image rows"):
        said("apply", "a.safetensors", "image_3.npy", "out.npy", "--modality", "image", "--drop-bad")
    assert np.load("out.npy").shape == (1, rows.shape[1])


def test_apply_to_a_file_without_rows_is_refused(files: Path) -> None:
    said("fit", "Centering", "image.npy", "text.npy", "-o", "a.safetensors")
    np.save("none.npy", np.load("image.npy")[:0])
    message = refused("apply", "a.safetensors", "none.npy", "out.npy", "--modality", "image")
    assert "none.npy: is empty" in message
    assert message.endswith("expected at least one row")


def test_fit_auto_cross_validates_on_the_rows(files: Path) -> None:
    text = said("fit", "auto", "image.npy", "text.npy", "-o", "a.safetensors", "--set", "constraint=rows")
    assert "not cross-validated" not in text
    assert "ScoreCalibration" not in text
    assert "Rule: " in text
    assert "PartialWhitening(alpha=0.5)" in text  # the table of candidates
    pairs = isthmus.open_pairs("image.npy", "text.npy")
    same("a.safetensors", align.Auto(constraint="rows").fit(pairs))
    assert isthmus.load("a.safetensors").names_ == ("image", "text")


def test_widths_that_differ_are_refused_with_a_map_that_works(files: Path) -> None:
    np.save("place.npy", np.load("text.npy")[:, :12])
    for words in (("measure",), ("fit", "Auto")):
        assert "or map both (isthmus fit RidgeCCA)" in refused(*words, "image.npy", "place.npy")
    said("fit", "RidgeCCA", "image.npy", "place.npy", "-o", "a.safetensors")
    for name in ("image", "place"):
        said("apply", "a.safetensors", f"{name}.npy", f"mapped_{name}.npy", "--modality", name)
    assert "Paired? yes" in said("inspect", "mapped_image.npy", "mapped_place.npy")


@pytest.mark.parametrize("verb", ["measure", "explain", "report"])
def test_a_key_of_three_modalities_is_refused_with_what_to_do(verb: str, files: Path) -> None:
    np.save("audio.npy", np.load("text.npy"))
    message = refused(verb, "image.npy", "text.npy", "audio.npy", "--key", "id")
    assert "give two modalities at a time, or one row for each item in every file, with NaN" in message
    rows = np.load("audio.npy")
    rows[:5] = np.nan
    np.save("audio.npy", rows)
    with pytest.warns(IsthmusWarning, match="left out 5 of 300 rows of each modality"):
        assert "image and audio" in said("explain", "image.npy", "text.npy", "audio.npy", "--drop-bad")


def test_table_of_auto_names_the_score_that_decided(files: Path) -> None:
    """With several captions it is the two-sided NDCG@10, and the raw value is that of the task."""
    x, y = (np.load(f"{name}.npy") for name in ("image", "text"))
    np.save("caption.npy", np.repeat(y, 2, axis=0) + 0.01 * np.random.default_rng(0).normal(size=(2 * len(y), 1)))
    np.save("owner.npy", np.repeat(np.arange(len(x)), 2))
    text = said("fit", "Auto", "image.npy", "caption.npy", "--index", "owner.npy", "-o", "a.safetensors")
    assert isthmus.load("a.safetensors").fit_info_["score"] == "two-sided NDCG@10"
    assert "exchange score" not in text.lower()
    assert text.count("Two-sided NDCG@10: NDCG of the first 10") == 1
    (header,) = [line for line in text.splitlines() if line.startswith("candidate")]
    assert header.split()[1:3] == ["two-sided", "NDCG@10"]


@pytest.mark.parametrize(
    ("score", "columns"), [("exchange score", ["exchange", "score", "R@1"]), ("cross-modal R@1", ["R@1"])]
)
def test_choice_of_auto_has_one_column_of_recall(
    score: str, columns: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    row = {"name": "Identity", "value": 0.5, "recall": 0.4, "change": 0.0, "change_error": 0.0}
    table = [{**row, "admissible": True, "dropped": False}]
    _show_choice(SimpleNamespace(fit_info_={"score": score}, reasons_=["Rule: none."], table_=table))
    rule, header, line, *legend = capsys.readouterr().out.splitlines()
    assert header.split()[: len(columns) + 1] == ["candidate", *columns]
    assert header.count("R@1") == 1
    is_exchange = "exchange" in score
    assert line.split() == ["Identity", *(["0.500"] if is_exchange else []), "0.400", "+0.000", "(0.000)", "yes"]
    starts = ["Exchange score, the mean of two shares of queries whose match", "R@1: in"] if is_exchange else []
    assert len(legend) == len(starts)
    assert all(line.startswith(start) for line, start in zip(legend, starts, strict=True))
    assert rule == "- Rule: none."


def test_fit_auto_for_classification_needs_labels(files: Path) -> None:
    words = ["fit", "Auto", "image.npy", "text.npy", "-o", "a.safetensors", "--set", "aim=classification"]
    assert "in the shell --labels FILE.npy" in refused(*words)
    found = json.loads(said(*words, "--labels", "labels.npy", "--json"))["fit_info"]
    given = json.loads(said(*words, "--labels", "labels.npy", "--class-texts", "classes.npy", "--json"))["fit_info"]
    assert found["table"][0]["value"] != given["table"][0]["value"]
    assert "--class-texts needs --labels" in refused(*words, "--class-texts", "classes.npy")
    both = ["--labels", "labels.npy", "--class-texts", "classes.npy"]
    assert "--class-texts is for Auto" in refused("fit", "Centering", "image.npy", "text.npy", *both)
    np.save("classes.npy", np.load("classes.npy")[:9])
    assert "has shape (9, 64), expected (10, 64)" in refused(*words, *both)


def test_fit_to_saved_moments_equals_fit_to_pairs(files: Path) -> None:
    pairs = isthmus.open_pairs("image.npy", "text.npy")
    Moments.of(pairs).save("m.safetensors")
    assert "saved moments of 300 pairs" in said("fit", "RidgeCCA", "m.safetensors", "-o", "a.safetensors")
    same("a.safetensors", align.RidgeCCA().fit(pairs))
    said("fit", "Centering", "m.safetensors", "-o", "a.safetensors", "--names", "image,text")
    assert isthmus.load("a.safetensors").names_ == ("image", "text")
    assert "is an aligner; expected saved moments" in refused("fit", "Centering", "a.safetensors")
    with pytest.warns(IsthmusWarning, match="moments hold no rows"):
        run("fit", "Auto", "m.safetensors", "-o", "a.safetensors")


def test_fit_to_unpaired_rows_accepts_different_lengths(files: Path) -> None:
    np.save("short.npy", np.load("text.npy")[:200])
    words = ["image.npy", "short.npy", "-o", "a.safetensors"]
    assert "has 300 rows" in refused("fit", "PartialWhitening", *words)
    text = said("fit", "PartialWhitening", *words, "--unpaired", "--names", "image,text")
    assert "unpaired rows, 300 image and 200 text" in text
    same("a.safetensors", align.PartialWhitening().fit(np.load("image.npy"), np.load("short.npy"), paired=False))
    assert "Procrustes needs pairs" in refused("fit", "Procrustes", *words, "--unpaired")


def test_fit_to_different_dims_works_where_allowed(files: Path) -> None:
    np.save("narrow.npy", np.load("text.npy")[:, :50])
    said("fit", "RidgeMap", "image.npy", "narrow.npy", "-o", "a.safetensors")
    same("a.safetensors", align.RidgeMap().fit(np.load("image.npy"), np.load("narrow.npy")))
    assert "has width 64 and narrow.npy has width 50" in refused("fit", "Centering", "image.npy", "narrow.npy")


def test_fit_with_several_captions_uses_the_index(files: Path) -> None:
    owner = np.repeat(np.arange(150), 2)
    np.save("owner.npy", owner)
    np.save("image.npy", np.load("image.npy")[:150])
    said("fit", "Centering", "image.npy", "text.npy", "--index", "owner.npy", "-o", "a.safetensors")
    same("a.safetensors", align.Centering().fit(np.load("image.npy"), np.load("text.npy"), index=owner))


def test_apply_to_every_format_writes_the_aligned_rows(files: Path) -> None:
    said("fit", "Centering", "image.npy", "text.npy", "-o", "a.safetensors")
    expected = isthmus.load("a.safetensors").transform_x(np.load("image.npy"))
    for out in ("out.npy", "out.npz", "out.safetensors", "folder"):
        assert "Wrote 300 x 64 rows" in said("apply", "a.safetensors", "image.npy", out, "--resume")
        np.testing.assert_allclose(isthmus.sources.open_source(out).read(0, 300), expected, atol=1e-7)
    Path("img_emb").mkdir()
    np.save("img_emb/img_emb_0.npy", np.load("image.npy"))
    said("apply", "a.safetensors", "img_emb", "-o", "aligned")
    assert [p.name for p in Path("aligned").iterdir()] == ["img_emb_0.npy"]
    assert "give one output" in refused("apply", "a.safetensors", "image.npy")
    assert "give one output" in refused("apply", "a.safetensors", "image.npy", "b.npy", "-o", "c.npy")
    assert "is the aligner itself" in refused("apply", "a.safetensors", "image.npy", "a.safetensors")
    assert "name it with modality= (--modality)" in refused("apply", "a.safetensors", "out.npy", "b.npy")
    assert "unknown modality 'audio'" in refused("apply", "a.safetensors", "image.npy", "b.npy", "--modality", "audio")


@pytest.mark.parametrize("codes", ["int8", "uint8", "binary"])
def test_apply_writes_codes_that_are_read_with_the_printed_option(files: Path, codes: str) -> None:
    said("fit", "Centering", "image.npy", "text.npy", "-o", "a.safetensors")
    expected = isthmus.load("a.safetensors").transform_x(np.load("image.npy"))
    text = said("apply", "a.safetensors", "image.npy", "codes.npy", "--codes", codes)
    option = "--bits" if codes == "binary" else "--ranges codes.ranges.npy --rounding down"
    assert text.splitlines()[-1] == f"Read them with {option}"
    assert "300 x 64, float32" in said("inspect", "codes.npy", *option.split())
    assert np.load("codes.npy").dtype == ("int8" if codes == "int8" else "uint8")
    if codes == "binary":
        decoded = isthmus.sources.open_source("codes.npy", bits=True).read(0, 300)
        np.testing.assert_array_equal(decoded, np.where(expected > 0, 1, -1))
        return
    ranges = np.load("codes.ranges.npy")
    decoded = isthmus.sources.open_source("codes.npy", ranges=ranges, rounding="down").read(0, 300)
    assert (np.abs(decoded - expected) <= (ranges[1] - ranges[0]) / 255 * 1.01).all()
    other = ["text.npy", "text_codes.npy", "--codes", codes, "--code-ranges", "codes.ranges.npy", "--modality", "text"]
    answer = json.loads(said("apply", "a.safetensors", *other, "--json"))
    assert answer["read_with"] == "--ranges codes.ranges.npy --rounding down"
    assert not Path("text_codes.ranges.npy").exists()


def test_apply_without_possible_codes_is_refused_and_leaves_no_file(files: Path) -> None:
    said("fit", "ScoreCalibration", "image.npy", "text.npy", "-o", "a.safetensors")
    before = sorted(files.iterdir())
    for words, message in (
        (["c.npy", "--codes", "int4"], "codes='int4', expected int8, uint8, binary"),
        (["c.npy", "--codes", "binary"], "66 coordinates, expected a multiple of 8"),
        (["c.npz", "--codes", "int8"], "expected a name that ends in .npy"),
        (["c.npy", "--codes", "int8", "--resume"], "leave out resume"),
        (["c.npy", "--code-ranges", "image.npy"], "--code-ranges is for --codes"),
        (["c.npy", "--codes", "int8", "--code-ranges", "image.npy"], r"ranges has shape (300, 64)"),
        (["c.npy", "--codes", "binary", "--code-ranges", "image.npy"], "binary codes are signs"),
    ):
        assert message in refused("apply", "a.safetensors", "image.npy", *words, "--role", "stored")
    rows = np.load("image.npy")
    rows[7] = 0
    np.save("image.npy", rows)
    line = refused("apply", "a.safetensors", "image.npy", "c.npy", "--codes", "int8", "--role", "stored")
    assert "7" in line
    assert sorted(files.iterdir()) == before


def test_apply_to_shifted_rows_warns(files: Path) -> None:
    """Rows of two digits only are written, and a warning states the cost."""
    said("fit", "Centering", "image.npy", "text.npy", "-o", "a.safetensors")
    run_ = isthmus.demo.arrays("plain", split="test")
    np.save("few.npy", run_.image[np.isin(run_.labels, (0, 6))])
    done = isthmus_("apply", "a.safetensors", "few.npy", "out.npy", "--modality", "image")
    assert done.returncode == 0
    assert "standard errors" in done.stderr
    assert "of the spread of the new rows" in done.stderr
    assert done.stdout.startswith("Wrote 1")
    same_rows = isthmus_("apply", "a.safetensors", "image.npy", "same.npy", "--modality", "image")
    assert same_rows.stderr.startswith("isthmus: aligning:")
    swapped = isthmus_("apply", "a.safetensors", "text.npy", "swapped.npy", "--modality", "image")
    assert "are they rows of text?" in swapped.stderr


def test_apply_after_an_interruption_resumes(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from isthmus.align import streaming

    said("fit", "Centering", "image.npy", "text.npy", "-o", "a.safetensors")
    output = said("apply", "a.safetensors", "image.npy", "output.npy")
    assert "Wrote 300" in output
    monkeypatch.setattr(streaming, "block_rows", lambda dim: 64)
    loaded, reads = isthmus.load("a.safetensors"), []
    read = isthmus.sources.Source.read

    def counted(self: Any, start: int, stop: int) -> Any:
        reads.append(start)
        if len(reads) == 4:
            raise KeyboardInterrupt
        return read(self, start, stop)

    monkeypatch.setattr(isthmus.sources.Source, "read", counted)
    with pytest.raises(KeyboardInterrupt):
        streaming.apply(loaded, isthmus.sources.open_source("image.npy"), "out.npy", modality="image", resume=True)
    assert not Path("out.npy").exists()
    said("apply", "a.safetensors", "image.npy", "out.npy", "--resume")
    assert reads[4:7] == [0, 192, 256]  # the first block for its width, then what is missing
    assert Path("out.npy").read_bytes() == Path("output.npy").read_bytes()


def test_adapt_equals_the_method(files: Path) -> None:
    said("fit", "Centering", "image.npy", "text.npy", "-o", "a.safetensors")
    new = np.load("text.npy")[np.load("labels.npy") == 1]
    np.save("new.npy", new)
    old = isthmus.load("a.safetensors")
    text = said("adapt", "a.safetensors", "new.npy", "--modality", "text", "-o", "b.safetensors")
    assert "new rows of text" in text
    assert "image" not in text
    adapted = isthmus.load("b.safetensors")
    np.testing.assert_allclose(adapted.transform_y(new), old.adapt(None, new).transform_y(new), atol=1e-6)
    assert np.abs(adapted.transform_y(new) - old.transform_y(new)).max() > 0.1
    same("b.safetensors", old)  # the other side stays
    result = json.loads(said("adapt", "a.safetensors", "image.npy", "new.npy", "-o", "b.safetensors", "--json"))
    assert result["changed"]
    np.testing.assert_array_equal(isthmus.load("b.safetensors").bias_y, adapted.bias_y)
    message = refused("adapt", "a.safetensors", "image.npy", "new.npy", "--modality", "text")
    assert "--modality text: applies to one file" in message


def test_fit_and_apply_of_a_score_correction_of_three_modalities(files: Path) -> None:
    np.save("audio.npy", np.load("image.npy")[:200, ::-1])
    text = said("fit", "ScoreCalibration", "image.npy", "text.npy", "audio.npy", "--unpaired", "-o", "a.safetensors")
    assert "300 image, 300 text, 200 audio" in text
    rows = {name: np.load(f"{name}.npy") for name in ("image", "text", "audio")}
    expected = align.ScoreCalibration().fit(**rows, paired=False)
    loaded = isthmus.load("a.safetensors")
    for name, table in rows.items():
        said("apply", "a.safetensors", f"{name}.npy", "stored.npy", "--role", "stored", "--modality", name)
        np.testing.assert_allclose(np.load("stored.npy"), expected.stored(table, modality=name), atol=1e-6)
        said("apply", "a.safetensors", f"{name}.npy", "query.npy", "--role", "query")
        np.testing.assert_allclose(np.load("query.npy"), loaded.query(table, modality=name), atol=1e-6)
    said("apply", "a.safetensors", "text.npy", "exact.npy", "--role", "stored", "--queries", "audio")
    np.testing.assert_allclose(
        np.load("exact.npy"), expected.stored(rows["text"], modality="text", queries="audio"), atol=1e-5
    )
    assert "give role='stored'" in refused("apply", "a.safetensors", "text.npy", "b.npy")
    assert "expected 'stored' or 'query'" in refused("apply", "a.safetensors", "text.npy", "b.npy", "--role", "row")
    said("fit", "Centering", "image.npy", "text.npy", "audio.npy", "-o", "c.safetensors")
    said("apply", "c.safetensors", "audio.npy", "centred.npy")
    expected_rows = align.Centering().fit(rows["image"], rows["audio"], paired=False).transform_y(rows["audio"])
    np.testing.assert_allclose(np.load("centred.npy"), expected_rows, atol=1e-6)
    assert "with --names image,text,audio" in refused("fit", "CSLS", *["image.npy"] * 3)


def test_fit_calibrates_the_relevance_of_hits_and_saves_it(files: Path) -> None:
    words = ("fit", "ScoreCalibration", "image.npy", "text.npy", "-o", "c.safetensors", "--relevance", 0.5)
    assert "If image queries search 294 text rows, and 50 % of the queries have no match:" in said(*words)
    content = json.loads(said(*words, "--json"))
    assert content["relevance"] == isthmus.load("c.safetensors").relevance().sentences()
    assert "relevance" not in content["fit_info"]
    message = refused("fit", "Centering", "image.npy", "text.npy", "-o", "b.safetensors", "--relevance", 0.5)
    assert "needs pairs of two files and a score correction" in message
    assert not Path("b.safetensors").exists()


def test_explain_cosine_states_the_relevance_of_the_corrected_score(files: Path) -> None:
    text = said("explain", "image.npy", "text.npy", "--cosine", 0.8)
    assert "A cosine of 0.8 between image and text is higher than" in text
    assert "irst hits of image queries in text" in text
    assert "If image queries search 294 text rows" in text
    np.save("few.npy", np.load("image.npy")[:25])
    np.save("few-texts.npy", np.load("text.npy")[:25])
    values = json.loads(said("explain", "few.npy", "few-texts.npy", "--cosine", 0.6, "--json"))
    assert "25 items are too few to calibrate the relevance of hits" in values["relevance"][0]
    assert "relevance" not in json.loads(said("explain", "few.npy", "few-texts.npy", "--json"))


def test_fit_of_auto_takes_the_size_of_its_sample(files: Path) -> None:
    text = said("fit", "Auto", "image.npy", "text.npy", "--sample", 150, "-o", "a.safetensors")
    assert "of 150 items" in text
    assert "--sample 150: is for Auto; Centering" in refused(
        "fit", "Centering", "image.npy", "text.npy", "--sample", 150
    )
