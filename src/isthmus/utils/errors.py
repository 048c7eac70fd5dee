"""Errors and warnings of the package.

Every error that the library raises on purpose is an `InputError`, so that one `except` catches all of them.

- `InputError(ValueError)`: the input cannot be used. The message is one line that says what to do.
- `NotFittedError(InputError)`: an aligner is used before `fit`.
- `TooFewItemsError(InputError)`: there are too few items to fit on some and judge on others.
- `MissingDependencyError(InputError, ImportError)`: an optional library is not installed.
- `IsthmusWarning(UserWarning)`: the result is computed, but something about the data makes it weaker.
"""

from __future__ import annotations

import difflib
import errno
import importlib
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

#: Fewest letters of an unknown name that are looked for in known names, and most names that a message proposes.
MIN_PART_LENGTH, MAX_PROPOSED = 3, 3
#: Commands that list all names of a noun, for messages that have no room for them.
LIST_COMMANDS = {
    "measure": "isthmus list metrics",
    "aligner": "isthmus list aligners",
    "task": "isthmus list tasks",
    "format": "isthmus list sources",
}
#: A password or a key in a URL, and the text that is kept of it. A password may hold '@' and '/'.
_PASSWORD = re.compile(
    r"(://[^/@\s:]*):(?!\d+(?:/|\s|$))\S*(?=@)"
    r"|([?&](?:ssl)?password|[?&]api_?key|[?&]token|[?&]sig|[?&]x-amz-(?:signature|security-token))=[^&\s]*",
    re.IGNORECASE,
)
#: Largest number of characters of a message: 300 with the longest of the words that the command line puts before it.
ERROR_PREFIX, WARNING_PREFIX = "isthmus: error: ", "isthmus: warning: "
MAX_LENGTH = 300 - len(WARNING_PREFIX)
#: Characters of a path that a message keeps if it is too long, and the mark of a middle that is left out.
LENGTHS_OF_PATHS, GAP = (60, 30), " ... "
#: Characters of a message whose paths are still searched.
MAX_RAW_LENGTH = 5_000


def bounded(message: str, max_length: int = MAX_LENGTH) -> str:
    """Return a message as one printable line of at most 282 characters, which are 300 on the command line.

    In a longer one paths are cut to their ends, and then its middle is left out. Its end says what to do.

    Parameters
    ----------
    message : str
        The message.
    max_length : int, default 282
        Largest number of characters.

    Returns
    -------
    str
        The message, or its beginning and end.

    Examples
    --------
    >>> len(bounded(f"/data/{'deep/' * 70}image.npy: is empty")), bounded("one, two, three, four, five; give one", 30)
    (72, 'one, two, thr ... ve; give one')
    """
    # File names may be untrusted: characters that could break the line or control a terminal are escaped.
    message = message if len(message) < MAX_RAW_LENGTH else f"{message[:MAX_RAW_LENGTH]}{GAP}{message[-MAX_LENGTH:]}"
    message = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in message)
    for n_characters in LENGTHS_OF_PATHS:
        if len(message) > max_length:
            message = re.sub(rf"[^\s'\"]*/[^\s'\"]*([^\s'\"]{{{n_characters}}})(?![^\s'\"])", r"...\1", message)
    if len(message) <= max_length:
        return message
    end = max_length * 2 // 5
    return f"{message[: max_length - end - len(GAP)]}{GAP}{message[-end:]}"


class InputError(ValueError):
    """Raised if the input cannot be used. The message is one printable line that says what to do.

    It has at most 282 characters.

    Parameters
    ----------
    message : str
        What came, what was expected, and what to do.
    """

    def __init__(self, message: str):
        super().__init__(bounded(without_password(message)))


class NotFittedError(InputError, AttributeError):
    """Raised if an aligner is used before it is fitted. It is an AttributeError, so that `hasattr` returns False."""


class TooFewItemsError(InputError):
    """Raised if there are too few items, or different rows, to fit on some of them and judge on others."""


class MissingDependencyError(InputError, ImportError):
    """Raised if an optional library is not installed. The message says what installs it."""


class IsthmusWarning(UserWarning):
    """Warns that a result is computed, but something about the data makes it weaker than it looks.

    The message has at most 282 characters.

    Parameters
    ----------
    message : str
        What was found, and what to do.
    """

    def __init__(self, message: str):
        super().__init__(bounded(message))


def without_password(text: str) -> str:
    """Return a text without the passwords of the URLs in it.

    Parameters
    ----------
    text : str
        A message or an address.

    Returns
    -------
    str
        The text with user names and hosts only.

    Examples
    --------
    >>> without_password("postgresql://me:secret@host/shop/items: no such table")
    'postgresql://me@host/shop/items: no such table'
    """
    return _PASSWORD.sub(lambda match: match[1] or match[2], text)


def unknown_name(
    noun: str, name: str, choices: Iterable[str], *, similar: str | Sequence[str] | None = None
) -> InputError:
    """Return the error for a name that is not in a registry, with up to three known names that contain or resemble it.

    The message lists all known names if it then has at most 282 characters. Otherwise it names the command that lists
    them, or the first names and their number.

    Parameters
    ----------
    noun : str
        What the name stands for, such as 'aligner'.
    name : str
        The unknown name.
    choices : iterable of str
        All names.
    similar : str or sequence of str, optional
        The known names that may be meant. Default: those that contain the name, or else the one with the most similar
        letters, if any is similar.

    Returns
    -------
    InputError
        The error to raise.
    """
    names = sorted(choices)
    if not names:
        return InputError(f"unknown {noun} {name!r}: there is none to choose from")
    by_lower_case = {entry.lower(): entry for entry in names}
    if not similar and len(name) >= MIN_PART_LENGTH:
        similar = [entry for entry in names if name.lower() in entry.lower()]
    if not similar:
        matches = difflib.get_close_matches(name.lower(), by_lower_case, n=1, cutoff=0.5)
        similar = by_lower_case[matches[0]] if matches else None
    message = f"unknown {noun} {name!r}"
    proposed = [repr(entry) for entry in ([similar] if isinstance(similar, str) else similar or ())][:MAX_PROPOSED]
    alternatives = " or ".join(filter(None, (", ".join(proposed[:-1]), *proposed[-1:])))
    message += f": did you mean {alternatives}? " if similar else "; "
    lead = "Known: " if similar else "known: "
    complete = f"{message}{lead}{', '.join(names)}"
    if len(complete) <= MAX_LENGTH:
        return InputError(complete)
    if noun in LIST_COMMANDS:
        return InputError(f"{message}{'See' if similar else 'see'} `{LIST_COMMANDS[noun]}`")
    ending = f" ... ({len(names)} names)"
    room = MAX_LENGTH - len(message) - len(lead) - len(ending)
    n_shown = sum(len(", ".join(names[: i + 1])) <= room for i in range(len(names)))
    return InputError(f"{message}{lead}{', '.join(names[:n_shown])}{ending}")


def unknown_attribute(module: str, name: str, choices: Iterable[str]) -> AttributeError:
    """Return the error for a name that a module lacks, with the most similar one that it has, in any case.

    Parameters
    ----------
    module : str
        Dotted name of the module.
    name : str
        The missing name.
    choices : iterable of str
        Public names of the module.

    Returns
    -------
    AttributeError
        The error to raise.

    Examples
    --------
    >>> str(unknown_attribute("isthmus.align", "Centring", ["Centering", "Blend"]))
    "module 'isthmus.align' has no attribute 'Centring': did you mean 'Centering'?"
    """
    if name.startswith("_"):
        return AttributeError(f"module {module!r} has no attribute {name!r}")
    by_lower_case = {choice.lower(): choice for choice in choices}
    similar = difflib.get_close_matches(name.lower(), by_lower_case, n=1, cutoff=0.6)
    hint = f": did you mean {by_lower_case[similar[0]]!r}?" if similar else ""
    return AttributeError(f"module {module!r} has no attribute {name!r}{hint}")


def import_optional(library: str, extra: str, purpose: str, *, package: str | None = None) -> Any:
    """Import an optional library.

    Parameters
    ----------
    library : str
        Name of the module.
    extra : str
        Extra of isthmus that installs it, or an empty text if none does.
    purpose : str
        What needs it, such as 'reading FILE.h5'.
    package : str, optional
        Name of the package, if it differs from that of the module. It is installed alone if there is no extra.

    Returns
    -------
    module
        The library.

    Raises
    ------
    MissingDependencyError
        If the library is not installed. If the library is installed and a package that it needs is not, the
        ModuleNotFoundError stays as it is.
    """
    try:
        return importlib.import_module(library)
    except ImportError as error:
        if isinstance(error, ModuleNotFoundError) and not f"{library}.".startswith(f"{error.name}."):
            raise
        command = f"pip install 'isthmus[{extra}]'" if extra else f"pip install {package or library}"
        raise MissingDependencyError(
            f"{purpose} needs {package or library}, which is not installed: {command}"
        ) from None


def first_line(error: BaseException, max_length: int = 160) -> str:
    """Return the first line of an error message, to quote it in a message of the library.

    Parameters
    ----------
    error : BaseException
        The error.
    max_length : int, default 160
        Length to which the line is cut.

    Returns
    -------
    str
        The line without a final full stop, or the name of the class if the message is empty.
    """
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:max_length].rstrip(". ")


def with_row_numbers(message: str, number: Callable[[int], int], /) -> str:
    """Return a message of a parser that got a part of a file, with the row that it names counted in the file.

    Parameters
    ----------
    message : str
        Text such as 'missing a comma in row 3'.
    number : callable
        Function from the number of a row in the part to its number in the file.

    Returns
    -------
    str
        The message.

    Examples
    --------
    >>> with_row_numbers("missing a comma in row 3", lambda row: 1000 + row)
    'missing a comma in row 1,003 (counted from 0)'
    """
    return re.sub(r"\brow (\d+)", lambda match: f"row {number(int(match[1])):,} (counted from 0)", message)


def incomplete_file(address: Any, kind: str, error: BaseException, advice: str) -> InputError:
    """Return the error of a file that a library cannot read, or that of too many open files.

    Parameters
    ----------
    address : str or path
        The file.
    kind : str
        What the file should be, such as 'HDF5 file'.
    error : BaseException
        The error of the library.
    advice : str
        What to do if the file is broken.

    Returns
    -------
    InputError
        The error in the words of the package.
    """
    if getattr(error, "errno", None) == errno.EMFILE or f"[Errno {errno.EMFILE}]" in str(error):
        return InputError(f"{address}: cannot be opened beside so many other files; raise the limit: ulimit -n 4096")
    return InputError(f"{address}: is not a complete {kind} ({first_line(error)}); {advice}")
