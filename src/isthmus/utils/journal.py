"""A journal: one JSON line for each finished piece of a long run, so that a run that was cut short goes on."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from isthmus.utils.errors import InputError
from isthmus.utils.files import FORMAT_VERSION
from isthmus.utils.validation import check_writable


class Journal:
    """The `lines` (dictionaries) that were kept at `path`, which is made when it does not exist.

    The first line on disk names the `verb` that writes it and the `run`, the settings that the others belong to. A last
    line that was cut off is dropped. Errors: `InputError` when the file is no journal of this verb, or that of another
    run.
    """

    def __init__(self, path: str | os.PathLike[str], verb: str, run: dict[str, Any]):
        self.path = check_writable(Path(path))
        self.verb = verb
        self.lines: list[dict[str, Any]] = []
        run = json.loads(json.dumps(run))
        if self.path.exists() and self.path.stat().st_size:
            self._read(run)
        else:
            self._write({"format": FORMAT_VERSION, "kind": self._kind, "run": run})

    @property
    def _kind(self) -> str:
        return f"{self.verb} journal"

    def _read(self, run: dict[str, Any]) -> None:
        text = self.path.read_bytes().decode("utf-8", errors="replace")
        lines = text.split("\n")
        whole, torn = lines[:-1], lines[-1]
        try:
            found = [json.loads(line) for line in whole]
            if found[0]["kind"] != self._kind:
                raise KeyError
        except (ValueError, LookupError, TypeError):
            raise InputError(f"{self.path}: is no journal of isthmus {self.verb}; give another name") from None
        if found[0]["run"] != run:
            keys = set(run) | set(found[0]["run"])
            changed = [key for key in sorted(keys) if found[0]["run"].get(key) != run.get(key)]
            raise InputError(
                f"{self.path}: is the journal of another run ({', '.join(changed)} differ); give another name"
            )
        self.lines = found[1:]
        if torn:
            with self.path.open("r+b") as file:
                file.truncate(len(text[: -len(torn)].encode("utf-8")))

    def add(self, line: dict[str, Any]) -> None:
        """Keep `line` and write it at once."""
        self.lines.append(line)
        self._write(line)

    def _write(self, line: dict[str, Any]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, allow_nan=False) + "\n")
