"""Files that are something else than embeddings, recognised by their first bytes, and what to run next."""

from __future__ import annotations

import pickletools
import re
from collections.abc import Collection
from pathlib import Path

from isthmus.data.sources._locations import Location
from isthmus.utils.errors import InputError

#: Characters of a path that a statement to run shows. Of a longer one it shows the name.
MAX_SHOWN_PATH = 60
#: Suffixes of pickles, also of old ones, whose first bytes do not tell.
PICKLES = (".pkl", ".pickle", ".p", ".joblib")
_FAISS = (b"IxFI", b"IxF2", b"IxFl", b"IxMp", b"IxM2", b"IwFl", b"IwPQ", b"IwSQ", b"IHNf", b"IHNs", b"IxPq", b"IxSQ")
#: First bytes of a pickle: a protocol from 2 and an opcode (the width 640 of .fvecs is the bytes 80 02 00 00), or a
#: name or container of the protocols 0 and 1.
_PICKLE = re.compile(
    rb"\x80[\x02-\x05][\x95\x8a\x8cc(){}\]XGJKMN]|c[\w.]+\n\w+\n(?:p\d+\n|q\x00)|\((?:[dl]|[dl]p\d+\n)|[}\]]q\x00"
)
#: First bytes -> what the file is, and what to do.
_MESSAGES = {
    b"version https://git-lfs": "is a Git LFS pointer, not the file itself; run `git lfs pull` in its repository",
    b"\x1f\x8b\x08": "is compressed by gzip; unpack it with gunzip",
    b"\x28\xb5\x2f\xfd": "is compressed by zstd; unpack it with unzstd",
    b"\xfd7zXZ\x00": "is compressed by xz; unpack it with unxz",
    b"BZh9": "is compressed by bzip2; unpack it with bunzip2",
    b"SQLite format 3\x00": "is an SQLite database; read its vectors and save them with numpy.save",
}
#: Suffix -> the same, for files whose first bytes do not tell.
_BY_SUFFIX = {
    ".json": "is JSON; run np.save('rows.npy', np.array(json.load(open(FILE)), 'float32')), with json.load(...)[NAME] "
    "if it is an object, or write one object a line as .jsonl",
    ".xlsx": "is an Excel workbook; save its sheet as .csv",
    ".xls": "is an Excel workbook; save its sheet as .csv",
    ".mat": "is a MATLAB file; run np.save('rows.npy', scipy.io.loadmat(FILE)[NAME])",
    ".rds": "is a file of R; write its matrix with write.csv",
}


def check_embeddings(location: Path, head: bytes, *, may_be_pickle: bool = False) -> None:
    """Raise `InputError` if a file with the first bytes `head` is known to be something else.

    Old files of PyTorch are pickles, so `may_be_pickle` is True for them.
    """
    suffix = location.suffix.lower()
    message = _named_by_content(location, head, may_be_pickle=may_be_pickle)
    if head[:4] in _FAISS and suffix in (".index", ".faiss"):
        message = None
    elif suffix in PICKLES:
        message = _pickle(location, head)
    elif suffix in _BY_SUFFIX:
        message = _BY_SUFFIX[suffix]
    if message is not None:
        raise InputError(f"{str(location)[-80:]}: {message}")


def check_shard(file: Location, *, may_be_pickle: bool = False) -> None:
    """Raise `InputError` if a local shard that cannot be opened is known to be something else."""
    if isinstance(file, Path):
        check_embeddings(file, first_bytes(file), may_be_pickle=may_be_pickle)


def check_raw(location: Path, head: bytes) -> None:
    """Raise `InputError` if a file that should hold rows without a header is known to be something else."""
    message = _named_by_content(location, head)
    if head.startswith(b"PK\x03\x04"):
        message = "is a zip archive, not rows without a header; leave out --raw if it is .npz or .pt, else unpack it"
    if message is not None:
        raise InputError(f"{str(location)[-80:]}: {message}")


def first_bytes(location: Location) -> bytes:
    """Return the bytes by which the content of a file is recognised."""
    with location.open("rb") as file:
        return bytes(file.read(512))


def _named_by_content(location: Path, head: bytes, *, may_be_pickle: bool = False) -> str | None:
    """Return what a file with these first bytes is and what to do, or None."""
    if head.lstrip()[:14].lower().startswith((b"<!doctype html", b"<html")):
        return "is an HTML page, such as an error or a login instead of a download; download the file again"
    if head[:4] in _FAISS:
        return "is a faiss index; rename it so that it ends in .index, or write faiss:FILE"
    if _PICKLE.match(head) and not may_be_pickle:
        return _pickle(location, head)
    if head[:4] == b"LANC" or _ends_with(location, b"LANC"):
        return "is a file of a Lance table; give lancedb://FOLDER/TABLE::COLUMN for the folder TABLE.lance"
    return next((text for magic, text in _MESSAGES.items() if head.startswith(magic)), None)


def _pickle(location: Path, head: bytes) -> str:
    """Return that a file is a pickle, and the statements that turn it into a file of rows."""
    return f"is a pickle, which can run code and is never loaded; if you trust it, run {_unpickling(location, head)}"


def check_embeddings_folder(location: Location, names: Collection[str]) -> None:
    """Raise `InputError` if a folder with files of these `names` is known to be something else than shards."""
    quoted = repr(str(location) if len(str(location)) <= MAX_SHOWN_PATH else location.name[-40:])
    tables = [location.name] if "_versions" in names or location.suffix == ".lance" else []
    tables = tables or [name for name in names if name.endswith(".lance")]
    if tables:
        address = f"{str(location).removesuffix(tables[0]).rstrip('/') or '.'}/{tables[0].removesuffix('.lance')}"
        raise InputError(f"{str(location)[-80:]}: is a Lance table; give lancedb://{address[-80:]}::COLUMN")
    if {".zarray", ".zgroup", ".zattrs", "zarr.json"} & set(names):
        raise InputError(
            f"{str(location)[-80:]}: is a Zarr array or group; run rows = zarr.open({quoted}) and np.save('rows.npy', "
            "rows[:]), with rows[NAME][:] for one array of a group"
        )
    if "chroma.sqlite3" in names:
        shown = str(location)[-80:]
        raise InputError(f"{shown}: is a Chroma database; give chroma:{shown}/COLLECTION")


def _unpickling(location: Path, head: bytes) -> str:
    """Return the statements that turn a pickle into a file of rows. Nothing is unpickled here."""
    name, rows = repr(location.name[-24:]), "np.asarray(rows, 'float32')"
    if b"pandas" in head:
        return f"pandas.read_pickle({name}).to_parquet('rows.parquet')"
    load = f"joblib.load({name})" if b"joblib" in head else f"pickle.load(open({name}, 'rb'))"
    key = _pickled_key(head)
    if re.search(r"\.\w{2,4}'\]$|\[\d+\]$|\['\d+'\]$", key):  # one vector for each file or id
        return f"rows = list({load}.values()) and np.save('rows.npy', {rows})"
    return f"rows = {load}{key} and np.save('rows.npy', {rows})"


def _pickled_key(head: bytes) -> str:
    """Return how to select the first entry of a pickle that begins as a dictionary, or ''. Nothing is unpickled."""
    is_dictionary = False
    try:
        for opcode, argument, _ in pickletools.genops(head):
            is_dictionary |= opcode.name == "EMPTY_DICT"
            if "UNICODE" in opcode.name:
                return f"[{str(argument)[:24]!r}]" if is_dictionary else ""
            if opcode.name not in ("PROTO", "FRAME", "EMPTY_DICT", "MARK", "MEMOIZE", "BINPUT"):
                break
    except ValueError:
        pass
    return ""


def _ends_with(path: Path, end: bytes) -> bool:
    """Return whether the last bytes of a file are `end`."""
    with path.open("rb") as file:
        file.seek(max(file.seek(0, 2) - len(end), 0))
        return file.read() == end
