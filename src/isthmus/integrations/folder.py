"""A folder with a correction for a model hub: the correction, its ONNX graphs and a model card."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from isthmus.align._base import Aligner
from isthmus.integrations.onnx import to_onnx
from isthmus.utils.errors import InputError, import_optional
from isthmus.utils.format import counted
from isthmus.utils.interrupts import removed_on_exit
from isthmus.utils.paths import check_writable

#: Names of the files.
CORRECTION, CARD = "correction.safetensors", "README.md"
#: Identifiers of licences, as model hubs write them.
_LICENCE = re.compile(r"[a-z0-9][a-z0-9.\-]*")


def to_folder(
    correction: Aligner,
    folder: str | os.PathLike[str],
    /,
    *,
    comparison: Any = None,
    licence: str | None = None,
    model: str | None = None,
) -> Path:
    """Write a correction as a folder that is ready to be pushed to a model hub.

    The folder holds `correction.safetensors`, one ONNX graph for each role and modality that has one, and a model card
    with the held-out numbers. The folder is complete or absent. `hf upload NAME FOLDER` publishes it.

    Parameters
    ----------
    correction : Aligner
        A fitted correction.
    folder : str or path-like
        Name of the new folder.
    comparison : Comparison, optional
        Held-out numbers for the model card, from `isthmus.compare`.
    licence : str, optional
        Licence of the model card, such as 'mit'.
    model : str, optional
        Name of the model whose embeddings are corrected.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    InputError
        If the folder exists, onnx is not installed, or the licence or the model is no name.

    Examples
    --------
    >>> to_folder(correction, "correction", comparison=isthmus.compare(images, texts), licence="mit")  # doctest: +SKIP
    """
    import_optional("onnx", "onnx", "to_folder")
    path = Path(folder)
    if path.exists():
        raise InputError(f"{path}: exists; give the name of a new folder")
    check_writable(path)
    if licence is not None and not _LICENCE.fullmatch(licence):
        raise InputError(f"licence={licence!r}, expected an identifier in small letters such as 'mit' or 'apache-2.0'")
    if model is not None and not re.fullmatch(r"[\w.\-/]+", model):
        raise InputError(f"model={model!r}, expected a name such as 'openai/clip-vit-base-patch32'")
    graphs: dict[str, tuple[str, str]] = {}
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.absolute().parent))
    with removed_on_exit(temporary):
        try:
            correction.save(temporary / CORRECTION)
            for modality in correction.modalities:
                for role in ("query", "stored"):
                    name = f"{role}_{re.sub(r'[^A-Za-z0-9_-]', '_', modality)}.onnx"
                    try:
                        to_onnx(correction, temporary / name, modality=modality, role=role)
                    except InputError:
                        continue  # stored rows that depend on a bank have no graph
                    graphs[name] = (role, modality)
            card = _card(correction, graphs, comparison, licence, model)
            (temporary / CARD).write_text(card, encoding="utf-8")
            temporary.chmod(0o755)
            temporary.rename(path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return path


def _card(
    correction: Aligner,
    graphs: dict[str, tuple[str, str]],
    comparison: Any,
    licence: str | None,
    model: str | None,
) -> str:
    """Return the model card."""
    chosen = type(getattr(correction, "chosen_", correction)).__name__
    header = ["---", "library_name: isthmus", "tags:", "- modality-gap", "- embeddings", "- feature-extraction"]
    header += [f"license: {licence}"] if licence else []
    header += [f"base_model: {model}"] if model else []
    first, second = correction.modalities[:2]
    names = ", ".join(f"{name} ({correction.dim(name)} numbers)" for name in correction.modalities)
    paragraphs = [
        f"# {chosen} for embeddings{f' of {model}' if model else ''}",
        f"A correction of the modality gap between {names}, fitted with isthmus.",
        "## Use",
        "```python\nimport isthmus\n\n"
        f'correction = isthmus.load("{CORRECTION}")\n'
        f'index_rows = correction.stored(rows, modality="{first}")\n'
        f'query = correction.query(row, modality="{second}")\n```',
        "Compare them by inner products, in one list for each stored modality.",
    ]
    if graphs:
        listed = "\n".join(f"| `{name}` | {role} | {modality} |" for name, (role, modality) in graphs.items())
        paragraphs += [
            "The graphs take `rows` (n, d) and return `corrected` (n, k) in float32, without isthmus:",
            f"| graph | role | modality |\n| --- | --- | --- |\n{listed}",
        ]
    without = [
        f"{role} rows of {modality}"
        for modality in correction.modalities
        for role in ("query", "stored")
        if (role, modality) not in graphs.values()
    ]
    if without:
        paragraphs.append(f"Without a graph, because they depend on the nearest rows of a bank: {', '.join(without)}.")
    if comparison is not None:
        sizes = f"{counted(comparison.n_fit, 'pair')} to fit on, {comparison.n_test:,} others to judge on"
        sizes += f", of {comparison.sample_words}" if comparison.sample_words else ""
        paragraphs += [
            "## Held-out numbers",
            f"{sizes}, {counted(comparison.splits, 'split')}.",
            comparison.to_markdown().strip(),
        ]
    return "\n".join([*header, "---", ""]) + "\n" + "\n\n".join(paragraphs) + "\n"
