"""The benchmarks say what they measure, and the pages are what was measured."""

from __future__ import annotations

import ast
import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
FILES = sorted(p for p in BENCHMARKS.glob("*.py") if not p.stem.startswith("_") and p.stem != "run")


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Imports a file of benchmarks/."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))

    def load(name: str) -> Any:
        monkeypatch.delitem(sys.modules, name, raising=False)
        return __import__(name)

    return load


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_every_benchmark_has_rows_and_a_claim(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert "rows" in names
    assert ast.get_docstring(tree)


@pytest.mark.parametrize("path", sorted(BENCHMARKS.glob("*.py")), ids=lambda p: p.stem)
def test_every_name_that_a_benchmark_imports_exists(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("isthmus"):
            for alias in node.names:
                exec(f"from {node.module} import {alias.name}", {})


def test_rows_say_whether_they_are_met(bench: Any) -> None:
    table = bench("_table")
    row = table.Row("a", "1 s", "b: 2 s", 2.0, least=1)
    assert row.met is True
    assert row.line() == "| a | 1 s | b: 2 s | 2 | at least 1 | yes |  |"
    assert table.Row("a", "", "", 0.5, least=1).met is False
    assert table.Row("a", "", "", 1.2, least=0.95, most=1.05).met is False
    assert table.missing("a", "b").met is None
    again = table.Row.from_dict(json.loads(json.dumps(table.missing("a", "b").to_dict())))
    assert math.isnan(again.ratio)


def test_contenders_run_in_turns(bench: Any) -> None:
    table, order = bench("_table"), []
    best = table.fastest({n: lambda n=n: order.append(n) for n in "ab"}, repeats=2)
    assert order == ["a", "b", "a", "b"]
    assert all(0 <= seconds < 1 for seconds in best.values())


def test_a_child_answers_and_says_why_it_failed(bench: Any) -> None:
    table = bench("_table")
    assert table.child("_table", "threads", OMP_NUM_THREADS="3") == 3
    with pytest.raises(RuntimeError, match=r"_table.installed failed: TypeError"):
        table.child("_table", "installed")


def test_the_pages_are_those_of_the_results(bench: Any) -> None:
    run = bench("run")
    results = json.loads(run.RESULTS.read_text(encoding="utf-8"))
    assert run.page(results) == run.PAGE.read_text(encoding="utf-8")
    scaling = bench("scaling")
    text = scaling.PAGE.read_text(encoding="utf-8")
    measured = scaling.Coefficients(**json.loads(scaling.COEFFICIENTS.read_text(encoding="utf-8")))
    table = scaling.prediction_table(measured)
    assert f"<!-- predictions -->\n{table}\n<!-- end of predictions -->" in text


def test_the_cost_model(bench: Any) -> None:
    scaling = bench("scaling")
    measured = scaling.Coefficients(flops=1e11, per_value=4e-9, start=0.0, add=2e-10)
    one = scaling.Hardware("one", 1, 1, 1.0, 1e12, 1e9)
    cost = scaling.predict(1e6, 768, one, measured)
    assert cost.compute == pytest.approx(1e6 * (4 * 768**2 / 1e11 + 768 * 4e-9))
    assert (cost.bytes_read, cost.bytes_moved, cost.limit) == (1e6 * 768 * 8, 0.0, "computing")
    four = scaling.Hardware("four", 4, 2, 1.0, 1e12, 1e9)
    assert scaling.predict(1e6, 768, four, measured).compute == pytest.approx(cost.compute / 8)
    from isthmus import Moments

    x, y = np.random.default_rng(0).normal(size=(2, 10, 5))
    m = Moments.of(x, y)
    held = sum(np.asarray(v).nbytes for v in (m.sum_x, m.sum_y, m.xx, m.yy, m.xy, m.cos_x, m.cos_y)) + 16
    assert scaling.moments_bytes(5) == held


def test_what_breaks_first(bench: Any) -> None:
    scaling = bench("scaling")
    double, single = scaling.sum_errors(10**6)
    assert double < 1e-12 < 1e-7 < single
    assert scaling.tree_seconds(1_024, 8, 1e7, 1e9, 1e-10) < 0.05 * scaling.tree_seconds(1_024, 1_024, 1e7, 1e9, 1e-10)
    spans = [scaling.makespan(64, parts) for parts in (1, 8, 32)]
    assert spans[0] > spans[1] > spans[2] >= 1
    assert scaling.makespan(4, 400, slow=0.0, factor=1.0) == pytest.approx(1, rel=0.02)


def test_no_benchmark_hides_a_library() -> None:
    from importlib.metadata import packages_distributions

    libraries = {name.lower() for name in packages_distributions()} | sys.stdlib_module_names
    assert not {path.stem for path in BENCHMARKS.glob("*.py")} & libraries


def test_the_scores_of_the_raw_rows_are_those_of_the_search(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = bench("scores")
    monkeypatch.setattr(scores, "SPLITS", 2)
    pairs = dict(scores.data_sets())["collapsed"]
    results = scores.measure(pairs)
    assert set(results) >= {"raw", "ScoreStandardization"}
    recall, exchange, mixed, balance = results["raw"].mean(axis=0)
    assert (recall, exchange, mixed, balance) == pytest.approx((52, 33.2, 0, 1.99), abs=2)
    monkeypatch.setattr(scores, "measure", lambda _: results)
    (row, *_) = [row for row in scores.rows("collapsed") if row.claim.startswith("ScoreStandardization")]
    assert row.ratio > 1.4
