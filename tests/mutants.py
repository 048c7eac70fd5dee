"""Mutation testing: change one operator, constant or guard and run the nearest tests.

    python tests/mutants.py [--count 300] [--seed 12] [--packages statistics,metrics,align,linalg] [--workers 2]

Mutants are drawn by a seed from all places of the packages that can be changed. Each runs in a forked process that
serves the changed source from memory, against the tests of its module, for at most 60 seconds. The report has one JSON
line per mutant: the file, the line, the change and the outcome (killed, survived, timeout).
"""

from __future__ import annotations

import argparse
import ast
import copy
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import random
import re
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

TESTS = Path(__file__).parent
SOURCE = TESTS.parent / "src" / "isthmus"
TIMEOUT = 60
#: Tests of guards, thresholds and declarations of a whole package. They run for each of its modules.
LIMITS = ("test_conditions", "test_thresholds", "test_fitting")

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult,
}  # fmt: skip
CALLS = {"min": "max", "max": "min", "minimum": "maximum", "maximum": "minimum", "any": "all", "all": "any"}


def changed_node(node: ast.AST) -> tuple[ast.AST, str] | None:
    """Return a changed copy of `node` and what was changed, or None if this node is not mutated."""
    new: Any = copy.deepcopy(node)
    if isinstance(node, ast.Compare) and type(node.ops[0]) in COMPARISONS:
        new.ops[0] = COMPARISONS[type(node.ops[0])]()
    elif isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        new.op = OPERATORS[type(node.op)]()
    elif isinstance(node, ast.BoolOp):
        new.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
        new = new.operand
    elif isinstance(node, ast.Constant) and type(node.value) in (int, float):
        new.value = node.value + 1 if isinstance(node.value, int) else node.value * 1.25 + (node.value == 0)
    elif isinstance(node, ast.Constant) and type(node.value) is bool:
        new.value = not node.value
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CALLS:
        new.func.id = CALLS[node.func.id]
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CALLS:
        new.func.attr = CALLS[node.func.attr]
    elif isinstance(node, ast.If) and not node.orelse:
        new.test = ast.Constant(False)
    else:
        return None
    if isinstance(node, ast.If):
        return new, f"if {ast.unparse(node.test)} -> if False"
    return new, f"{ast.unparse(node)} -> {ast.unparse(new)}"


def is_typing_block(node: ast.AST) -> bool:
    """Return whether `node` is `if TYPE_CHECKING:`."""
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def places(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the number and the line of every node of a file that can be changed, without annotations and messages."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped: set[int] = set()
    for node in ast.walk(tree):
        ignored: list[ast.AST] = []
        if isinstance(node, ast.AnnAssign):
            ignored = [node.annotation]
        elif isinstance(node, ast.FunctionDef):
            ignored = [
                a for a in (node.returns, *(x.annotation for x in ast.walk(node.args) if isinstance(x, ast.arg))) if a
            ]
            ignored += node.decorator_list
        elif isinstance(node, ast.ClassDef):
            ignored = list(node.decorator_list)
        elif isinstance(node, ast.Raise | ast.JoinedStr) or (
            isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        ):
            ignored = [node]
        for top in ignored:
            skipped |= {id(child) for child in ast.walk(top)}
    for number, node in enumerate(ast.walk(tree)):
        if id(node) not in skipped and (change := changed_node(node)) is not None:
            yield number, change[1]


def mutated_source(path: Path, number: int) -> tuple[str, int]:
    """Return the source of `path` with node `number` changed, and the line of that node."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    target = next(node for k, node in enumerate(ast.walk(tree)) if k == number)
    change = changed_node(target)
    assert change is not None

    class Replace(ast.NodeTransformer):
        def visit(self, node: ast.AST) -> Any:
            return ast.copy_location(change[0], node) if node is target else self.generic_visit(node)

    return ast.unparse(ast.fix_missing_locations(Replace().visit(tree))), getattr(target, "lineno", 0)


def nearest_tests(path: Path) -> list[str]:
    """Return the pytest arguments of the tests that are nearest to a module."""
    package, stem = path.relative_to(SOURCE).parts[0], path.stem.strip("_")
    names = re.findall(r"^(?:class|def) ([A-Za-z]\w+)", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    scored = []
    for test in sorted(TESTS.rglob("test_*.py")):
        text = test.read_text(encoding="utf-8")
        score = sum(len(re.findall(rf"\b{name}\b", text)) for name in names) + 5 * len(re.findall(rf"\b{stem}\b", text))
        score += 1000 * (test.stem == f"test_{stem}") + 5 * (test.parent.name == package)
        scored.append((score, str(test)))
    # The stored values of all measures and aligners come first: they take a few seconds.
    stored_values = str(TESTS / "test_stored_values.py")
    nearest = [test for score, test in sorted(scored, reverse=True)[:3] if score > 5 and test != stored_values]
    limits = [str(test) for test in (TESTS / package).glob("test_*.py") if test.stem in LIMITS]
    limits = [test for test in limits if test not in nearest]
    chosen = [stored_values, *nearest, *limits]
    measures = re.findall(r"(?:metric|_register)\(\s*f?\"([^\"]+)\"", path.read_text(encoding="utf-8"))
    registered = (
        measures if package == "metrics" else [name for name in names if package == "align" and name[0].isupper()]
    )
    contracts = sorted({str(t) for t in TESTS.glob("test_*contract*.py")})
    if registered and contracts:
        keys = " or ".join(_key(name) for name in registered)
        return [*chosen, *contracts, "-k", f"({keys}) or not contract"]
    return chosen if nearest else [*chosen, str(TESTS / package)]


def _key(name: str) -> str:
    """Return a word of a test id that stands for the registered name."""
    return max(re.split(r"\W+", name), key=len)


class MutantFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Serves one module from changed source."""

    def __init__(self, name: str, path: Path, source: str):
        self.name, self.path, self.source = name, path, source

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if name != self.name:
            return None
        is_package = self.path.name == "__init__.py"
        places = [str(self.path.parent)] if is_package else None
        return importlib.util.spec_from_file_location(name, self.path, loader=self, submodule_search_locations=places)

    def get_code(self, name: str) -> CodeType:
        return compile(self.source, str(self.path), "exec")

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        exec(self.get_code(module.__name__), vars(module))


def run_child(path: Path, source: str, arguments: Sequence[str]) -> int:
    """Run pytest on the changed module in this process and return its exit code."""
    import pytest

    parts = ("isthmus", *path.relative_to(SOURCE).with_suffix("").parts)
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    sys.meta_path.insert(0, MutantFinder(name, path, source))
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    return int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-m", "not slow", *arguments]))


def run_mutant(path: Path, number: int, arguments: Sequence[str]) -> tuple[str, float]:
    """Return the outcome of one mutant and its seconds."""
    source, _ = mutated_source(path, number) if number >= 0 else (path.read_text(encoding="utf-8"), 0)
    start = time.monotonic()
    child = os.fork()
    if child == 0:
        os.setsid()
        code = 99
        try:
            code = run_child(path, source, arguments)
        finally:
            os._exit(code)
    while time.monotonic() - start < TIMEOUT:
        finished, status = os.waitpid(child, os.WNOHANG)
        if finished:
            code = os.waitstatus_to_exitcode(status)
            return {0: "survived", 5: "no tests"}.get(code, "killed"), time.monotonic() - start
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "timeout", time.monotonic() - start


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw mutants, run them and print one JSON line for each."""
    parser = argparse.ArgumentParser(description="mutation testing of the numerical packages")
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=12)
    parser.add_argument("--packages", default="statistics,metrics,align,linalg")
    parser.add_argument("--output", type=Path, default=Path("mutants.jsonl"))
    parser.add_argument("--worker", type=int, nargs=2, default=(0, 1), metavar=("NUMBER", "OF"))
    options = parser.parse_args(arguments)
    files = [path for package in options.packages.split(",") for path in sorted((SOURCE / package).rglob("*.py"))]
    candidates = [(path, number, change) for path in files for number, change in places(path)]
    drawn = random.Random(options.seed).sample(candidates, min(options.count, len(candidates)))
    # Everything that tests need and the package does not change is imported once, before the forks.
    for library in ("numpy", "scipy.linalg", "scipy.stats", "pytest", "torch", "sklearn.base", "sklearn.decomposition"):
        importlib.import_module(library)
    number_of_worker, workers = options.worker
    with options.output.open("a", encoding="utf-8") as report:
        for path, number, change in drawn[number_of_worker::workers]:
            tests = nearest_tests(path)
            outcome, seconds = run_mutant(path, number, tests)
            line = mutated_source(path, number)[1]
            record = {
                "file": str(path.relative_to(SOURCE)), "line": line, "node": number, "change": change,
                "outcome": outcome, "seconds": round(seconds, 1),
                "tests": [Path(test).name for test in tests if test.endswith(".py")],
            }  # fmt: skip
            report.write(json.dumps(record) + "\n")
            report.flush()


if __name__ == "__main__":
    main()
