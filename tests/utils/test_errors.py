"""Errors: their hierarchy, their line, and the names that they suggest."""

from __future__ import annotations

import pytest

from isthmus.utils.errors import (
    InputError,
    MissingDependencyError,
    NotFittedError,
    first_line,
    import_optional,
    unknown_name,
)


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


def test_unknown_name_of_many_names_has_at_most_300_characters() -> None:
    names = [f"name_{number}" for number in range(100)]
    assert str(unknown_name("task", "zzz", names)) == "unknown task 'zzz'; see `isthmus list tasks`"
    hint = "unknown measure 'name_10x': did you mean 'name_10'? See `isthmus list metrics`"
    assert str(unknown_name("measure", "name_10x", names)) == hint
    message = str(unknown_name("column", "zzz", names))
    assert message.startswith("unknown column 'zzz'; known: name_0, name_1, name_10, ")
    assert message.endswith(" ... (100 names)")
    assert 280 < len(message) <= 300


def test_import_optional_of_a_missing_library_says_what_installs_it() -> None:
    with pytest.raises(MissingDependencyError, match=r"reading X needs absent_lib, .*: pip install 'isthmus\[extra\]'"):
        import_optional("absent_lib", "extra", "reading X")
    with pytest.raises(MissingDependencyError, match="needs some-package, which is not installed: pip install some-"):
        import_optional("absent_lib", "extra", "reading X", package="some-package")
    assert import_optional("json", "extra", "reading X").__name__ == "json"


def test_first_line_is_cut_and_has_no_full_stop() -> None:
    assert first_line(ValueError("one line.\nanother")) == "one line"
    assert first_line(ValueError("")) == "ValueError"
    assert first_line(ValueError("x" * 200)) == "x" * 160
    assert first_line(ValueError("abcdef"), max_length=3) == "abc"
