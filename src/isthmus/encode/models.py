"""Which model, where it lies, and which backend opens it. Nothing is ever downloaded."""

from __future__ import annotations

import hashlib
import importlib
import json
from pathlib import Path
from typing import Any

from isthmus.encode._base import Encoder, check_dtype, resolve_device
from isthmus.utils.errors import InputError, unknown_name

#: backend -> (its module here, the package that it needs)
BACKENDS = {
    "open_clip": ("isthmus.encode.open_clip", "open_clip"),
    "transformers": ("isthmus.encode.transformers", "transformers"),
    "sentence_transformers": ("isthmus.encode.sentence_transformers", "sentence_transformers"),
}
#: The file by which a model's folder is known, in the order of asking: a folder of one library may contain the other's.
_MARKS = {
    "modules.json": "sentence_transformers",
    "config.json": "transformers",
    "open_clip_config.json": "open_clip",
}
_WEIGHTS = (".safetensors", ".bin", ".pt", ".pth")


def open_encoder(
    model: str,
    /,
    *,
    backend: str | None = None,
    weights: str | Path | None = None,
    device: str = "auto",
    dtype: str = "float32",
) -> Encoder:
    """The dual encoder `model`: a folder, or the name of a model in the Hugging Face cache of this user.

    Parameters
    ----------
    backend : open_clip, transformers or sentence_transformers; found from the files of the folder when not given
    weights : checkpoint of open_clip; `model` is then the name of an architecture (ViT-B-32) or a .json configuration
    device : auto (cuda, else mps, else cpu), cpu, cuda, cuda:1, mps
    dtype : float32, or bfloat16 or float16 for autocast

    Errors: `InputError` when the model is not there, is of no known kind, cannot be loaded, or is no dual encoder, and
    when a package or the device is missing.
    """
    check_dtype(dtype)
    if weights is not None:
        if backend not in (None, "open_clip"):
            raise InputError(f"weights go with an architecture of open_clip, not with the backend {backend!r}")
        backend, place = "open_clip", model
        if not Path(weights).is_file():
            raise InputError(f"{weights}: no such file; give the checkpoint that open_clip's training has written")
    else:
        folder = locate(model)
        place = str(folder)
        backend = backend or _sniff(folder)
    if backend not in BACKENDS:
        raise unknown_name("backend", backend, BACKENDS)
    module = _imported(backend)
    options = {} if weights is None else {"weights": str(weights)}
    encoder: Encoder = module.open_model(place, device=resolve_device(device), dtype=dtype, **options)
    encoder.source = _source(model, place, weights)
    return encoder


def locate(model: str, /) -> Path:
    """The folder of `model`: itself, or the snapshot in the Hugging Face cache; the network is not asked."""
    path = Path(model).expanduser()
    if path.is_dir():
        return path
    if path.exists():
        raise InputError(f"{model}: is a file, expected a model's folder (a checkpoint of open_clip goes to --weights)")
    # sentence-transformers' own models go by their short names.
    names = [model] if "/" in model else [model, f"sentence-transformers/{model}"]
    try:
        from huggingface_hub import constants, snapshot_download
        from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError
    except ImportError:
        raise InputError(
            f"{model}: no such folder, and names of models need huggingface_hub; pip install 'isthmus[encoders]'"
        ) from None
    for name in names:
        try:
            return Path(snapshot_download(name, local_files_only=True))
        except (LocalEntryNotFoundError, HFValidationError):
            continue
    raise InputError(
        f"{model}: is neither a folder nor a model in the cache {constants.HF_HUB_CACHE}; nothing is downloaded here: "
        f"fetch it first with `hf download {names[-1]}`, or give the path of its folder"
    )


def _source(model: str, place: str, weights: str | Path | None) -> dict[str, Any]:
    """Name, revision when it lies in the cache, and a SHA-256 of each file that decides what the model computes."""
    path = Path(place)
    if weights is not None:
        files = {f.name: f for f in (Path(weights), path) if f.is_file()}
    else:
        kept = (p for p in path.rglob("*") if p.is_file() and p.suffix in (*_WEIGHTS, ".json", ".txt", ".model"))
        files = {str(p.relative_to(path)): p for p in sorted(kept)}
    revision = path.name if path.parent.name == "snapshots" else None
    return {"name": model, "revision": revision, "files": {name: _digest(f) for name, f in files.items()}}


def _sniff(folder: Path) -> str:
    for mark, backend in _MARKS.items():
        if (folder / mark).is_file():
            if mark == "config.json" and "model_type" not in _json(folder / mark):
                continue
            return backend
    raise InputError(
        f"{folder}: holds no model that is known here; expected one of {', '.join(_MARKS)} (open_clip, transformers or "
        "sentence-transformers write it when they save a model)"
    )


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: is not valid JSON ({error}); save the model again") from None
    return found if isinstance(found, dict) else {}


def _imported(backend: str) -> Any:
    module, package = BACKENDS[backend]
    for needed in ("torch", package):
        try:
            importlib.import_module(needed)
        except ImportError as error:
            raise InputError(
                f"the backend {backend} needs the package {needed} ({error}); pip install 'isthmus[encoders]'"
            ) from None
        except Exception as error:  # torchvision and torch of different builds end in a RuntimeError
            raise InputError(
                f"the package {needed} cannot be imported ({error}); install versions of torch, torchvision and "
                f"{needed} that belong together"
            ) from error
    return importlib.import_module(module)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
