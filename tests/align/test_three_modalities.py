"""Aligners of three modalities: row maps, paired maps with one hub, and `Auto` on unpaired rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import isthmus
from isthmus import InputError, align
from isthmus.cli import app
from isthmus.tasks import MixedSearch

# Audio has other axes, of which a fit of a map without pairs warns.
pytestmark = pytest.mark.filterwarnings("ignore:.*the rows match, but the modalities are rotated")
N, D = 200, 10
PAIRED_MAPS = ("RidgeCCA", "SharedSignal", "KernelBlend", "DifferenceWhitening", "Procrustes")


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def modalities() -> dict[str, np.ndarray]:
    """Return paired unit rows of three modalities. Audio has other axes and another offset."""
    rng = np.random.default_rng(3)
    latent = rng.normal(size=(N, D)) / np.sqrt(np.arange(1, D + 1))
    turn = np.linalg.qr(rng.normal(size=(D, D)))[0]
    rows = {"image": latent, "text": latent, "audio": latent @ turn}
    return {
        name: unit(table + 0.15 * rng.normal(size=(N, D)) + offset * np.eye(D)[number])
        for number, (offset, (name, table)) in enumerate(zip((1.5, 2.0, 0.7), rows.items(), strict=True))
    }


@pytest.mark.filterwarnings("ignore:.*rows are distinct", "ignore:Auto falls back")
@pytest.mark.parametrize("name", ["ScoreCalibration", "CSLS", "RidgeCCA", "Auto"])
def test_repeated_rows_of_any_modality_give_the_fit_of_the_index(name: str, modalities: dict[str, np.ndarray]) -> None:
    owner = np.repeat(np.arange(60), 3)
    once = {modality: rows[:60] for modality, rows in modalities.items()}
    once["text"] = modalities["text"][:180]
    options = {"repeats": 1} if name == "Auto" else {}
    flat_rows = {"image": once["image"][owner], "text": once["text"], "audio": once["audio"][owner]}
    flat, as_is = (align.get(name)(**options).fit(**flat_rows, group=group) for group in (True, False))
    indexed = align.get(name)(**options).fit(**once, index=owner)
    queries, stored = once["text"][:20], once["audio"][:30]
    scores = [a.scores(queries, stored, query="text", stored="audio") for a in (flat, indexed, as_is)]
    np.testing.assert_allclose(scores[0], scores[1], atol=1e-9)
    if name in ("ScoreCalibration", "CSLS"):
        assert np.abs(scores[0] - scores[2]).max() > 0.01


def recall(aligner: Any, rows: dict[str, np.ndarray], query: str, stored: str) -> float:
    scores = aligner.scores(rows[query], rows[stored], query=query, stored=stored)
    return float(np.mean(scores.argmax(axis=1) == np.arange(len(scores))))


@pytest.mark.parametrize("name", [*PAIRED_MAPS, "MeanRotation", "Centering", "PartialWhitening", "Translation"])
def test_third_modality_leaves_the_maps_of_the_first_two(
    name: str, modalities: dict[str, np.ndarray], tmp_path: Path
) -> None:
    two = align.get(name)().fit(modalities["image"], modalities["text"])
    three = align.get(name)().fit(**modalities)
    assert three.modalities == ("image", "text", "audio")
    for modality, short in (("image", "x"), ("text", "y")):
        rows = modalities[modality]
        np.testing.assert_array_equal(three.stored(rows, modality=modality), two.stored(rows, modality=short))
    three.save(tmp_path / "map.safetensors")
    loaded = isthmus.load(tmp_path / "map.safetensors")
    assert loaded.modalities == three.modalities
    audio = modalities["audio"]
    np.testing.assert_array_equal(loaded.query(audio, modality="audio"), three.query(audio, modality="audio"))


@pytest.mark.parametrize("name", PAIRED_MAPS)
def test_paired_map_aligns_the_third_modality_with_both_others(name: str, modalities: dict[str, np.ndarray]) -> None:
    fit, test = ({k: rows[i::2] for k, rows in modalities.items()} for i in (0, 1))
    options = {"alpha": 0.5} if name == "DifferenceWhitening" else {}
    three = align.get(name)(**options).fit(**fit)
    two = align.get(name)(**options).fit(image=fit["image"], audio=fit["audio"])
    raw = align.Identity().fit(**fit)
    reached = recall(two, test, "image", "audio")
    assert recall(three, test, "image", "audio") >= reached - (0.15 if name == "RidgeCCA" else 0.02)
    if name in ("RidgeCCA", "Procrustes"):  # the others are for modalities with common axes
        assert recall(three, test, "text", "audio") > 0.5 > recall(raw, test, "text", "audio") + 0.3


def test_rotation_keeps_the_scores_of_each_pair_of_the_hub(modalities: dict[str, np.ndarray]) -> None:
    three = align.MeanRotation().fit(**modalities)
    two = align.MeanRotation().fit(image=modalities["image"], audio=modalities["audio"])
    args = (modalities["image"], modalities["audio"])
    np.testing.assert_allclose(
        three.scores(*args, query="image", stored="audio"), two.scores(*args, query="image", stored="audio"), atol=1e-9
    )


def test_hub_is_paired_with_other_items_for_each_modality(modalities: dict[str, np.ndarray]) -> None:
    image, text, audio = modalities.values()
    stream = align.RidgeCCA().partial_fit(image=image[:120], text=text[:120])
    stream.partial_fit(image=image[80:], audio=audio[80:])
    assert stream.modalities == ("image", "text", "audio")
    two = align.RidgeCCA().fit(image[:120], text[:120])
    np.testing.assert_array_equal(stream.stored(image, modality="image"), two.transform_x(image))
    raw = align.Identity().fit(**modalities)
    assert recall(stream, modalities, "audio", "image") > recall(raw, modalities, "audio", "image") + 0.5


def test_paired_map_takes_another_dimension_for_each_modality(modalities: dict[str, np.ndarray]) -> None:
    image, text, audio = modalities.values()
    cca = align.RidgeCCA(k=5).fit(image=image, text=text[:, :8], audio=audio[:, :6])
    assert [cca.dim(name) for name in cca.modalities] == [D, 8, 6]
    assert cca.query(audio[:, :6], modality="audio").shape == (N, 5)
    with pytest.raises(InputError, match=r"for audio, expected \(n, 6\)"):
        cca.query(audio, modality="audio")
    with pytest.raises(InputError, match="audio: its rows have another dimension, 6, expected 10"):
        align.Centering().fit(image=image, text=text, audio=audio[:, :6])


def test_paired_map_without_pairs_of_the_hub_is_refused(modalities: dict[str, np.ndarray]) -> None:
    image, text, audio = modalities.values()
    with pytest.raises(InputError, match="RidgeCCA needs pairs of the first modality with each other one"):
        _ = align.RidgeCCA().fit(image=image, text=text, audio=audio[:50]).map_x_
    with pytest.raises(InputError, match="Blend is not affine and maps the first modality differently for audio"):
        _ = align.Blend().fit(image=image, text=text, audio=audio).map_x_


def test_paired_map_stands_in_front_of_a_correction_of_three(modalities: dict[str, np.ndarray]) -> None:
    correction = align.ScoreCalibration(row_map="RidgeCCA").fit(**modalities)
    plain = align.ScoreCalibration().fit(**modalities)
    assert recall(correction, modalities, "audio", "text") > recall(plain, modalities, "audio", "text") + 0.5


def test_queries_are_a_modality_of_their_own(modalities: dict[str, np.ndarray]) -> None:
    image, text, audio = modalities.values()
    correction = align.ScoreCalibration().fit(**{"image": image, "text": text, "text query": audio[:70]}, paired=False)
    assert correction.query(audio[:4], modality="text query").shape == (4, D + 3)
    assert correction.level(query="text query", stored="image") != correction.level(query="text", stored="image")


@pytest.mark.parametrize(
    ("options", "chosen"),
    [
        ({}, "ScoreCalibration"),
        ({"aim": "retrieval"}, "ScoreCalibration"),
        ({"constraint": "no_pairs"}, "ScoreCalibration"),
        ({"constraint": "rows"}, "Centering"),
        ({"constraint": "affine", "aim": "retrieval"}, "Identity"),
    ],
)
def test_auto_on_unpaired_rows_fits_the_default(
    options: dict[str, Any], chosen: str, modalities: dict[str, np.ndarray]
) -> None:
    image, text, audio = modalities.values()
    auto = align.Auto(**options).fit(image=image, text=text[:150], audio=audio[:90])
    expected = align.get(chosen)().fit(image=image, text=text[:150], audio=audio[:90], paired=False)
    assert type(auto.chosen_).__name__ == chosen
    assert auto.modalities == ("image", "text", "audio")
    assert not auto.uses_pairs
    assert "the rows are unpaired, and a choice needs pairs" in auto.reasons_[0]
    np.testing.assert_array_equal(auto.stored(audio, modality="audio"), expected.stored(audio, modality="audio"))
    two = align.Auto(**options).fit(image, text[:150], paired=False)
    np.testing.assert_array_equal(
        two.scores(image, text, query="x", stored="y"), auto.scores(image, text, query="image", stored="text")
    )
    if options.get("constraint") == "no_pairs":
        by_length = align.Auto(**options).fit(image, text[:150])
        np.testing.assert_array_equal(by_length.stored(image, modality="x"), two.stored(image, modality="x"))


def test_auto_judges_the_first_two_of_three_modalities(modalities: dict[str, np.ndarray]) -> None:
    modalities = {name: rows[:80] for name, rows in modalities.items()}
    auto = align.Auto(constraint="rows", repeats=1).fit(**modalities)
    two = align.Auto(constraint="rows", repeats=1).fit(image=modalities["image"], text=modalities["text"])
    assert auto.table_ == two.table_
    assert "judged on pairs of image and text. It is fitted to audio as well" in auto.reasons_[-1]
    assert type(auto.chosen_) is type(two.chosen_)
    unpaired_audio = {**modalities, "audio": modalities["audio"][:70]}
    auto = align.Auto(constraint="rows", repeats=1).fit(**unpaired_audio)
    assert not any(row["name"] in ("RidgeCCA", "SharedSignal", "KernelBlend(weight=0.25)") for row in auto.table_)


@pytest.mark.parametrize("aligner", ["Auto", "ScoreCalibration"])
def test_three_files_without_pairs_serve_one_index(
    aligner: str, modalities: dict[str, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scores of two modalities are those of a fit without the third, to the last bit."""
    monkeypatch.chdir(tmp_path)
    counts = {"image": N, "text": N - 20, "audio": N - 50}
    for name, rows in modalities.items():
        np.save(f"{name}.npy", rows[: counts[name]])

    def run(*words: str) -> str:
        result = CliRunner().invoke(app, list(words))
        assert result.exit_code == 0, result.output
        return str(result.stdout)

    paths = ["image.npy", "text.npy", "audio.npy"]
    said = run("fit", aligner, *paths, "--unpaired", "-o", "three.safetensors")
    assert f"{N} image, {N - 20} text, {N - 50} audio" in said
    run("fit", aligner, *paths[:2], "--unpaired", "-o", "two.safetensors")
    three, two = isthmus.load("three.safetensors"), isthmus.load("two.safetensors")
    index, numbers = [], []
    for name in counts:
        run("apply", "three.safetensors", f"{name}.npy", "rows.npy", "--role", "stored", "--queries", "text")
        index.append(np.load("rows.npy"))
        numbers += [(name, row) for row in range(counts[name])]
    run("apply", "three.safetensors", "text.npy", "queries.npy", "--role", "query", "--modality", "text")
    queries = three.query(modalities["text"][:30], modality="text", index="exact")
    products = queries @ np.concatenate(index).T
    scores = three.scores(modalities["text"][:30], modalities["image"], query="text", stored="image")
    np.testing.assert_allclose(products[:, :N], scores, atol=1e-12)
    np.testing.assert_array_equal(
        scores, two.scores(modalities["text"][:30], modalities["image"], query="text", stored="image")
    )
    pair = modalities["image"][: N - 20], modalities["text"][: N - 20]
    exchange = [MixedSearch.of(*pair, correction=correction).exchange() for correction in (three, two)]
    assert exchange[0] == exchange[1] > MixedSearch.of(*pair).exchange()
    lists = {}
    listed = np.load("queries.npy")[:30]
    for name in counts:
        run("apply", "three.safetensors", f"{name}.npy", "rows.npy", "--role", "stored")
        values = listed @ np.load("rows.npy").T
        lists[name] = values, np.tile(np.arange(counts[name]), (30, 1))
    hits = three.merge(lists, modalities["text"][:30], modality="text", k=10)
    best = [[numbers[i] for i in row] for row in np.argsort(-products, axis=1)[:, :10]]
    found = [list(zip(*pair, strict=True)) for pair in zip(hits.modalities, hits.rows, strict=True)]
    assert found == best


@pytest.mark.parametrize("name", ["Centering", "PartialWhitening", "MeanRotation", "RidgeCCA", "ScoreStandardization"])
def test_third_modality_drifts_and_is_adapted(name: str, modalities: dict[str, np.ndarray]) -> None:
    new = unit(modalities["audio"][::2] + 0.6)
    fitted = align.get(name)().fit(**modalities)
    assert not fitted.drift(audio=modalities["audio"], text=modalities["text"])
    drift = fitted.drift(audio=new)
    assert drift.modalities[0].name == "audio"
    assert drift.modalities[0].shifted
    adapted = fitted.adapt(audio=new)
    assert not adapted.drift(audio=new)
    np.testing.assert_allclose(
        adapted.stored(modalities["text"], modality="text"),
        fitted.stored(modalities["text"], modality="text"),
        rtol=0,
        atol=1e-12,
    )
    if name == "RidgeCCA":  # the paired part stays
        moved = fitted.query(modalities["audio"], modality="audio")
        assert not np.allclose(adapted.query(modalities["audio"], modality="audio"), moved)
        return
    again = align.get(name)().fit(**{**modalities, "audio": new}, paired=False)
    for query, stored in (("audio", "text"), ("image", "audio")):
        rows = {**modalities, "audio": new}
        args = rows[query], rows[stored]
        np.testing.assert_allclose(
            adapted.scores(*args, query=query, stored=stored),
            again.scores(*args, query=query, stored=stored),
            atol=1e-9,
        )
