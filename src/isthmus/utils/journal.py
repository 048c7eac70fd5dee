"""A journal of a long run: one JSON line for each finished step, so that an interrupted run can continue."""

from __future__ import annotations

import json
import os
from typing import Any

from isthmus.utils.errors import InputError
from isthmus.utils.files import FORMAT_VERSION
from isthmus.utils.paths import check_writable


class Journal:
    """Finished steps of a run, stored as JSON lines.

    The first line names the verb that writes the journal and the settings of the run. An incomplete last line is
    dropped.

    Parameters
    ----------
    path : path-like
        The file. It is created if it does not exist.
    verb : str
        Verb of the command line that writes it.
    run : dict
        Settings that the steps belong to.

    Attributes
    ----------
    lines : list of dict
        Steps that are stored.

    Raises
    ------
    InputError
        If the file is no journal of this verb, or the journal of another run.
    """

    def __init__(self, path: str | os.PathLike[str], verb: str, run: dict[str, Any]):
        self.path = check_writable(path)
        self.verb = verb
        self.lines: list[dict[str, Any]] = []
        run = json.loads(json.dumps(run))
        if self.path.exists() and self.path.stat().st_size:
            self._read(run)
        else:
            self._write({"format": FORMAT_VERSION, "kind": self._content, "run": run})

    @property
    def _content(self) -> str:
        return f"{self.verb} journal"

    def _read(self, run: dict[str, Any]) -> None:
        """Read the stored steps and drop an incomplete last line."""
        text = self.path.read_bytes().decode("utf-8", errors="replace")
        lines = text.split("\n")
        complete, incomplete = lines[:-1], lines[-1]
        try:
            entries = [json.loads(line) for line in complete]
            if entries[0]["kind"] != self._content:
                raise KeyError
        except (ValueError, LookupError, TypeError):
            raise InputError(f"{self.path}: is no journal of isthmus {self.verb}; give another name") from None
        stored = entries[0]["run"]
        if stored != run:
            changed = [key for key in sorted(set(run) | set(stored)) if stored.get(key) != run.get(key)]
            raise InputError(
                f"{self.path}: is the journal of another run ({', '.join(changed)} differ); give another name"
            )
        self.lines = entries[1:]
        if incomplete:
            with self.path.open("r+b") as file:
                file.truncate(len(text[: -len(incomplete)].encode("utf-8")))

    def add(self, line: dict[str, Any]) -> None:
        """Store a finished step and write it immediately.

        Parameters
        ----------
        line : dict
            JSON values.
        """
        self.lines.append(line)
        self._write(line)

    def _write(self, line: dict[str, Any]) -> None:
        """Append one line to the file."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, allow_nan=False) + "\n")
