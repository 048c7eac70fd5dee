"""Errors and warnings of the package."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable
from typing import Any


class InputError(ValueError):
    """What the user gave cannot be used. The message is one sentence that says what to do, in one printable line."""

    def __init__(self, message: str):
        # Names come from files of strangers: what could break the line or command a terminal is shown escaped.
        super().__init__("".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in message))


class IsthmusWarning(UserWarning):
    """The answer is computed, but something about the data makes it weaker than it looks."""


def unknown_name(kind: str, name: str, known: Iterable[str]) -> InputError:
    """The error for a name that is not in a registry, with the nearest known name."""
    known = sorted(known)
    lower = {k.lower(): k for k in known}
    near = difflib.get_close_matches(name.lower(), lower, n=1, cutoff=0.5)
    hint = f"did you mean {lower[near[0]]!r}? " if near else ""
    return InputError(f"unknown {kind} {name!r}: {hint}Known: {', '.join(known)}")


def import_optional(library: str, extra: str, what: str, *, package: str | None = None) -> Any:
    """Return the module `library`, or raise InputError with the command that installs it.

    `what` names the feature that needs the library. The command installs the extra of isthmus, or `package` if given.
    """
    try:
        return importlib.import_module(library)
    except ImportError as error:
        if isinstance(error, ModuleNotFoundError) and not f"{library}.".startswith(f"{error.name}."):
            raise  # the library is installed, and a package that it needs is not
        command = f"pip install {package}" if package else f"pip install 'isthmus[{extra}]'"
        raise InputError(f"{what} needs {package or library}, which is not installed: {command}") from None


def first_line(error: BaseException, most: int = 160) -> str:
    """The first line of what an error says, for a sentence of ours."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:most].rstrip(". ")
