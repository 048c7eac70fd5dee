"""Files that are something else than embeddings, recognised by their first bytes, and what to run next."""

from __future__ import annotations

from pathlib import Path

from isthmus.utils.errors import InputError

_FAISS = (b"IxFI", b"IxF2", b"IxFl", b"IxMp", b"IxM2", b"IwFl", b"IwPQ", b"IwSQ", b"IHNf", b"IHNs", b"IxPq", b"IxSQ")
#: First bytes -> what the file is, and what to do.
_MESSAGES = {
    b"version https://git-lfs": "is a Git LFS pointer, not the file itself; run `git lfs pull` in its repository",
    b"\x1f\x8b": "is compressed by gzip; unpack it with gunzip",
    b"SQLite format 3\x00": "is an SQLite database; read its vectors and save them with numpy.save",
}


def check_embeddings(location: Path, head: bytes) -> None:
    """Raise `InputError` if a file with the first bytes `head` is known to be something else."""
    name = str(location)[-80:]
    message = next((text for magic, text in _MESSAGES.items() if head.startswith(magic)), None)
    if head.lstrip()[:14].lower().startswith((b"<!doctype html", b"<html")):
        message = "is an HTML page, such as an error or a login instead of a download; download the file again"
    elif head[:4] in _FAISS and location.suffix.lower() not in (".index", ".faiss"):
        message = "is a faiss index; rename it so that it ends in .index, or write faiss:FILE"
    elif head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        message = (
            "is a pickle, which can run code and is never loaded; if you trust it, run "
            f"rows = pickle.load(open({location.name[-24:]!r}, 'rb')) and np.save('rows.npy', np.asarray(rows))"
        )
    if message is not None:
        raise InputError(f"{name}: {message}")
