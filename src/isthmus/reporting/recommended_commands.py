"""Commands and Python lines that apply the recommended correction, for the page to copy."""

from __future__ import annotations

import shlex
from pathlib import Path

from isthmus.data.pairs import Pairs
from isthmus.evaluation import Summary
from isthmus.evaluation.summary import changed_options


def commands(row: Summary, pairs: Pairs, /) -> dict[str, str]:
    """Return the lines that fit and apply the aligner of a row.

    Parameters
    ----------
    row : Summary
        The recommended row of a comparison.
    pairs : Pairs
        The pairs. Arrays in memory are called image.npy and so on.

    Returns
    -------
    dict of str to str
        'shell' and 'python'.
    """
    x, y = pairs.names
    files = [_file(str(source.address), name) for source, name in ((pairs.x, x), (pairs.y, y))]
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
        f"# `index` is your vector index. Store the rows of {y} in the same way.",
        f"index.add(correction.stored(rows, modality={x!r}))",
        f"hits = index.search(correction.query(query, modality={y!r}))",
    ]
    if row.aligner.corrects_scores:
        python.append("# Merge the hits of both modalities with correction.merge.")
    return {"shell": "\n".join(shell), "python": "\n".join(python)}


def _file(address: str, name: str) -> str:
    """Return the path of the rows, or a made-up one for rows in memory."""
    return f"{name}.npy" if address == name else str(Path(address))
