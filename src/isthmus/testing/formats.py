"""The contract of a file format."""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from isthmus.align import Identity
from isthmus.align.streaming import apply
from isthmus.data.sources import Format, Source, formats, open_source
from isthmus.utils.errors import InputError, IsthmusWarning

#: Rows and columns of the files that are written.
SHAPE = (43, 6)
#: Block sizes in which the rows are written and read.
BLOCKS = (5, 20, 1, 17)

#: Bytes of a file that are changed one at a time.
N_HEADER_BYTES = 32

Write = Callable[[Path, np.ndarray], Path]


def check_format(format: Format, folder: Path, *, write: Write | None = None, key: str | None = None) -> None:
    """Raise AssertionError unless `format` keeps the contract of `isthmus.sources.Format`.

    The suite checks the attributes, a round trip in blocks, reads in any order and by several threads, and the dtypes.
    It also checks keys, truncated, corrupted and random files, atomic writing, and resuming if the format declares it.
    The class must be registered.

    Parameters
    ----------
    format : Format
        An instance of the format.
    folder : Path
        An empty folder for files.
    write : callable or None
        Function (folder, rows) -> path that writes rows with the format's own library. Default: the writer of the
        format, which must then exist.
    key : str or None
        Name of a column with one key per row in the files of `write`.

    Raises
    ------
    AssertionError
        With a sentence about the first promise that is broken.

    Examples
    --------
    >>> import tempfile
    >>> from isthmus.data.sources import formats
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     check_format(formats["npy"], Path(folder))
    """
    _require(isinstance(format, Format), f"{format!r} is not an instance of isthmus.sources.Format; pass one")
    try:
        _check_all(format, folder, write, key)
    except AssertionError:
        raise
    except Exception as error:
        name = getattr(format, "name", type(format).__name__)
        raise AssertionError(f"{name}: {type(error).__name__} for a valid call: {error}") from error


def _check_all(format: Format, folder: Path, write: Write | None, key: str | None) -> None:
    _check_attributes(format)
    _check_signature(format)
    can_write = _can_write(format, folder)
    _require(can_write or write is not None, f"{format.name} cannot be written: give check_format a function `write`")
    for dtype in format.dtypes:
        rows = _rows(dtype)
        if can_write:
            path = _write_blocks(format, _empty(folder, f"own {dtype}"), rows)
            head = path.read_bytes()[:512] if path.is_file() else b""
            _require(format.magic is None or format.matches(head), f"{format.name}: its own file is not recognised")
            _check_reading(format, path, rows)
        if write is not None:
            path = write(_empty(folder, f"library {dtype}"), rows)
            kind = type(path).__name__
            _require(isinstance(path, Path), f"{format.name}: write returned {kind}, expected the path of the file")
            _check_reading(format, path, rows)
    _check_keys(format, path, key if write is not None else None)
    _check_broken_files(format, path, rows)
    _check_min_rows(format, _empty(folder, "one row"), None if can_write else write)
    if can_write:
        _check_rewriting(format, path, _empty(folder, "rewritten"))
        _check_atomic_writing(format, path, _empty(folder, "atomic"))
    if format.supports_resume:
        _check_resuming(format, _empty(folder, "resumed"))
    is_registered = format.name in formats.registered()
    _require(is_registered, f"{format.name} is not registered; decorate the class with @register")


def _require(condition: object, message: str) -> None:
    if not condition:
        raise AssertionError(message)


def _default_dtype(format: Format) -> np.dtype:
    return np.dtype("float32" if "float32" in format.dtypes else format.dtypes[0])


def _rows(dtype: str | np.dtype) -> np.ndarray:
    return np.random.default_rng(0).normal(size=SHAPE).astype(dtype)


def _empty(folder: Path, name: str) -> Path:
    path = folder / name
    path.mkdir()
    return path


def _path(format: Format, folder: Path) -> Path:
    return folder / f"rows{format.suffixes[0] if format.suffixes else ''}"


def _check_attributes(format: Format) -> None:
    for attribute in ("name", "suffixes"):
        kind = type(format).__name__
        _require(hasattr(format, attribute), f"{kind} has no {attribute}; set the class attribute `{attribute}`")
    has_name = isinstance(format.name, str) and format.name.strip()
    _require(has_name, f"{format!r} has no name; set the class attribute `name`")
    is_tuple = isinstance(format.suffixes, tuple)
    _require(is_tuple, f"suffixes of {format.name} are {format.suffixes!r}, expected a tuple")
    for suffix in format.suffixes:
        _require(
            re.fullmatch(r"\.[a-z0-9_]+", suffix), f"suffix {suffix!r} of {format.name} is not a lower-case '.name'"
        )
    _require(format.magic is None or format.magic, f"magic of {format.name} is empty, expected bytes or None")
    _require(format.description != format.name, f"{format.name} has no docstring, which `isthmus list sources` prints")
    formats.discover()
    owner = formats.registered().get(format.name, format)
    _require(type(owner) is type(format), f"another format is registered under the name {format.name!r}")


def _check_signature(format: Format) -> None:
    """Require that `open_source` accepts the member and `min_rows`."""
    parameters = inspect.signature(format.open_source).parameters.values()
    names = {parameter.name for parameter in parameters}
    if not any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters):
        for name in ("member", "min_rows"):
            _require(name in names, f"{format.name}: open_source has no parameter `{name}`")


def _can_write(format: Format, folder: Path) -> bool:
    try:
        writer = format.writer(_path(format, _empty(folder, "probe")), SHAPE, _default_dtype(format))
    except InputError as error:
        _check_message(format, error)
        return False
    writer.write(_rows(_default_dtype(format)))
    writer.close()
    return True


def _write_blocks(format: Format, folder: Path, rows: np.ndarray, source: Source | None = None) -> Path:
    path = _path(format, folder)
    writer = format.writer(path, (len(rows), rows.shape[1]), rows.dtype, source=source)
    for block in np.split(rows, np.cumsum(BLOCKS)):
        if len(block):
            writer.write(block)
    writer.close()
    _require([*folder.iterdir()] == [path], f"the writer of {format.name} leaves other files beside {path.name}")
    return path


def _check_reading(format: Format, path: Path, rows: np.ndarray) -> None:
    source = format.open_source(path)
    name, dtype = format.name, str(rows.dtype)
    _require(source.shape == rows.shape, f"{name}: shape {source.shape}, expected {rows.shape}")
    is_dtype = np.dtype(source.dtype).newbyteorder("=") == rows.dtype
    _require(is_dtype, f"{name}: dtype {source.dtype}, expected {dtype} in any byte order")
    _require(name in source.format, f"{name}: the sources call their format {source.format!r}")
    _require(str(path) in source.address, f"{name}: the path {path} is missing in `address`, {source.address!r}")
    n = len(rows)
    for start, stop in ((0, n), (0, 5), (5, 12), (12, 31), (3, 4), (n - 3, n + 50), (20, 20), (13, 16)):
        block = np.asarray(source.read(start, stop))
        _require(np.array_equal(block, rows[start:stop]), f"{name}: read({start}, {stop}) returns other rows")
        _require(block.dtype == source.dtype, f"{name}: read returns {block.dtype}, expected {source.dtype}")
    for numbers in ([7, 1, 1, n - 1], [0], list(range(4, 30)), list(range(n - 1, -1, -2)), []):
        block = np.asarray(source.take(np.array(numbers, dtype=int)))
        _require(np.array_equal(block, rows[numbers]), f"{name}: take({numbers}) returns other rows")
    starts = [*range(0, n, 5)] * 4
    with ThreadPoolExecutor(4) as pool:
        blocks = pool.map(lambda start: np.asarray(source.read(start, start + 5)), starts)
        for start, block in zip(starts, blocks, strict=True):
            _require(np.array_equal(block, rows[start : start + 5]), f"{name}: threads disturb each other")


def _check_keys(format: Format, path: Path, key: str | None) -> None:
    source = format.open_source(path)
    with _RaisesInputError(format, "keys() of a missing column"):
        source.keys("no such column")
    if key is not None:
        keys = source.keys(key)
        _require(len(keys) == SHAPE[0], f"{format.name}: {len(keys)} keys in {key!r}, expected {SHAPE[0]}")
        _require(len(set(map(str, keys))) == SHAPE[0], f"{format.name}: the keys in {key!r} repeat")


def _check_broken_files(format: Format, path: Path, rows: np.ndarray) -> None:
    """Require InputError, or exactly the rows, for every truncated file. Require InputError for random bytes.

    Formats that do not announce their length may give the rows before the cut.

    If one of the first 32 bytes is another one, require InputError or a matrix of floats.
    """
    broken = path if path.is_file() else max(f for f in path.iterdir() if not f.name.endswith(".json"))
    complete = broken.read_bytes()

    def replace(content: bytes) -> None:  # with a new inode, because libraries cache what they read of an open file
        broken.unlink()
        broken.write_bytes(content)

    for length in sorted({0, 1, 5, 9, 60, 200, *(len(complete) * k // 7 for k in range(1, 7)), len(complete) - 1}):
        replace(complete[:length])
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", IsthmusWarning)  # such as that of a missing line break
                source = format.open_source(path)
                read = np.asarray(source.read(0, SHAPE[0]))
        except InputError as error:
            _check_message(format, error)
            continue
        except Exception as error:
            message = f"{format.name}: a truncated file raised {type(error).__name__}, expected InputError"
            raise AssertionError(message) from error
        if not format.announces_length and 0 < len(read) <= len(rows):
            _require(
                np.array_equal(read[:-1], rows[: len(read) - 1]),
                f"{format.name}: a file cut off after {length} of {len(complete)} bytes is read as other rows",
            )
            continue
        _require(
            source.shape == rows.shape and np.array_equal(read, rows),
            f"{format.name}: a file cut off after {length} of {len(complete)} bytes is read as {source.shape}",
        )
    for position in range(min(N_HEADER_BYTES, len(complete))):
        for mask in (0x01, 0x80, 0xFF):
            changed = bytes([complete[position] ^ mask])
            replace(complete[:position] + changed + complete[position + 1 :])
            _check_corrupted_file(format, path, f"byte {position} is {changed!r}")
    replace(np.random.default_rng(1).bytes(len(complete)))
    with _RaisesInputError(format, "a file of random bytes"):
        format.open_source(path).read(0, SHAPE[0])
    replace(complete)


def _check_corrupted_file(format: Format, path: Path, change: str) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", IsthmusWarning)
            source = format.open_source(path)
            read = np.asarray(source.read(0, SHAPE[0]))
    except InputError as error:
        _check_message(format, error)
        return
    except Exception as error:
        message = f"{format.name}: a file where {change} raised {type(error).__name__}, expected InputError: {error}"
        raise AssertionError(message) from error
    is_float = (np.issubdtype(read.dtype, np.floating) or str(read.dtype) in format.dtypes) and read.ndim == 2
    _require(is_float, f"{format.name}: a file where {change} is read as {read.shape} of {read.dtype}, expected floats")


def _check_min_rows(format: Format, folder: Path, write: Write | None) -> None:
    rows = _rows(_default_dtype(format))[:1]
    path = _write_blocks(format, folder, rows) if write is None else write(folder, rows)
    with _RaisesInputError(format, "a file of one row"):
        format.open_source(path)
    n_rows = format.open_source(path, min_rows=0).shape[0]
    _require(n_rows == 1, f"{format.name}: {n_rows} rows with min_rows=0 in a file of one row")


def _check_rewriting(format: Format, path: Path, folder: Path) -> None:
    """Require that a file made from another one of this format keeps the name of the array or column."""
    source, rows = format.open_source(path), _rows(_default_dtype(format)) + 1
    rewritten = format.open_source(_write_blocks(format, folder, rows, source))
    _require(np.array_equal(rewritten.read(0, SHAPE[0]), rows), f"{format.name}: rows written with `source` differ")
    _require(
        rewritten.member == source.member, f"{format.name}: member {rewritten.member!r}, expected {source.member!r}"
    )


def _check_atomic_writing(format: Format, path: Path, folder: Path) -> None:
    """Require that `apply` leaves a complete file, or none if a row is invalid."""
    is_registered = format.name in formats.registered()
    if not is_registered:
        formats.register(format.name, format)
    try:
        rows = _rows(_default_dtype(format))
        aligner = Identity().fit(rows, rows)
        output = _path(format, folder)
        rows[-1, 0] = np.nan
        with _RaisesInputError(format, "apply() with an invalid row"):
            apply(aligner, Source(rows, address="rows"), output, modality="x")
        _require(not [*folder.iterdir()], f"{format.name}: work that fails leaves files behind")
        apply(aligner, open_source(path), output, modality="x")
        _require([*folder.iterdir()] == [output], f"{format.name}: apply() leaves other files behind")
        _require(open_source(output).shape == SHAPE, f"{format.name}: the output of apply() has another shape")
    finally:
        if not is_registered:
            formats.unregister(format.name)


def _check_resuming(format: Format, folder: Path) -> None:
    """Require that rows that were flushed survive, and that the others are written again."""
    rows, path, flushed = _rows(_default_dtype(format)), _path(format, folder), 20
    writer = format.writer(path, SHAPE, rows.dtype)
    writer.write(rows[:flushed])
    writer.flush()
    writer.write(rows[flushed:30] + 1)
    writer.close()
    writer = format.writer(path, SHAPE, rows.dtype, start=flushed)
    writer.write(rows[flushed:])
    writer.close()
    resumed = np.asarray(format.open_source(path).read(0, SHAPE[0]))
    _require(np.array_equal(resumed, rows), f"{format.name}: a resumed file holds other rows")


def _check_message(format: Format, error: InputError) -> None:
    message = str(error)
    _require("\n" not in message, f"{format.name}: a message of several lines: {message}")


class _RaisesInputError:
    """Context that requires an InputError of one line."""

    def __init__(self, format: Format, cause: str):
        self.format, self.cause = format, cause

    def __enter__(self) -> None: ...

    def __exit__(self, error_type: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        name = self.format.name
        _require(error is not None, f"{name}: no error for {self.cause}, expected InputError")
        if not isinstance(error, InputError):
            raise AssertionError(f"{name}: {type(error).__name__} for {self.cause}, expected InputError") from error
        _check_message(self.format, error)
        return True
