"""Files of a comparison: JSON, CSV, merging, the journal, and the page."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import isthmus
from isthmus import InputError, Pairs
from isthmus.align import Aligner, Centering
from isthmus.evaluation import Comparison, compare, load_comparison, merge, to_csv
from isthmus.reporting.comparison_page import closed_share, comparison_page, trade_off
from report_pages import columns_of_numbers


class TestFiles:
    def test_load_comparison_returns_the_saved_table(self, table: Comparison, tmp_path: Path) -> None:
        table.save(tmp_path / "run.json")
        loaded = load_comparison(tmp_path / "run.json")
        assert loaded.to_json() == table.to_json()
        assert isinstance(loaded["Centering"].aligner, Centering)

    def test_save_with_a_csv_name_writes_one_line_per_score(self, table: Comparison, tmp_path: Path) -> None:
        table.save(tmp_path / "run.csv")
        lines = list(csv.DictReader(io.StringIO((tmp_path / "run.csv").read_text(encoding="utf-8"))))
        columns = "data fit_pairs test_pairs splits aligner fit_items score better value change low high note"
        assert list(lines[0]) == columns.split()
        (line,) = [line for line in lines if (line["aligner"], line["score"]) == ("Centering", "R@1")]
        change = table["Centering"].changes["R@1"]
        assert [line[name] for name in ("data", "fit_pairs", "test_pairs", "splits", "fit_items", "better")] == [
            "image / text", "60", "60", "2", "", "higher",
        ]  # fmt: skip
        assert [float(line[name]) for name in ("change", "low", "high")] == [change.value, change.low, change.high]
        assert float(line["value"]) == table["Centering"].scores["R@1"].value

    def test_to_csv_writes_fit_sizes_and_reasons(self, pairs: Pairs) -> None:
        sized = compare(pairs, aligners=["Centering", "RidgeCCA"], tasks=["retrieval"], splits=1, fit_sizes=[10])
        lines = list(csv.DictReader(io.StringIO(to_csv([sized]))))
        assert {(line["aligner"], line["fit_items"]) for line in lines} >= {("Identity", ""), ("Centering", "10")}
        (gap,) = [line for line in lines if (line["aligner"], line["score"]) == ("Centering", "gap")]
        assert (gap["value"], gap["note"]) == ("", sized["Centering on 10 items"].scores["gap"].undefined)

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("[1]", "bad.json: holds something else; expected a comparison written by"),
            ('{"kind": "result"}', "bad.json: holds something else; expected a comparison written by"),
            ('{"kind": "comparison", "format": 1}', "a part of this comparison is missing or wrong"),
            ('{"kind": "comparison", "format": "1"}', "a part of this comparison is missing or wrong"),
            ("not json", "bad.json: not valid JSON"),
            ('{"kind": "comparison", "format": 99}', "has format 99, this version reads up to"),
        ],
    )
    def test_load_comparison_refuses_other_files(self, tmp_path: Path, content: str, message: str) -> None:
        (tmp_path / "bad.json").write_text(content, encoding="utf-8")
        with pytest.raises(InputError, match=message):
            load_comparison(tmp_path / "bad.json")

    def test_unknown_aligner_in_a_table_names_the_known_ones(self, table: Comparison) -> None:
        with pytest.raises(KeyError, match="no aligner 'Centring' in this table; it has Identity, Centering"):
            table["Centring"]


class TestMerge:
    def test_merge_of_runs_of_the_same_pairs_is_one_table(self, pairs: Pairs) -> None:
        together = compare(pairs, aligners=["Centering", "MeanRotation"], splits=2)
        single = [compare(pairs, aligners=[name], splits=2) for name in ("Centering", "MeanRotation")]
        (merged,) = merge(single)
        assert merged.to_dict()["rows"] == together.to_dict()["rows"]
        (more,) = merge([compare(pairs, aligners=["Centering"], splits=1), single[0]])
        assert more.to_dict()["rows"] == single[0].to_dict()["rows"]

    def test_merge_of_runs_of_other_pairs_or_settings_stays_apart(
        self, pairs: Pairs, make_clouds: Callable[..., Pairs], rng: np.random.Generator
    ) -> None:
        options: dict[str, Any] = {"aligners": ["Centering"], "tasks": ["retrieval"], "splits": 1}
        runs = [compare(pairs, **options), compare(make_clouds(rng, 50), **options), compare(pairs, **options, rng=1)]
        assert len(merge(runs)) == 3
        assert len(merge([*runs, runs[0]])) == 3

    def test_merge_of_nothing_is_refused(self) -> None:
        with pytest.raises(InputError, match="nothing to merge"):
            merge([])


OPTIONS: dict[str, Any] = {"aligners": ["Centering", "MeanRotation"], "tasks": ["retrieval"], "splits": 2}


class TestJournal:
    def test_interrupted_run_continues_from_its_journal(
        self, pairs: Pairs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "run.jsonl"
        expected = compare(pairs, **OPTIONS)

        class StopError(Exception):
            pass

        def stop(done: int, total: int, name: str) -> None:
            assert total == 6
            if done == 4:
                raise StopError

        with pytest.raises(StopError):
            compare(pairs, **OPTIONS, journal=path, progress=stop)
        assert len(path.read_text(encoding="utf-8").splitlines()) == 5
        with path.open("a", encoding="utf-8") as file:
            file.write('{"aligner": "MeanRot')  # interrupted while writing
        fitted = []
        fit = Aligner.fit_moments
        monkeypatch.setattr(
            Aligner, "fit_moments", lambda self, m, /, **k: (fitted.append(type(self).__name__), fit(self, m, **k))[1]
        )
        assert compare(pairs, **OPTIONS, journal=path).to_json() == expected.to_json()
        assert list(dict.fromkeys(name for name in fitted if name != "Identity")) == ["Centering", "MeanRotation"]
        assert fitted.count("Centering") == 1
        fitted.clear()
        assert compare(pairs, **OPTIONS, journal=path).to_json() == expected.to_json()
        assert fitted == []

    def test_journal_of_another_run_or_file_is_refused(self, pairs: Pairs, tmp_path: Path) -> None:
        compare(pairs, **OPTIONS, journal=tmp_path / "run.jsonl")
        with pytest.raises(InputError, match=r"is the journal of another run \(rng differ\)"):
            compare(pairs, **OPTIONS, journal=tmp_path / "run.jsonl", rng=1)
        (tmp_path / "notes.txt").write_text("shopping\n", encoding="utf-8")
        with pytest.raises(InputError, match="is no journal of isthmus compare"):
            compare(pairs, **OPTIONS, journal=tmp_path / "notes.txt")


class TestPage:
    def test_comparison_page_shows_every_aligner_and_is_reproducible(self, table: Comparison, tmp_path: Path) -> None:
        comparison_page(table, tmp_path / "a.html")
        comparison_page(table, tmp_path / "b.html")
        text = (tmp_path / "a.html").read_text(encoding="utf-8")
        assert text == (tmp_path / "b.html").read_text(encoding="utf-8")
        assert text.count("<svg") == 2  # one for each task
        assert "currentColor" in text
        assert "prefers-color-scheme: dark" in text
        assert "http" not in text.replace("http://www.w3.org", "")
        for row in table.rows:
            assert row.name in text
        heads = "".join(f'<th scope="col">{name} ↑</th>' for name in ("exchange R@1", "mixed R@1"))
        assert heads in text
        assert "Change of exchange R@1 where the gap is closed" in text
        change = table["MeanRotation"].changes["R@1"]
        interval = f"{change.low:+.3f} to {change.high:+.3f}".replace("-", "−")
        assert f"<small>{interval}</small>" in text  # narrow enough for five scores

    def test_numbers_of_a_column_have_one_number_of_decimals(self, tmp_path: Path) -> None:
        pairs = isthmus.demo.load("plain", split="test")
        names = ["ScoreCalibration", "Centering", "KernelBlend", "ScoreStandardization"]
        table = compare(pairs, aligners=names, tasks=["retrieval", "mixed_search"], splits=1)
        comparison_page(table, tmp_path / "a.html")
        columns = columns_of_numbers(tmp_path / "a.html")
        assert all(len({len(number.partition(".")[2]) for number in numbers}) <= 1 for numbers in columns), columns
        assert sum(len(numbers) > 4 for numbers in columns) >= 6

    def test_comparison_page_of_an_unknown_score_is_refused(self, table: Comparison, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="no score 'R@2' in this comparison"):
            comparison_page(table, tmp_path / "c.html", score="R@2")

    def test_closed_share_is_the_relative_decrease_of_the_distance(self, table: Comparison) -> None:
        raw, centred = (table[name] for name in ("Identity", "Centering"))
        distances = [row.scores["gap_distance"].value for row in (raw, centred)]
        assert closed_share(raw, raw) == 0
        assert closed_share(centred, raw) == pytest.approx(1 - distances[1] / distances[0])
        assert closed_share(centred, raw) > 0.5

    def test_trade_off_lines_begin_at_the_left_end_of_the_names(
        self, table: Comparison, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from matplotlib.axes import Axes

        calls: list[Any] = []
        annotate = Axes.annotate

        def spy(self: Axes, *args: Any, **options: Any) -> Any:
            calls.append(options)
            return annotate(self, *args, **options)

        monkeypatch.setattr(Axes, "annotate", spy)
        trade_off(table, "R@1")
        assert [o["arrowprops"]["relpos"] for o in calls if "arrowprops" in o] == [(0, 0.5)] * 2


def test_table_and_trials_are_plain_json(table: Comparison) -> None:
    content = json.loads(table.to_json())
    assert content["kind"] == "comparison"
    assert [row["aligner"] for row in content["rows"]] == ["Identity", "Centering", "MeanRotation"]
    assert len(content["trials"]) == 6
    assert content["trials"][0]["error"] is None


def test_compare_of_a_sample_states_it_in_the_table_and_on_the_page(rng: np.random.Generator, tmp_path: Path) -> None:
    x, y = rng.normal(size=(2, 130, 6))
    table = compare(Pairs(image=x, text=y), aligners=["Centering"], splits=1, sample=100)
    assert (table.n_fit, table.n_test) == (50, 50)
    assert table.sample_words == "a random sample of 100 of 130 items"
    table.save(tmp_path / "table.json")
    assert load_comparison(tmp_path / "table.json").sample_words == table.sample_words
    comparison_page(table, tmp_path / "page.html")
    assert table.sample_words in (tmp_path / "page.html").read_text(encoding="utf-8")
    complete = compare(Pairs(image=x, text=y), aligners=["Centering"], splits=1, sample=130)
    assert (complete.n_test, complete.sample_words) == (65, "")
    with pytest.raises(InputError, match="sample=99: expected 100 items or more"):
        compare(Pairs(image=x, text=y), sample=99)
