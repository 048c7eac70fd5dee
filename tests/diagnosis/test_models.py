"""Several models side by side: numbers, paired differences, and rank correlations across models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import isthmus
from isthmus import Estimate, InputError
from isthmus.cli import app
from isthmus.diagnosis import ModelComparison, compare_models
from isthmus.diagnosis.model_table import rank_correlation, steps_of
from isthmus.diagnosis.models import open_model
from isthmus.reporting.models_page import models_page
from isthmus.statistics.shares import share_change_interval
from report_pages import columns_of_numbers

Rows = tuple[np.ndarray, np.ndarray]
#: Means of scores of the items.
ITEM_SCORES = ("R@1", "R@10", "mixed_R@1", "exchange_R@1", "same_modality_share")


def made_up(gap: float, noise: float, *, n: int = 200, seed: int = 0) -> Rows:
    """Return pairs around two means, of which the noise lowers the recall."""
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=(n, 16)) + 3 * np.eye(16)[1]
    offset = gap * np.eye(16)[0] * 4
    x, y = (shared + noise * rng.normal(size=shared.shape) + sign * offset for sign in (1, -1))
    return x, y


@pytest.fixture(scope="module")
def checkpoints() -> ModelComparison:
    return compare_models({f"step_{step}": made_up(1 - step / 900, 1.6 - step / 600) for step in range(100, 700, 100)})


def test_numbers_of_a_model_are_those_of_measure(checkpoints: ModelComparison) -> None:
    result = isthmus.measure(made_up(1 - 100 / 900, 1.6 - 100 / 600))
    numbers = checkpoints["step_100"]
    for name in ("centroid_angle", "mean_paired_cosine", "effective_rank_x"):
        assert numbers[name].value == result[name].value
    mean_recall = (result["x_to_y_R@1"].value + result["y_to_x_R@1"].value) / 2
    assert numbers["R@1"].value == pytest.approx(mean_recall)


def test_correlations_have_the_sign_of_the_construction(checkpoints: ModelComparison) -> None:
    correlations = checkpoints.correlations
    assert correlations["centroid_distance", "R@1"].value == pytest.approx(-1, abs=0.03)
    assert correlations["shared_alignment", "R@1"].value == pytest.approx(1, abs=0.03)
    assert correlations["shared_alignment", "R@1"].p_value < 0.02
    text = " ".join(checkpoints.sentences())
    lead = checkpoints.differences["step_100", "step_600"]["R@1"]
    assert lead.low > 0
    assert "step_600 has the best cross-modal R@1" in text
    assert "the alignment of the shared space and cross-modal R@1 rise together" in text


@pytest.mark.parametrize("names", [("a", "b"), ("b", "a")])
def test_sentence_about_the_best_model_has_the_signed_lead_over_the_second(names: tuple[str, str]) -> None:
    models = {"a": made_up(0.5, 0.8), "b": made_up(0.5, 0.4)}
    comparison = compare_models({name: models[name] for name in names})
    best, second = sorted(names, key=lambda name: -comparison[name]["R@1"].value)
    lead = comparison[best]["R@1"].value - comparison[second]["R@1"].value
    value = f"{comparison[best]['R@1'].value:.3f}"
    start = f"{best} has the best cross-modal R@1, {value}, and its lead over {second} is +{lead:.3f} (95 %: +"
    assert comparison.sentences()[0].startswith(start)


def test_differences_on_the_same_pairs_are_narrower_than_those_of_independent_pairs() -> None:
    models = {"a": made_up(0.5, 0.8), "b": made_up(0.5, 0.82)}
    paired = compare_models(models).differences["a", "b"]
    independent = compare_models(models, same_pairs=False).differences["a", "b"]
    for name in ("R@1", "centroid_angle", "mean_paired_cosine"):
        assert paired[name].value == pytest.approx(independent[name].value, rel=0.2, abs=0.01)
        assert paired[name].high - paired[name].low < 0.8 * (independent[name].high - independent[name].low), name


def test_difference_on_other_pairs_has_asymmetric_ends_where_the_recalls_have() -> None:
    models = {"a": made_up(0.5, 0.8), "b": made_up(0.1, 0.05)}
    comparison = compare_models(models, same_pairs=False)
    a, b, difference = (table["R@1"] for table in (comparison["a"], comparison["b"], comparison.differences["a", "b"]))
    assert b.high == b.value > b.low
    assert difference.low == pytest.approx(difference.value - np.hypot(b.value - b.low, a.high - a.value))
    assert difference.high == pytest.approx(difference.value + np.hypot(b.high - b.value, a.value - a.low))


def with_repeats(rows: Rows) -> Rows:
    """Return the same pairs, in which every second row of x repeats the one before."""
    return np.repeat(rows[0][::2], 2, axis=0), rows[1]


@pytest.mark.filterwarnings("ignore:100 of 200")
def test_models_of_which_one_has_equal_rows_are_paired() -> None:
    models = {"a": made_up(0.5, 0.8), "b": with_repeats(made_up(0.5, 0.82))}
    table = compare_models(models)
    assert table.paired
    paired, independent = (t.differences["a", "b"] for t in (table, compare_models(models, same_pairs=False)))
    for name in ("R@1", "mean_paired_cosine"):
        assert paired[name].high - paired[name].low < 0.95 * (independent[name].high - independent[name].low), name
    assert compare_models(models, group=False)["b"]["R@1"].value != table["b"]["R@1"].value


@pytest.mark.parametrize("n", [2, 3])
def test_models_of_few_pairs_have_no_shared_alignment_and_no_interval(n: int) -> None:
    table = compare_models({"a": made_up(0.5, 0.8, n=n), "b": made_up(0.5, 0.9, n=n)})
    assert table["a"]["shared_alignment"].undefined
    assert np.isnan(table.differences["a", "b"]["mean_paired_cosine"].low)


def test_models_that_share_too_many_rows_have_no_intervals() -> None:
    x, y = made_up(0.5, 0.9)
    y[:100] = y[0]
    with pytest.warns(isthmus.IsthmusWarning, match="no interval: 100 of 200 pairs"):
        table = compare_models({"a": made_up(0.5, 0.8), "b": (x, y)})
    assert np.isnan(table.differences["a", "b"]["R@1"].low)
    assert table["a"]["R@1"].note.startswith("no interval: 100 of 200 pairs (50 %) share rows")


def test_difference_of_a_model_from_itself_is_zero() -> None:
    model = made_up(0.5, 0.8)
    differences = compare_models({"a": model, "b": model}).differences["a", "b"]
    assert all(abs(d.value) < 1e-12 for d in differences.values())
    moments = {name: d for name, d in differences.items() if name not in ITEM_SCORES}
    assert all(np.isnan(d.low) or max(abs(d.low), abs(d.high)) < 1e-12 for d in moments.values())
    # No changes among 200 items do not exclude rare ones: both ends are those of the exact interval of a count of 0.
    no_change = share_change_interval(0, 0, 200)
    for name in ITEM_SCORES:
        assert (differences[name].low, differences[name].high) == pytest.approx(no_change)


@pytest.mark.slow
def test_paired_intervals_cover_the_difference() -> None:
    """The difference of two noise levels is in the 95 % interval in 88 to 100 of 100 data sets."""
    large = {name: made_up(0.5, noise, n=20_000, seed=99) for name, noise in (("a", 0.8), ("b", 0.9))}
    truth = compare_models(large).differences["a", "b"]
    names = ("centroid_angle", "mean_paired_cosine", "shared_alignment")
    covered = dict.fromkeys(names, 0)
    for seed in range(100):
        models = {"a": made_up(0.5, 0.8, n=300, seed=seed), "b": made_up(0.5, 0.9, n=300, seed=seed)}
        found = compare_models(models).differences["a", "b"]
        for name in names:
            covered[name] += found[name].low <= truth[name].value <= found[name].high
    assert min(covered.values()) >= 88, covered


def test_difference_of_angles_near_180_degrees_has_no_interval() -> None:
    rng = np.random.default_rng(0)
    opposite = tuple(rng.normal(size=(100, 8)) + sign * np.eye(8)[0] * 4 for sign in (1, -1))
    difference = compare_models({"a": made_up(0.5, 0.8, n=100), "b": opposite}).differences["a", "b"]
    assert np.isnan(difference["centroid_angle"].low)
    assert np.isfinite(difference["centroid_distance"].low)


def test_models_of_different_sizes_are_independent() -> None:
    table = compare_models({"a": made_up(0.5, 0.8), "b": made_up(0.5, 0.8, n=150)})
    assert not table.paired
    assert "different pairs" in repr(table)
    with pytest.raises(InputError, match="same_pairs=True, and the models have other rows"):
        compare_models({"a": made_up(0.5, 0.8), "b": made_up(0.5, 0.8, n=150)}, same_pairs=True)


def test_recall_of_zero_has_an_interval_with_a_width() -> None:
    rows = np.eye(40)
    table = compare_models({"a": (rows, np.roll(rows, 1, axis=0)), "b": (rows, rows)})
    assert table["a"]["R@1"].value == 0
    assert 0.05 < table["a"]["R@1"].high < 0.15
    assert 0.85 < table["b"]["R@1"].low < 0.95


def test_recall_with_one_miss_has_a_lower_interval_than_without() -> None:
    rows, one_missed = np.eye(40), np.eye(40)
    one_missed[0] = -one_missed[0]
    table = compare_models({"a": (rows, rows), "b": (one_missed, rows)})
    assert table["b"]["R@1"].value < 1
    assert table["b"]["R@1"].low < table["a"]["R@1"].low
    assert table["a"]["R@1"].low == pytest.approx(0.025 ** (1 / 40))


def test_one_model_is_refused() -> None:
    with pytest.raises(InputError, match="got 1 model, expected two or more"):
        compare_models({"a": made_up(0.5, 0.8)})


def test_exact_permutation_test_counts_all_orders() -> None:
    numbers = {str(i): {"a": Estimate(float(i)), "b": Estimate(float(b))} for i, b in enumerate([0, 1, 2, 3, 4])}
    estimate = rank_correlation(numbers, "a", "b")
    assert (estimate.value, estimate.p_value) == (1.0, pytest.approx(2 / 120))
    assert Estimate.from_dict(estimate.to_dict()).p_value == estimate.p_value


def test_permutation_test_of_many_models_keeps_its_level() -> None:
    rng = np.random.default_rng(0)
    p_values = []
    for _ in range(40):
        a, b = rng.normal(size=(2, 12))
        numbers = {str(i): {"a": Estimate(a[i]), "b": Estimate(b[i])} for i in range(12)}
        p_values.append(rank_correlation(numbers, "a", "b").p_value)
    assert 0.3 < np.mean(p_values) < 0.7
    assert np.mean(np.array(p_values) < 0.1) < 0.3


@pytest.mark.parametrize(
    ("values", "reason"),
    [([1, 2, 3], "3 models are too few for a rank correlation, 4 are needed"), ([1, 1, 1, 1], "is the same for all")],
)
def test_rank_correlation_without_meaning_is_undefined(values: list[float], reason: str) -> None:
    numbers = {str(i): {"a": Estimate(value), "b": Estimate(float(i))} for i, value in enumerate(values)}
    assert reason in str(rank_correlation(numbers, "a", "b").undefined)


@pytest.mark.parametrize(
    ("names", "steps"),
    [
        (["step_100", "step_20"], {"step_100": 100, "step_20": 20}),
        (["epoch1.pt", "epoch2.pt"], {"epoch1.pt": 1, "epoch2.pt": 2}),
        (["clip-b-32", "siglip-b-16"], {}),
        (["a", "b"], {}),
        (["x1", "x01"], {}),
    ],
)
def test_steps_come_from_names_that_differ_in_one_number(names: list[str], steps: dict[str, int]) -> None:
    assert steps_of(names) == steps


def test_folder_of_a_model_holds_two_modalities(tmp_path: Path) -> None:
    for name in ("image", "text", "audio"):
        np.save(tmp_path / f"{name}.npy", made_up(0.5, 0.8)[0])
    with pytest.raises(InputError, match=r"holds one entry \(image.npy\)"):
        open_model(tmp_path / "image.npy")
    with pytest.raises(InputError, match=r"holds 3 entries \(audio.npy, image.npy, text.npy\), expected the files of"):
        open_model(tmp_path)
    assert open_model(f"{tmp_path / 'text.npy'},{tmp_path / 'audio.npy'}").names == ("text", "audio")


def test_models_verb_writes_a_page_and_a_table(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from isthmus.cli import app

    for model, rows in {"ckpt_1": made_up(0.9, 0.9), "ckpt_2": made_up(0.5, 0.5)}.items():
        (tmp_path / model).mkdir()
        for name, values in zip(("image", "text"), rows, strict=True):
            np.save(tmp_path / model / f"{name}.npy", values)
    folders = [str(tmp_path / "ckpt_1"), str(tmp_path / "ckpt_2")]
    outputs = ["-o", str(tmp_path / "m.html"), "-o", str(tmp_path / "m.json"), "-o", str(tmp_path / "m.tex")]
    done = CliRunner().invoke(app, ["models", *folders, *outputs])
    assert done.exit_code == 0, done.output
    assert "ckpt_2 has the best cross-modal R@1" in done.output
    page = (tmp_path / "m.html").read_text(encoding="utf-8")
    assert "Over training" in page
    assert "ckpt_2 has the best" in page
    loaded = isthmus.load(tmp_path / "m.json")
    assert loaded.steps == {"ckpt_1": 1, "ckpt_2": 2}
    assert loaded == isthmus.compare_models(dict(zip(("ckpt_1", "ckpt_2"), folders, strict=True)))
    assert loaded.plot("checkpoints").get_xlabel() == "step"


def test_models_verb_refuses_equal_names(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from isthmus.cli import app

    done = CliRunner().invoke(app, ["models", str(tmp_path), str(tmp_path)])
    assert "give different ones with --names" in str(done.exception)


def test_open_model_of_unequal_counts_proposes_rows_that_repeat(tmp_path: Path) -> None:
    for name, count in (("image", 40), ("text", 50)):
        np.save(tmp_path / f"{name}.npy", np.random.default_rng(0).normal(size=(count, 4)))
    with pytest.raises(InputError, match="40 rows and .* has 50: .* repeat the row of an item") as error:
        open_model(tmp_path)
    assert "--index" not in str(error.value)


def test_numbers_of_a_column_of_the_page_have_one_number_of_decimals(tmp_path: Path) -> None:
    models_page(compare_models({"a": made_up(0.5, 0.8), "b": made_up(0.01, 0.9)}), tmp_path / "models.html")
    columns = columns_of_numbers(tmp_path / "models.html")
    assert all(len({len(number.partition(".")[2]) for number in numbers}) <= 1 for numbers in columns), columns
    assert sum(len(numbers) > 3 for numbers in columns) > 6


def test_models_of_a_sample_state_it_with_standard_errors(tmp_path: Path) -> None:
    models = {name: made_up(1, noise, n=300, seed=3) for name, noise in (("a", 0.8), ("b", 1.2))}
    table = compare_models(models, sample=100)
    scores = ("R@1", "R@10", "mixed_R@1", "exchange_R@1", "same_modality_share")
    for own in (*table.values(), table.differences["a", "b"]):
        assert [own[name].sampled for name in scores] == [100] * 5
        assert own["centroid_distance"].sampled == own["shared_alignment"].sampled == 0
    error = table["a"]["R@1"].standard_error
    content = ModelComparison.from_dict(table.to_dict()).to_dict()
    assert content == table.to_dict()
    assert content["models"]["a"]["R@1"]["standard_error"] == error
    columns = table.columns()
    row = columns["measure"].index("R@1")
    assert (columns["sampled"][row], columns["standard_error"][row]) == (100, error)
    stated = "a random sample of 100 of 300 items of each model (--sample)"
    assert stated in table.sentences()[-1]
    assert "The standard error of R@1 is " in table.sentences()[-1]
    models_page(table, tmp_path / "models.html")
    assert stated in (tmp_path / "models.html").read_text(encoding="utf-8")
    unsampled = compare_models(models)
    assert "random sample" not in " ".join(unsampled.sentences())
    assert unsampled["a"]["R@1"].sampled == 0
    with pytest.raises(InputError, match="sample=99: expected 100 items or more"):
        compare_models(models, sample=99)


def test_models_command_takes_the_sample(tmp_path: Path) -> None:
    paths = []
    for name in "ab":
        (tmp_path / name).mkdir()
        for modality, rows in zip(("image", "text"), made_up(1, 0.8, seed=ord(name)), strict=True):
            np.save(tmp_path / name / f"{modality}.npy", rows)
        paths.append(str(tmp_path / name))
    output = CliRunner().invoke(app, ["models", *paths, "--sample", "120"]).stdout
    assert "a random sample of 120 of 200 items of each model (--sample)" in " ".join(output.split())
