"""Errors: their hierarchy, their line, and the names that they suggest."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import isthmus
from isthmus.utils.errors import (
    ERROR_PREFIX,
    MAX_LENGTH,
    WARNING_PREFIX,
    InputError,
    IsthmusWarning,
    MissingDependencyError,
    NotFittedError,
    first_line,
    import_optional,
    unknown_name,
    without_password,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "postgresql://me:secret@host/a and postgres://you:secret2@b/c",
            "postgresql://me@host/a and postgres://you@b/c",
        ),
        ("postgresql://me:s@cr/et@host:5432/a: no such table", "postgresql://me@host:5432/a: no such table"),
        ("postgresql://me:12345@host/a", "postgresql://me@host/a"),
        ("postgresql://me@host/a?password=secret&host=b", "postgresql://me@host/a?password&host=b"),
        ("https://host/a.parquet?X-Amz-Signature=secret&b=c", "https://host/a.parquet?X-Amz-Signature&b=c"),
        ("qdrant://host:6333/a@b::vector", "qdrant://host:6333/a@b::vector"),
    ],
)
def test_without_password_removes_passwords_and_keys_of_urls_only(text: str, expected: str) -> None:
    assert without_password(text) == expected


def test_errors_are_caught_as_input_error_and_as_the_built_in_one() -> None:
    assert issubclass(InputError, ValueError)
    assert issubclass(NotFittedError, InputError)
    assert issubclass(MissingDependencyError, InputError)
    assert issubclass(MissingDependencyError, ImportError)


def test_input_error_with_control_characters_is_one_printable_line() -> None:
    assert str(InputError("a\nb\x1b[31mc\u202e é")) == "a\\nb\\x1b[31mc\\u202e é"


def test_unknown_name_suggests_the_most_similar_name_in_any_case() -> None:
    error = unknown_name("aligner", "centring", ["Centering", "Blend"])
    assert str(error) == "unknown aligner 'centring': did you mean 'Centering'? Known: Blend, Centering"
    assert str(unknown_name("aligner", "zzz", ["Blend"])) == "unknown aligner 'zzz'; known: Blend"


def test_unknown_name_of_many_names_has_at_most_300_characters_with_its_prefix() -> None:
    names = [f"name_{number}" for number in range(100)]
    assert str(unknown_name("task", "zzz", names)) == "unknown task 'zzz'; see `isthmus list tasks`"
    hint = "unknown measure 'name_10x': did you mean 'name_10'? See `isthmus list metrics`"
    assert str(unknown_name("measure", "name_10x", names)) == hint
    message = str(unknown_name("column", "zzz", names))
    assert message.startswith("unknown column 'zzz'; known: name_0, name_1, name_10, ")
    assert message.endswith(" ... (100 names)")
    assert 264 < len(message) <= 300 - len(WARNING_PREFIX)


def test_import_optional_of_a_missing_library_says_what_installs_it() -> None:
    with pytest.raises(MissingDependencyError, match=r"reading X needs absent_lib, .*: pip install 'isthmus\[extra\]'"):
        import_optional("absent_lib", "extra", "reading X")
    with pytest.raises(MissingDependencyError, match="needs some-package, which is not installed: pip install some-"):
        import_optional("absent_lib", "", "reading X", package="some-package")
    assert import_optional("json", "extra", "reading X").__name__ == "json"


def test_first_line_is_cut_and_has_no_full_stop() -> None:
    assert first_line(ValueError("one line.\nanother")) == "one line"
    assert first_line(ValueError("")) == "ValueError"
    assert first_line(ValueError("x" * 200)) == "x" * 160
    assert first_line(ValueError("abcdef"), max_length=3) == "abc"


def test_messages_have_at_most_300_characters_and_keep_both_ends() -> None:
    path = f"/data/{'a_folder/' * 60}image.npy"
    listing = ", ".join(f"column_{number}" for number in range(5_000))
    for message in (f"{path}: is empty; write it again", f"{path}: holds {listing}; give one", "x" * 100_000):
        for text in (str(InputError(message)), str(IsthmusWarning(message)), str(NotFittedError(message))):
            assert len(text) <= MAX_LENGTH
            assert text[-8:] == message[-8:]
    assert "image.npy: holds column_0, " in str(InputError(f"{path}: holds {listing}; give one"))
    assert str(InputError("x" * MAX_LENGTH)) == "x" * MAX_LENGTH


def test_messages_in_the_code_leave_room_for_names_and_numbers() -> None:
    raised = ("InputError", "IsthmusWarning", "MissingDependencyError", "NotFittedError", "warn")
    n_calls = 0
    for file in sorted(Path(isthmus.__file__).parent.rglob("*.py")):
        source = file.read_text(encoding="utf-8")
        if not any(f"{name}(" in source for name in raised):
            continue
        for node in ast.walk(ast.parse(source)):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            if getattr(node.func, "id", getattr(node.func, "attr", "")) in raised:
                texts = [n.value for n in ast.walk(node.args[0]) if isinstance(n, ast.Constant)]
                n_calls += 1
                assert sum(len(text) for text in texts if isinstance(text, str)) <= 240, f"{file}:{node.lineno}"
    assert n_calls > 300


def test_longest_messages_have_300_characters_with_their_prefix() -> None:
    long = "word " * 200
    assert len(ERROR_PREFIX + str(InputError(long))) <= 300
    assert len(WARNING_PREFIX + str(IsthmusWarning(long))) == 300
