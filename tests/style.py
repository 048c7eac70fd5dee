"""Style checks that need the syntax tree: local names, sentences and numpydoc sections.

`python tests/style.py names src/isthmus/align` lists function words that are used as names;
`python tests/style.py docs isthmus.align` lists what numpydoc validation finds in the public names of a package;
`python tests/style.py words src/isthmus/align` lists private words and long sentences of docstrings and comments.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import io
import re
import sys
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

#: Words that name nothing: participles, pronouns, adverbs and quantities without a noun.
FUNCTION_WORDS = frozenset(
    """
    again alike apart asked bears begun bit bits both came chosen come done drawn each enough every far
    few found given gone got held here house journey judged kept kin  known lacks lane lanes
    least left lies made many meant more most moved near needed once one opened other others own part
    partner partners parts picked piece pieces place places put rest room rooms said same says seen sent
    shown side sides speaks spoken stands still story stranger strangers stuff such swept taken there
    thing things told travel tried turned two wanted wants way ways what where whether which whole word
    words written
    """.split()  # noqa: SIM905
)

#: Private or archaic words and what to write instead.
PRIVATE_WORDS = {
    "strangers": "non-matching pairs", "stranger": "non-matching pair", "kin": "related", "lane": "worker",
    "lanes": "workers", "journey": "copy", "rooms": "packages", "whole or not at all": "atomically",
    "to speak of": "significant", "speaks": "returns", "mends": "fixes", "bears out": "supports",
    "bear out": "support", "stumbles": "fails", "travels": "is copied", "travel": "are copied",
}  # fmt: skip


def stored_names(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield every name that an assignment, a loop, a comprehension or an argument binds, with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno


def function_word_names(folder: Path) -> tuple[list[tuple[Path, int, str]], int]:
    """Return the bindings of function words below `folder` and the number of all bindings."""
    hits, total = [], 0
    for path in sorted(folder.rglob("*.py")) if folder.is_dir() else [folder]:
        for name, line in stored_names(ast.parse(path.read_text(encoding="utf-8"))):
            total += 1
            if name.strip("_") in FUNCTION_WORDS:
                hits.append((path, line, name))
    return hits, total


#: numpydoc codes that every public function and class must pass, and those of methods and properties.
CODES = {"GL06", "GL07", "GL08", "GL10", "SS03", "SS05", "PR01", "PR02", "PR03", "PR04", "RT01", "YD01", "EX01"}
METHOD_CODES = {"GL06", "GL07", "GL08", "SS03", "SS05", "PR01", "PR02", "RT01", "YD01"}


def public_objects(package: ModuleType) -> Iterator[tuple[str, bool]]:
    """Yield the import path of each public function, class and method of `package`, and whether it is a method."""
    for name in package.__all__:
        value = getattr(package, name)
        if not (inspect.isfunction(value) or inspect.isclass(value)) or not value.__module__.startswith("isthmus"):
            continue
        path = f"{value.__module__}.{value.__qualname__}"
        yield path, False
        if inspect.isclass(value) and not issubclass(value, Exception):
            for method, member in vars(value).items():
                if any(method in vars(base) for base in value.__mro__[1:]):
                    continue  # an override keeps the documented contract of the base class
                target = getattr(member, "__func__", member)
                # An override without a docstring inherits that of the base class.
                inherited = target.__doc__ is None and inspect.getdoc(getattr(value, method)) is not None
                if not method.startswith("_") and inspect.isfunction(target) and not inherited:
                    yield f"{path}.{method}", True


def docstring_errors(package: str) -> list[str]:
    """Return 'name: code message' for every violation in the public names of `package`."""
    from numpydoc.validate import validate

    lines = []
    for path, is_method in public_objects(importlib.import_module(package)):
        errors: list[tuple[str, str]] = validate(path)["errors"]
        codes = METHOD_CODES if is_method else CODES
        if path.rpartition(".")[0] == "isthmus.utils.errors":
            codes = codes - {"EX01"}  # errors and warnings are raised by the examples of others
        lines += [f"{path}: {code} {message}" for code, message in errors if code in codes]
    return sorted(set(lines))


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the statements below `node`, without their expressions, which are many more."""
    for part in ("body", "orelse", "handlers", "finalbody", "cases"):
        for child in getattr(node, part, ()):
            yield child
            yield from statements(child)


def prose(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the docstrings and comments of a file with their lines."""
    source = path.read_text(encoding="utf-8")
    tree = ast.parse(source)
    for node in (tree, *statements(tree)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and (text := ast.get_docstring(node)):
            yield getattr(node, "lineno", 1), text
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string.lstrip("#: ")


def prose_findings(path: Path) -> Iterator[tuple[int, str]]:
    """Yield private words, openings that name nothing, semicolons and sentences of more than 30 words."""
    for line, text in prose(path):
        plain = re.sub(r">>>.*?(\n\n|\Z)|``.*?``|`.*?`|\$.*?\$", " x ", text, flags=re.DOTALL)
        for word in PRIVATE_WORDS:
            if re.search(rf"\b{word}\b", plain, flags=re.IGNORECASE):
                yield line, f"private word {word!r}"
        # Indented lines of a layout, and entries of a Parameters section, end a sentence too.
        for number, sentence in enumerate(
            re.split(r"(?<=[.!?])\s+|\n\s*\n|\n\s*(?=[\w, ]+ : )|\n(?=    [A-Z])", plain)
        ):
            words = sentence.split()
            if number == 0 and words and words[0] in ("Those", "What", "Whether", "Which", "That"):
                yield line, f"starts with {words[0]!r}: {' '.join(words[:8])}"
            if len(words) > 30:
                yield line, f"{len(words)} words: {' '.join(words[:8])} ..."
            if ";" in sentence:
                yield line, f"semicolon: {' '.join(words[:8])} ..."


def main(arguments: list[str]) -> Any:
    """Print the findings of one check."""
    check, target = arguments
    if check == "names":
        hits, total = function_word_names(Path(target))
        for path, line, name in hits:
            print(f"{path}:{line}: {name}")
        print(f"{1000 * len(hits) / max(total, 1):.1f} per 1,000 of {total:,} names")
        print(Counter(name for _, _, name in hits).most_common(20))
    elif check == "docs":
        print(*docstring_errors(target), sep="\n")
    elif check == "words":
        folder = Path(target)
        for path in sorted(folder.rglob("*.py")) if folder.is_dir() else [folder]:
            for line, finding in prose_findings(path):
                print(f"{path}:{line}: {finding}")


if __name__ == "__main__":
    main(sys.argv[1:])
