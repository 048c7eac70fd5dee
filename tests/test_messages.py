"""No message of an error, and no reason of an undefined measure, speaks of the inside of a computation."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import isthmus
from isthmus.data.unpaired_sets import UnpairedSets

ROW = np.eye(4)[:1]
ROOT = Path(isthmus.__file__).parent
#: Callables whose arguments are messages to users.
SPEAKERS = {"InputError", "NotFittedError", "TooFewItemsError", "undefined", "too_few_items"}
INSIDE_WORDS = re.compile(r"\b(matrix|matrices|eigenvalues?|eigenvectors?|nu|Bessel|LinAlgError|SVD)\b")
#: Texts that are no prose: the name of a plot function, and that of an argument which is compared.
NAMES = ("matrix got", "orders nu")


def texts(node: ast.AST) -> str:
    """Return all text of an expression, with a mark in place of computed parts."""
    return " ".join(n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str))


def messages() -> Iterator[tuple[str, int, str]]:
    """Yield file, line and text of every message in the source."""
    for path in sorted(ROOT.rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        if "Error(" not in source and "undefined" not in source:
            continue
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Call):
                name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
                arguments = [keyword.value for keyword in node.keywords if keyword.arg in ("undefined", "note")]
                for argument in [*node.args, *arguments] if name in SPEAKERS else arguments:
                    yield str(path.relative_to(ROOT)), node.lineno, texts(argument)


def test_counts_in_messages_have_the_number_of_their_noun() -> None:
    """One item is too few, and two items are too few: such clauses come from `too_few`, which knows the singular."""
    unchecked = []
    for path in sorted(ROOT.rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        if "are too few" not in source:
            continue
        for node in ast.walk(ast.parse(source)):
            parts = node.values if isinstance(node, ast.JoinedStr) else []
            for count, text in pairwise(parts):
                is_count = isinstance(count, ast.FormattedValue) and isinstance(text, ast.Constant)
                if is_count and re.match(r" (\w+ )?(items|models|pairs) are too few", str(text.value)):
                    unchecked.append((path.name, node.lineno))
    assert unchecked == []


@pytest.mark.parametrize(
    "call",
    [
        lambda: isthmus.Pairs(image=ROW),
        lambda: UnpairedSets(image=ROW),
        lambda: isthmus.Modalities(image=ROW),
        lambda: isthmus.measure({"image": ROW}),
    ],
)
def test_messages_about_one_modality_are_in_the_singular(call: Callable[[], object]) -> None:
    with pytest.raises(isthmus.InputError, match=r"got 1 modality\b"):
        call()


def test_messages_do_not_speak_of_the_inside_of_a_computation() -> None:
    found = list(messages())
    assert len(found) > 300  # the scan sees the messages
    spoken = [entry for entry in found if INSIDE_WORDS.search(entry[2])]
    assert [entry for entry in spoken if not any(name in entry[2] for name in NAMES)] == []


def test_percentages_have_a_space_before_the_sign() -> None:
    """Format specs that end in % write none."""
    specs = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sorted(ROOT.rglob("*.py"))
        if re.search(r"%\}", source := path.read_text(encoding="utf-8"))
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FormattedValue) and node.format_spec and texts(node.format_spec).endswith("%")
    ]
    assert specs == []
