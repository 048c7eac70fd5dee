"""Commands and Python lines that apply the recommended correction, for the page to copy."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from isthmus.align import Auto
from isthmus.data.pairs import Pairs
from isthmus.data.sources import distinct_modality_names
from isthmus.evaluation import Summary
from isthmus.evaluation.summary import changed_options


def commands(
    row: Summary,
    names: Sequence[str],
    files: Sequence[str] | None = None,
    /,
    *,
    pairing: Mapping[str, Any] | None = None,
) -> dict[str, str]:
    """Return the lines that fit the aligner of a row, and that apply it to stored rows and to queries.

    Parameters
    ----------
    row : Summary
        The recommended row of a comparison.
    names : sequence of str
        Names of the two modalities.
    files : sequence of str, optional
        Files of their rows. Default: image.npy and so on, as for arrays in memory.
    pairing : mapping, optional
        How the rows were paired, as in `Pairs.pairing`. Default: by position.

    Returns
    -------
    dict of str to str
        'shell' and 'python'. If the aligner corrects scores, or if `Auto` may choose such an aligner, stored rows and
        queries have two forms. Queries of the second modality are then written too.
    """
    x, y = names
    files = files or [f"{name}.npy" for name in names]
    aligner = type(row.aligner).__name__
    options = changed_options(row.aligner)
    arguments = ", ".join(f"{name}={value!r}" for name, value in options.items())
    opening = _opening_options(names, files, pairing or {})
    flags = [part for name, value in options.items() for part in ("--set", f"{name}={value}")]
    for option, value in opening.items():
        flags += [f"--{option.replace('_', '-')}", *([] if value is True else [",".join(value)])]
    path = "correction.safetensors"
    shell = [f"isthmus fit {aligner} {shlex.join([*flags, *files])} -o {path}"]
    python = ["import isthmus", "", "pairs = isthmus.open_pairs("]
    python += [f"    {file!r}," for file in files]
    python += [f"    {option}={value if value is True else _one_or_all(value)!r}," for option, value in opening.items()]
    python += [")", f"correction = isthmus.align.{aligner}({arguments}).fit(pairs)"]
    has_roles = row.aligner.corrects_scores or isinstance(row.aligner, Auto)
    applied = [
        (name, file, "stored" if has_roles else "", "corrected") for name, file in zip(names, files, strict=True)
    ]
    applied += [(y, files[1], "query", "queries")] if has_roles else []
    for name, file, role, ending in applied:
        of_rows = ["--modality", name, *(["--role", role] if role else [])]
        of_rows += ["--drop-bad"] if "drop_bad" in opening else []
        shell.append(f"isthmus apply {path} {shlex.join([file, f'{name}_{ending}.npy', *of_rows])}")
    python += [
        "",
        "# Lists to store, and queries:",
        "x, y = pairs.unit()",
        f"stored_x = correction.stored(x, modality={x!r})",
        f"stored_y = correction.stored(y, modality={y!r})",
        f"queries = correction.query(y, modality={y!r})",
    ]
    return {"shell": "\n".join(shell), "python": "\n".join(python)}


def _opening_options(names: Sequence[str], files: Sequence[str], pairing: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of `open_pairs` that open the pairs again, with made-up files for arrays of keys or rows."""
    options: dict[str, Any] = {}
    if pairing.get("by") == "key":
        keys = pairing["key"].split(", ")
        options["key"] = [f"{name}_ids.npy" for name in names] if "an array" in keys else keys
    elif pairing.get("by") == "index":
        options["index"] = ["index.npy"]
    if pairing.get("dropped"):
        options["drop_bad"] = True
    if distinct_modality_names(files) != list(names):
        options["names"] = list(names)
    return options


def _one_or_all(values: Sequence[str]) -> str | tuple[str, ...]:
    """Return a single value by itself, and several as a tuple."""
    return values[0] if len(values) == 1 else tuple(values)


def files_of(pairs: Pairs, /) -> list[str]:
    """Return the paths of the rows of both modalities, and made-up ones for rows in memory."""
    addresses = [str(source.address) for source in (pairs.x, pairs.y)]
    return [
        f"{name}.npy" if address == name else str(Path(address))
        for address, name in zip(addresses, pairs.names, strict=True)
    ]
