"""The command line: verbs that call the public functions of the package."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from isthmus.utils.version import __version__

if TYPE_CHECKING:
    from isthmus.cli._application import app as app


def __getattr__(name: str) -> Any:
    if name != "app":
        from isthmus.utils.errors import unknown_attribute

        raise unknown_attribute("isthmus.cli", name, ["app", "main"])
    from isthmus.cli._application import app

    return app


def main() -> None:
    """Run the command line. Bad input prints one line to standard error and exits with code 2, Ctrl-C with code 130."""
    from isthmus.utils.interrupts import exit_at_interrupt

    exit_at_interrupt()
    # These two need no library of the command line, which take longer to import than the answer.
    if sys.argv[1:] == ["--version"]:
        print(f"isthmus {__version__}")
        sys.exit(0)
    if sys.argv[1:2] == ["list"] and _print_list(sys.argv[2:]):
        sys.exit(0)
    from isthmus.cli import _application, app

    _application.run(app)


def _print_list(arguments: list[str]) -> bool:
    """Print what `isthmus list` prints, if the arguments are at most one topic and --json, and there is no mistake."""
    topics = [word for word in arguments if word != "--json"]
    if len(topics) > 1 or any(word.startswith("-") for word in topics):
        return False
    from isthmus.cli._catalogue import KINDS, TOPICS, print_entries

    if not {*topics} <= {*TOPICS, *KINDS, "all"}:
        return False
    try:
        print_entries(topics[0] if topics else "all", as_json="--json" in arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has seen enough, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return True
