"""Fuzzing of every format: a mutated file must raise InputError or return rows that are present in the file.

    python tests/fuzz.py [--count 10000] [--formats parquet,hdf5] [--seed 0]

A mutated file is opened, all of it is read, and some rows are taken. Two outcomes are allowed. The first is an
`InputError` of one line. The second is rows of the announced shape. In formats that do not compress, every number of
the rows must occur in the bytes of the file, so that a wrong header cannot make numbers up. Every other exception, a
crash, more than 2 GB of memory, or more than 20 seconds is a failure. The work runs in child processes, so that a crash
is counted and reported with the number that reproduces the file.
"""

from __future__ import annotations

import argparse
import importlib
import os
import resource
import signal
import struct
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import formats

ROWS, WIDTH = 24, 6
MEMORY = 2 * 2**30
SECONDS = 20


def mutate(content: bytes, rng: np.random.Generator) -> bytes:
    """Return `content` after one to four changes: flipped bits, other bytes, extreme numbers, cut or moved pieces."""
    data = bytearray(content)
    for _ in range(rng.integers(1, 5)):
        mutation = rng.integers(0, 8)
        position = int(_random_position(len(data), rng))
        if mutation == 0:
            data[position] ^= 1 << int(rng.integers(0, 8))
        elif mutation == 1:
            data[position] = int(rng.integers(0, 256))
        elif mutation == 2:  # a field of a header: an extreme number of 1, 2, 4 or 8 bytes
            code, top = [("b", 7), ("h", 15), ("i", 31), ("q", 63)][int(rng.integers(0, 4))]
            values = [0, 1, -1, 2**top - 1, -(2**top), 2 ** (top // 2), 10**12 if top == 63 else 100]
            field = struct.pack(("<", ">")[int(rng.integers(0, 2))] + code, values[int(rng.integers(0, len(values)))])
            data[position : position + len(field)] = field
        elif mutation == 3 and rng.integers(0, 3) == 0:
            del data[position:]
        elif mutation == 4:
            del data[position : position + int(rng.integers(1, 32))]
        elif mutation == 5:
            data[position:position] = data[: int(rng.integers(1, 32))]
        elif mutation == 6:  # digits in textual headers
            digits = [i for i in range(position, min(position + 64, len(data))) if 48 <= data[i] <= 57]
            if digits:
                data[digits[0]] = int(rng.integers(48, 58))
        else:
            size = int(rng.integers(1, 16))
            origin = int(_random_position(len(data), rng))
            data[position : position + size] = data[origin : origin + size]
        if not data:
            return b""
    return bytes(data)


def _random_position(size: int, rng: np.random.Generator) -> int:
    """Return a position, mostly near the begin or the end, where headers are."""
    draw, edge = rng.random(), min(size, 400)
    if draw < 0.4:
        return int(rng.integers(0, edge))
    if draw < 0.7:
        return int(size - 1 - rng.integers(0, edge))
    return int(rng.integers(0, size))


#: Formats of codes, which are read with a scale.
CODES = {"bvecs": "uint8", "i8bin": "int8", "u8bin": "uint8", "ibin": "int32"}


def originals(name: str, folder: Path) -> list[Path]:
    """Return the path that is opened, and the file, or the files of the folder, that are mutated one at a time."""
    rows = np.random.default_rng(0).normal(size=(ROWS, WIDTH)).astype(np.float32)
    rows = np.abs(20 * rows).astype(CODES[name]) if name in CODES else rows
    path = {**formats.FILES, **formats.READ_ONLY, **formats.FOLDERS}[name](folder, rows)
    return [path, *sorted(p for p in path.iterdir() if p.is_file())] if path.is_dir() else [path, path]


#: Formats that do not compress their numbers.
PLAIN = ("npy", "npz", "safetensors", "large_parquet", "arrow", "stream", "hdf5", "torch", "webdataset", "dataset")


def all_numbers_in_file(block: np.ndarray, data: list[bytes]) -> bool:
    """Return whether every number of `block` occurs somewhere in `data`, bit for bit."""
    size = block.dtype.itemsize
    values = np.ascontiguousarray(block).view(f"u{size}").ravel()
    arrays = [np.frombuffer(d, np.uint8) for d in data if len(d) >= size]
    windows = [np.lib.stride_tricks.sliding_window_view(array, size) for array in arrays]
    words_in_file = np.concatenate([np.ascontiguousarray(k).view(f"u{size}").ravel() for k in windows])
    return bool(np.isin(values, words_in_file).all())


def outcome(path: Path, data: list[bytes], *, plain: bool) -> str:
    """Open and read all of `path`, whose bytes are `data`. Return 'refused' or 'read', and raise for anything else."""
    from isthmus import InputError
    from isthmus.data.sources import open_source

    try:
        source = open_source(path, scale=1.0 if path.suffix[1:] in CODES else None)
        n, d = source.shape
        if n * d > 64 * sum(map(len, data)) + 2**20:  # packed formats may repeat themselves, yet not endlessly
            raise AssertionError(f"shape {source.shape} from {sum(map(len, data))} bytes")
        total = 0
        for start in range(0, n, 7):
            block = np.asarray(source.read(start, start + 7))
            if block.shape != (min(7, n - start), d):
                raise AssertionError(f"block of shape {block.shape} at {start} of {source.shape}")
            present = block[~np.isnan(block).all(axis=1)]  # null and empty lists are rows of NaN
            if plain and source.dtype != "bfloat16" and not all_numbers_in_file(present, data):
                raise AssertionError(f"numbers that are not in the file, in rows from {start} on")
            total += len(block)
            float(np.nansum(block.astype(np.float64)))  # every byte is looked at
        if total != n:
            raise AssertionError(f"{total} rows of {n}")
        rows = np.array([n - 1, 0, n // 2])
        rows_by_take = np.asarray(source.take(rows))
        rows_by_read = np.stack([np.asarray(source.read(r, r + 1))[0] for r in rows.tolist()])
        if not np.array_equal(rows_by_take, rows_by_read, equal_nan=True):
            raise AssertionError("take and read disagree")
        return "read"
    except InputError as error:
        if "\n" in str(error):
            raise AssertionError(f"an error of several lines: {error}") from None
        return "refused"


def child(name: str, numbers: range, seed: int, pipe: int) -> None:
    """Try the mutations with these numbers, and write one line for each to the file descriptor `pipe`."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 2)
    with tempfile.TemporaryDirectory() as temporary:
        path_to_open, *files = originals(name, Path(temporary))
        content = {file: file.read_bytes() for file in files}
        plain = name in PLAIN
        outcome(path_to_open, list(content.values()), plain=plain)  # libraries are loaded before memory is limited
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
        for number in numbers:
            rng = np.random.default_rng([seed, number])
            file = files[int(rng.integers(0, len(files)))]
            data = mutate(content[file], rng)
            file.unlink()
            file.write_bytes(data)
            os.write(pipe, f"{number} begun\n".encode())
            signal.alarm(SECONDS)
            try:
                report = outcome(path_to_open, [*(content | {file: data}).values()], plain=plain)
            except BaseException as error:
                frame = traceback.extract_tb(error.__traceback__)[-1]
                message = " ".join(str(error).split())[:120]
                report = f"{type(error).__name__} {message} ({Path(frame.filename).name}:{frame.lineno})"
            signal.alarm(0)
            os.write(pipe, f"{number} {report}\n".encode())
            file.unlink()
            file.write_bytes(content[file])


def fuzz(name: str, count: int, seed: int) -> Iterator[tuple[int, str]]:
    """Yield (number, outcome) of each file. A child that dies is reported by its signal and replaced by another."""
    start = 0
    while start < count:
        read, write = os.pipe()
        process = os.fork()
        if process == 0:
            os.close(read)
            try:
                child(name, range(start, count), seed, write)
            finally:
                os._exit(0)
        os.close(write)
        running = None
        with os.fdopen(read) as lines:
            for line in lines:
                number, _, report = line.strip().partition(" ")
                start = int(number) + 1
                if report == "begun":
                    running = int(number)
                else:
                    running = None
                    yield int(number), report
        _, status = os.waitpid(process, 0)
        if running is None and start < count:
            raise SystemExit(f"{name}: the child ended early with status {status}")
        if running is not None:
            died = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
            yield running, "HANG" if died == signal.SIGALRM else f"CRASH by signal {died}, status {status}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--formats", default=",".join([*formats.FILES, *formats.FOLDERS]))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    # Imported once, and not in each child. Libraries with threads of their own are left to the children.
    importlib.import_module("isthmus.data.sources")
    names = options.formats.split(",")
    known = {**formats.FILES, **formats.READ_ONLY, **formats.FOLDERS}
    if unknown := [name for name in names if name not in known]:
        parser.error(f"unknown formats {', '.join(unknown)}; known: {', '.join(known)}")
    bad = 0
    for name in names:
        begin, counts, n_shown = time.perf_counter(), Counter(), Counter()
        for number, report in fuzz(name, options.count, options.seed):
            outcome_kind = report if report in ("read", "refused") else "failed"
            counts[outcome_kind] += 1
            if outcome_kind == "failed":
                n_shown[report] += 1
                if n_shown[report] == 1:
                    print(f"  {name} {number}: {report}", flush=True)
        bad += counts["failed"]
        print(
            f"{name:15} {options.count:,} files: {counts['refused']:,} refused, {counts['read']:,} read, "
            f"{counts['failed']:,} failed, {time.perf_counter() - begin:.0f} s",
            flush=True,
        )
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
