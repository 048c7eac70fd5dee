"""Location of models and choice of the backend that opens them. Nothing is ever downloaded."""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import json
from pathlib import Path
from typing import Any

from isthmus.encode._base import Encoder, Instructions, check_dtype, resolve_device
from isthmus.utils.errors import InputError, first_line, import_optional, unknown_name

#: Backend -> (its module here, the library that it needs).
BACKENDS = {
    "open_clip": ("isthmus.encode.open_clip", "open_clip"),
    "transformers": ("isthmus.encode.transformers", "transformers"),
    "sentence_transformers": ("isthmus.encode.sentence_transformers", "sentence_transformers"),
}
#: File that identifies a model's folder -> backend, in order of precedence. A folder can contain the files of two.
_MARKER_FILES = {
    "modules.json": "sentence_transformers",
    "config.json": "transformers",
    "open_clip_config.json": "open_clip",
}
_WEIGHT_SUFFIXES = (".safetensors", ".bin", ".pt", ".pth")
#: torchvision 0.(m + 15) is built for torch 2.m.
_TORCHVISION_OFFSET = 15


def open_encoder(
    model: str,
    /,
    *,
    backend: str | None = None,
    weights: str | Path | None = None,
    device: str = "auto",
    dtype: str = "float32",
    instructions: Instructions | None = None,
    media: str | None = None,
) -> Encoder:
    """Open a dual encoder from a folder, or by the name of a model in the Hugging Face cache of this user.

    Parameters
    ----------
    model : str
        Folder or name of the model.
    backend : {"open_clip", "transformers", "sentence_transformers"} or None, default None
        Library that loads the model, by default found from the files of the folder.
    weights : path or None, default None
        Checkpoint of open_clip. `model` is then the name of an architecture (ViT-B-32) or a .json configuration.
    device : str, default "auto"
        'cpu', 'cuda', 'cuda:1' or 'mps'. 'auto' is cuda if available, else mps, else cpu.
    dtype : {"float32", "bfloat16", "float16"}, default "float32"
        Precision. The half-precision types use autocast.
    instructions : Instructions or None, default None
        Roles and prompts. Roles and prompts of images need sentence-transformers, and a prompt of texts does not.
    media : {"image", "audio"} or None, default None
        Modality beside the texts, for models that encode several. Default: images if the model encodes them.

    Returns
    -------
    Encoder
        Encoder in eval mode.

    Raises
    ------
    InputError
        If the model does not exist, has no known kind, cannot be loaded or is no dual encoder. Also if a package or the
        device is missing, torch and torchvision do not match, or the backend has no roles.

    Examples
    --------
    >>> encoder = open_encoder("openai/clip-vit-base-patch32")  # doctest: +SKIP
    >>> encoder.encode_texts(["a cat"]).shape  # doctest: +SKIP
    (1, 512)
    """
    check_dtype(dtype)
    if weights is not None:
        if backend not in (None, "open_clip"):
            raise InputError(f"weights need an architecture of open_clip, not the backend {backend!r}")
        backend, location = "open_clip", model
        if not Path(weights).is_file():
            raise InputError(f"{weights}: no such file; give the checkpoint that open_clip's training has written")
    else:
        folder = locate(model)
        location = str(folder)
        backend = backend or _detect_backend(folder)
    if backend not in BACKENDS:
        raise unknown_name("backend", backend, BACKENDS)
    module = _import_backend(backend)
    options = {} if weights is None else {"weights": str(weights)}
    encoder: Encoder = module.open_model(location, device=resolve_device(device), dtype=dtype, **options)
    encoder.source = _describe_source(model, location, weights)
    if instructions is not None:
        needs_roles = any((instructions.media_role, instructions.text_role, instructions.media_prompt))
        if needs_roles and not encoder.has_roles:
            raise InputError(
                f"{model}: roles and prompts of images need a model of sentence-transformers, and this is one of "
                f"{backend}; it takes a prompt of texts alone (--text-prompt)"
            )
        encoder.instructions = instructions
    return encoder if media is None else encoder.for_media(media)


def locate(model: str, /) -> Path:
    """Return the folder of `model`: itself, or its snapshot in the Hugging Face cache, without network access."""
    path = Path(model).expanduser()
    if path.is_dir():
        return path
    if path.exists():
        raise InputError(f"{model}: is a file, expected a model's folder (give a checkpoint of open_clip as --weights)")
    # sentence-transformers' own models have short names.
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


def _describe_source(model: str, location: str, weights: str | Path | None) -> dict[str, Any]:
    """Return name, revision in the cache, and a SHA-256 of each file that determines the vectors."""
    path = Path(location)
    if weights is not None:
        files = {file.name: file for file in (Path(weights), path) if file.is_file()}
    else:
        suffixes = (*_WEIGHT_SUFFIXES, ".json", ".txt", ".model")
        relevant = sorted(file for file in path.rglob("*") if file.is_file() and file.suffix in suffixes)
        files = {str(file.relative_to(path)): file for file in relevant}
    revision = path.name if path.parent.name == "snapshots" else None
    return {"name": model, "revision": revision, "files": {name: _sha256(file) for name, file in files.items()}}


def _detect_backend(folder: Path) -> str:
    """Return the backend whose marker file the folder holds."""
    for file, backend in _MARKER_FILES.items():
        if (folder / file).is_file():
            if file == "config.json" and "model_type" not in _read_json(folder / file):
                continue
            return backend
    raise InputError(
        f"{folder}: holds no known model; expected one of {', '.join(_MARKER_FILES)} (open_clip, transformers or "
        "sentence-transformers write it when they save a model)"
    )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: is not valid JSON ({error}); save the model again") from None
    return document if isinstance(document, dict) else {}


def _import_backend(backend: str) -> Any:
    """Import the libraries of a backend and return its module, or raise InputError with the reason."""
    module, library = BACKENDS[backend]
    import_optional("torch", "encoders", f"the backend {backend}")
    check_torchvision()
    try:
        importlib.import_module(library)
    except ImportError as error:
        raise InputError(
            f"the backend {backend} needs the package {library} ({first_line(error)}); pip install 'isthmus[encoders]'"
        ) from None
    except Exception as error:
        raise InputError(
            f"the package {library} cannot be imported ({first_line(error)}); install versions of torch, torchvision "
            f"and {library} that match: pip install --upgrade torch torchvision {library}"
        ) from error
    return importlib.import_module(module)


def check_torchvision() -> None:
    """Raise InputError if torchvision is installed for another version of torch.

    The libraries import torchvision late, and then fail with errors about operators or about the model's files.
    """
    try:
        vision = importlib.metadata.version("torchvision")
    except importlib.metadata.PackageNotFoundError:
        return
    try:
        importlib.import_module("torchvision")
    except Exception as error:  # a missing operator is a RuntimeError, a missing symbol an OSError or ImportError
        torch = importlib.metadata.version("torch")
        major, minor = torch.split(".")[:2]
        match = f"'torchvision==0.{int(minor) + _TORCHVISION_OFFSET}.*'" if major == "2" else "--upgrade torchvision"
        raise InputError(
            f"torchvision {vision} does not match torch {torch} ({first_line(error, 80)}); install the torchvision "
            f"that is built for it: pip install {match}"
        ) from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
