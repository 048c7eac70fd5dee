"""More than two modalities: each pair as if measured alone, and matrices over all pairs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import isthmus
from isthmus import InputError, IsthmusWarning, Modalities, Pairs
from isthmus.cli import app
from isthmus.statistics.result import Estimate
from isthmus.utils.format import format_interval, number
from isthmus.utils.progress import listening


@pytest.fixture
def rows_by_name(rng: np.random.Generator) -> dict[str, np.ndarray]:
    u = rng.normal(size=(120, 6))
    return {
        name: u + 0.5 * rng.normal(size=u.shape) + 2 * np.eye(6)[i] for i, name in enumerate(("image", "text", "audio"))
    }


def test_measure_of_each_pair_equals_that_of_pairs(rows_by_name: dict[str, np.ndarray]) -> None:
    measured = Modalities(**rows_by_name).measure()
    assert list(measured) == [("image", "text"), ("image", "audio"), ("text", "audio")]
    alone = isthmus.measure(Pairs(image=rows_by_name["image"], audio=rows_by_name["audio"]))
    assert measured["image", "audio"].to_dict() == alone.to_dict()
    assert measured["audio", "image"] is measured["image", "audio"]


def test_matrix_of_undirected_numbers_is_symmetric(rows_by_name: dict[str, np.ndarray]) -> None:
    explained = Modalities(**rows_by_name).explain()
    for name in ("centroid_angle", "centre", "total", "reached"):
        matrix = explained.matrix(name)
        np.testing.assert_array_equal(matrix, matrix.T)
        assert np.isnan(np.diag(matrix)).all()
    parts = sum(
        explained.matrix(name)
        for name in isthmus.explain(Pairs(a=rows_by_name["image"], b=rows_by_name["text"])).budget
    )
    np.testing.assert_allclose(parts, explained.matrix("total"), atol=1e-12)
    assert explained.matrix("centroid_angle")[0, 2] == explained["image", "audio"].result["centroid_angle"].value


def test_matrix_of_recall_is_directed_and_per_modality_is_single(rows_by_name: dict[str, np.ndarray]) -> None:
    explained = Modalities(**rows_by_name).measure(metrics="retrieval,spectrum")
    matrix = explained.matrix("R@1")
    assert matrix[0, 1] == explained["image", "text"]["image_to_text_R@1"].value
    assert matrix[1, 0] == explained["image", "text"]["text_to_image_R@1"].value
    assert list(explained.per_modality("effective_rank")) == ["image", "text", "audio"]
    assert explained.per_modality("effective_rank")["audio"] == explained["image", "audio"]["effective_rank_audio"]
    assert explained.per_modality("centroid_angle") == {}


def test_open_files_gives_their_names(rows_by_name: dict[str, np.ndarray], tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}.npy" for name in rows_by_name]
    for path, rows in zip(paths, rows_by_name.values(), strict=True):
        np.save(path, rows)
    opened = Modalities.open(*paths)
    assert opened.names == ("image", "text", "audio")
    angle = Modalities(**rows_by_name).measure(metrics="centroid_angle").matrix("centroid_angle")
    np.testing.assert_array_equal(opened.measure(metrics="centroid_angle").matrix("centroid_angle"), angle)
    with pytest.raises(InputError, match="got the names 'a', 'b' for 3 paths"):
        Modalities.open(*paths, names=["a", "b"])
    with pytest.raises(InputError, match="Modalities takes more than two"):
        Pairs(**rows_by_name)


def test_page_contains_every_pair(rows_by_name: dict[str, np.ndarray], tmp_path: Path) -> None:
    from isthmus.reporting.modalities_page import modalities_page

    explained = Modalities(**rows_by_name).explain()
    modalities_page(explained, tmp_path / "three.html")
    text = (tmp_path / "three.html").read_text(encoding="utf-8")
    assert "The gaps between image, text and audio" in text
    assert text.count("<svg") == 3
    for pair, one in explained.items():
        assert f">{' and '.join(pair)}</h2>" in text
        assert f"{one.budget.total.value:.3f}" in text
        assert one.verdict[0] in text
    assert ">nan" not in text


def text_of(estimate: Estimate) -> str:
    """Return a value with the digits of its interval."""
    return format_interval(estimate.value, estimate.low, estimate.high)[0]


def test_verbs_take_more_than_two_files(rows_by_name: dict[str, np.ndarray], tmp_path: Path) -> None:
    paths = [str(tmp_path / f"{name}.npy") for name in rows_by_name]
    for path, rows in zip(paths, rows_by_name.values(), strict=True):
        np.save(path, rows)

    def run(*words: str) -> str:
        done = CliRunner().invoke(app, [*words])
        assert done.exit_code == 0, done.exception
        return done.output

    explained = Modalities(**rows_by_name).explain()
    angle = text_of(explained.estimates("centroid_angle")["image", "audio"])
    assert angle in run("measure", *paths, "--metrics", "first order")
    output = run("explain", *paths)
    assert all(one.verdict[0] in output for one in explained.values())
    assert text_of(explained.estimates("pairing")["text", "audio"]) in output
    page = tmp_path / "page.html"
    run("report", *paths, "-o", str(page))
    assert page.exists()
    as_json = json.loads(run("measure", *paths, "--metrics", "fast", "--json", "--names", "a,b,c"))
    assert as_json["modalities"] == ["a", "b", "c"]
    refused = CliRunner().invoke(app, ["measure", *paths, "--labels", paths[0]])
    assert "is for two modalities, and 3 were given" in str(refused.exception)


def test_json_names_modalities_and_pairs(rows_by_name: dict[str, np.ndarray]) -> None:
    explained = json.loads(Modalities(**rows_by_name).measure(metrics=["centroid_angle"]).to_json())
    assert explained["modalities"] == ["image", "text", "audio"]
    assert set(explained["pairs"]) == {"image,text", "image,audio", "text,audio"}


def test_modalities_of_invalid_input_are_an_error(rows_by_name: dict[str, np.ndarray]) -> None:
    with pytest.raises(InputError, match="got 1 modality, expected two or more"):
        Modalities(image=rows_by_name["image"])
    with pytest.raises(
        InputError, match=r"rows: 120 \(image\), 120 \(text\), 119 \(audio\); .* two at a time with .*--unpaired"
    ):
        Modalities(image=rows_by_name["image"], text=rows_by_name["text"], audio=rows_by_name["audio"][1:])
    measured = Modalities(**rows_by_name).measure(metrics=["centroid_angle"])
    with pytest.raises(InputError, match="unknown number 'centroid_angel': did you mean 'centroid_angle'"):
        measured.matrix("centroid_angel")
    with pytest.raises(KeyError, match="no pair 'image', 'video'"):
        _ = measured["image", "video"]


def test_matrices_show_interval_null_and_the_reason_of_undefined_entries(
    rows_by_name: dict[str, np.ndarray], tmp_path: Path
) -> None:
    rows_by_name["audio"] = np.tile(rows_by_name["audio"][:1], (120, 1))
    explained = Modalities(**rows_by_name).explain()
    estimates = explained.estimates("R@1")
    assert estimates["image", "audio"].undefined == "all rows of audio are the same"
    assert estimates["text", "image"].value == explained.matrix("R@1")[1, 0]
    for name, rows in rows_by_name.items():
        np.save(tmp_path / f"{name}.npy", rows)
    files = [str(tmp_path / f"{name}.npy") for name in rows_by_name]
    with pytest.warns(IsthmusWarning, match="audio: all rows of audio are the same"):
        printed = CliRunner().invoke(app, ["measure", *files]).output
    assert "  image, audio: undefined: all rows of audio are the same\n" in printed
    angle = explained.estimates("centroid_angle")["image", "text"]
    interval = format_interval(angle.value, angle.low, angle.high)[1]
    assert f"  image, text: 95 % {interval}; null {number(angle.null)}\n" in printed
    page = tmp_path / "page.html"
    assert CliRunner().invoke(app, ["report", *files, "-o", str(page)]).exit_code == 0
    html = page.read_text(encoding="utf-8")
    interval = f"<small>{angle.low:.1f} to {angle.high:.1f}</small><small>chance {angle.null:.1f}</small>"
    assert f"{angle.value:.1f}{interval}" in html
    assert "undefined: all rows of audio are the same" in html


def test_open_of_arrays_names_the_call_that_takes_them(rows_by_name: dict[str, np.ndarray]) -> None:
    for given in (rows_by_name, np.stack(list(rows_by_name.values()))):
        with pytest.raises(InputError, match=r"expected paths; give arrays as Modalities\(image=X, text=Y\)"):
            Modalities.open(given)  # type: ignore[arg-type]


def test_modalities_and_pairs_take_a_dictionary(rows_by_name: dict[str, np.ndarray]) -> None:
    first, second = list(rows_by_name)[:2]
    both = {name: rows_by_name[name] for name in (first, second)}
    assert isthmus.Pairs(both).names == isthmus.Modalities(both).names == (first, second)
    assert isthmus.Modalities(both, another=rows_by_name[first]).names == (first, second, "another")
    for owner in (isthmus.Pairs, isthmus.Modalities):
        message = f"{owner.__name__} got ndarray, ndarray without names, expected named rows: "
        for wrong, expected in (
            ([rows_by_name[first], rows_by_name[second]], message),
            ([{1: rows_by_name[first]}], "1 cannot be the name of a modality"),
            ([{"index": rows_by_name[first], "y": rows_by_name[second]}], "'index' cannot be the name of a modality"),
            ([{"a": 3, "b": "b.npy"}], "a: is an int, expected an array"),
        ):
            with pytest.raises(isthmus.InputError, match=expected):
                owner(*wrong)


def test_progress_names_the_pair_of_modalities(rows_by_name: dict[str, np.ndarray]) -> None:
    stages: list[str] = []
    with listening(lambda _done, _total, stage, _detail: stages.append(stage)):
        Modalities(rows_by_name).measure(metrics="centroid_angle")
    x, y, z = rows_by_name
    assert list(dict.fromkeys(stages)) == [f"measuring {a} and {b}" for a, b in ((x, y), (x, z), (y, z))]


def test_invalid_rows_name_the_argument_of_the_method(rows_by_name: dict[str, np.ndarray]) -> None:
    rows_by_name["text"][3] = np.nan
    modalities = isthmus.Modalities(**rows_by_name)
    for method in (modalities.measure, modalities.explain):
        with pytest.raises(InputError, match=r"row 3 .* --drop-bad \(drop_bad=True\)$"):
            method()


def test_unpaired_modalities_equal_two_sets_without_pairs(rows_by_name: dict[str, np.ndarray], tmp_path: Path) -> None:
    rows_by_name["audio"] = rows_by_name["audio"][:-15]
    rows_by_name["text"][3] = 0
    modalities = isthmus.Modalities(**rows_by_name, unpaired=True)
    two = {name: rows_by_name[name] for name in ("text", "audio")}
    with pytest.warns(isthmus.IsthmusWarning, match="left out 1 of 120 text rows"):
        measured = modalities.measure(drop_bad=True)
    with pytest.warns(isthmus.IsthmusWarning, match="left out 1 of 120 text rows"):
        alone = isthmus.measure(two, unpaired=True, drop_bad=True)
    assert measured["text", "audio"]["centroid_distance"].value == alone["centroid_distance"].value
    assert np.isnan(measured.matrix("R@1")).all()
    assert np.isfinite(measured.matrix("centroid_distance")[np.triu_indices(3, 1)]).all()
    del rows_by_name["text"]
    explained = isthmus.Modalities(**rows_by_name, unpaired=True).explain()
    assert not explained["image", "audio"].is_paired
    from isthmus.reporting.modalities_page import modalities_page

    with pytest.raises(InputError, match="explanations of sets without pairs, expected those of pairs"):
        modalities_page(explained, tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()
