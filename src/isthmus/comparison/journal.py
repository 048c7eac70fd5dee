"""The journal of a comparison: one JSON line for each finished cell, so that a run that was cut short goes on."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from isthmus.checks import InputError, writable
from isthmus.comparison.table import Cell
from isthmus.files import FORMAT


class Journal:
    """Finished cells at `path`, which is made when it does not exist.

    The first line says which pairs and settings the cells belong to. A last line that was cut off is dropped.
    Errors: `InputError` when the file is no journal, or that of other pairs or settings.
    """

    def __init__(self, path: str | os.PathLike[str], run: dict[str, Any]):
        self.path = writable(Path(path))
        self.cells: dict[Any, Cell] = {}
        run = json.loads(json.dumps(run))
        if self.path.exists() and self.path.stat().st_size:
            self._read(run)
        else:
            self._append({"format": FORMAT, "kind": "comparison journal", "run": run})

    def _read(self, run: dict[str, Any]) -> None:
        text = self.path.read_bytes().decode("utf-8", errors="replace")
        lines = text.split("\n")
        whole, torn = lines[:-1], lines[-1]
        try:
            found = [json.loads(line) for line in whole]
            if found[0]["kind"] != "comparison journal":
                raise KeyError
        except (ValueError, LookupError, TypeError):
            raise InputError(f"{self.path}: is no journal of isthmus compare; give another name") from None
        if found[0]["run"] != run:
            keys = set(run) | set(found[0]["run"])
            changed = [key for key in sorted(keys) if found[0]["run"].get(key) != run.get(key)]
            raise InputError(
                f"{self.path}: is the journal of another run ({', '.join(changed)} differ); give another name"
            )
        self.cells = {cell.key: cell for cell in map(Cell.from_dict, found[1:])}
        if torn:
            with self.path.open("r+b") as file:
                file.truncate(len(text[: -len(torn)].encode("utf-8")))

    def add(self, cell: Cell) -> None:
        """Keep `cell` and write its line at once."""
        self.cells[cell.key] = cell
        self._append(cell.to_dict())

    def _append(self, line: dict[str, Any]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, allow_nan=False) + "\n")
