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
#: First bytes -> what the file is, and what to do.
_MESSAGES = {
    b"version https://git-lfs": "is a Git LFS pointer, not the file itself; run `git lfs pull` in its repository",
    b"\x1f\x8b": "is compressed by gzip; unpack it with gunzip",
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


def check_embeddings(location: Path, head: bytes) -> None:
    """Raise `InputError` if a file with the first bytes `head` is known to be something else."""
    name = str(location)[-80:]
    message = next((text for magic, text in _MESSAGES.items() if head.startswith(magic)), None)
    if head.lstrip()[:14].lower().startswith((b"<!doctype html", b"<html")):
        message = "is an HTML page, such as an error or a login instead of a download; download the file again"
    elif head[:4] in _FAISS and location.suffix.lower() not in (".index", ".faiss"):
        message = "is a faiss index; rename it so that it ends in .index, or write faiss:FILE"
    elif head[:2] in (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05") or location.suffix.lower() in PICKLES:
        message = (
            f"is a pickle, which can run code and is never loaded; if you trust it, run {_unpickling(location, head)}"
        )
    elif location.suffix.lower() in _BY_SUFFIX:
        message = _BY_SUFFIX[location.suffix.lower()]
    elif head[:4] == b"LANC" or _ends_with(location, b"LANC"):
        message = "is a file of a Lance table; give lancedb://FOLDER/TABLE::COLUMN for the folder TABLE.lance"
    if message is not None:
        raise InputError(f"{name}: {message}")


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
