"""Commands and Python lines that apply the recommended correction, for the page to copy."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from isthmus.data.pairs import Pairs
from isthmus.evaluation import Summary
from isthmus.evaluation.summary import changed_options


def commands(row: Summary, names: Sequence[str], files: Sequence[str] | None = None, /) -> dict[str, str]:
    """Return the lines that fit and apply the aligner of a row.

    Parameters
    ----------
    row : Summary
        The recommended row of a comparison.
    names : sequence of str
        Names of the two modalities.
    files : sequence of str, optional
        Files of their rows. Default: image.npy and so on, as for arrays in memory.

    Returns
    -------
    dict of str to str
        'shell' and 'python'.
    """
    x, y = names
    files = files or [f"{name}.npy" for name in names]
    aligner = type(row.aligner).__name__
    options = changed_options(row.aligner)
    flags = "".join(f" --set {shlex.quote(f'{name}={value}')}" for name, value in options.items())
    arguments = ", ".join(f"{name}={value!r}" for name, value in options.items())
    path = "correction.safetensors"
    shell = [f"isthmus fit {aligner}{flags} {' '.join(map(shlex.quote, files))} -o {path}"]
    python = ["import isthmus", "", "pairs = isthmus.open_pairs(", *(f"    {file!r}," for file in files), ")"]
    python.append(f"correction = isthmus.align.{aligner}({arguments}).fit(pairs)")
    for name, file in zip((x, y), files, strict=True):
        role = " --role stored" if row.aligner.corrects_scores else ""
        output = shlex.quote(f"{name}_corrected.npy")
        shell.append(f"isthmus apply {path} {shlex.quote(file)} {output} --modality {shlex.quote(name)}{role}")
    python += [
        "",
        "# Lists to store, and queries:",
        "x, y = pairs.unit()",
        f"stored_x = correction.stored(x, modality={x!r})",
        f"stored_y = correction.stored(y, modality={y!r})",
        f"queries = correction.query(y, modality={y!r})",
    ]
    return {"shell": "\n".join(shell), "python": "\n".join(python)}


def files_of(pairs: Pairs, /) -> list[str]:
    """Return the paths of the rows of both modalities, and made-up ones for rows in memory."""
    addresses = [str(source.address) for source in (pairs.x, pairs.y)]
    return [
        f"{name}.npy" if address == name else str(Path(address))
        for address, name in zip(addresses, pairs.names, strict=True)
    ]
