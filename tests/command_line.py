"""Runs the command line within the process of the tests, which saves the start of a process for each call."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
import warnings
from unittest import mock

import pytest

from isthmus.cli import main


def isthmus_(*words: object) -> subprocess.CompletedProcess[str]:
    """The program as `main` runs it, without the seconds that a process of its own takes to start."""
    arguments = ["isthmus", *map(str, words)]
    with (
        mock.patch.object(sys, "argv", arguments),
        contextlib.redirect_stdout(io.StringIO()) as out,
        contextlib.redirect_stderr(io.StringIO()) as err,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("default")
        with pytest.raises(SystemExit) as end:
            main()
    return subprocess.CompletedProcess(arguments, end.value.code or 0, out.getvalue(), err.getvalue())
