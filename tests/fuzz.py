"""Mutated files of every format: each must end in one clear sentence or in rows that stand in the file.

    python tests/fuzz.py [--count 10000] [--formats parquet,hdf5] [--seed 0]

A mutated file is opened, all of it is read and some rows of it are taken. What is allowed: an `InputError` of one
line; or rows of the shape that was announced, with every number of formats that pack nothing standing in the bytes of
the file, so that a header that lies cannot make numbers up. Every other exception, a crash, more memory
than 2 GB or more than 20 seconds is a failure. The work is done in child processes, so that a crash is counted and
told with the seed that makes the file again.
"""

from __future__ import annotations

import argparse
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


def mutated(whole: bytes, rng: np.random.Generator) -> bytes:
    """`whole` after one to four of: bits flipped, bytes changed, numbers set to extremes, pieces cut or moved."""
    data = bytearray(whole)
    for _ in range(rng.integers(1, 5)):
        kind = rng.integers(0, 8)
        place = int(_place(len(data), rng))
        if kind == 0:
            data[place] ^= 1 << int(rng.integers(0, 8))
        elif kind == 1:
            data[place] = int(rng.integers(0, 256))
        elif kind == 2:  # a field of a header: an extreme number of 1, 2, 4 or 8 bytes
            code, top = [("b", 7), ("h", 15), ("i", 31), ("q", 63)][int(rng.integers(0, 4))]
            values = [0, 1, -1, 2**top - 1, -(2**top), 2 ** (top // 2), 10**12 if top == 63 else 100]
            field = struct.pack(("<", ">")[int(rng.integers(0, 2))] + code, values[int(rng.integers(0, len(values)))])
            data[place : place + len(field)] = field
        elif kind == 3 and rng.integers(0, 3) == 0:
            del data[place:]
        elif kind == 4:
            del data[place : place + int(rng.integers(1, 32))]
        elif kind == 5:
            data[place:place] = data[: int(rng.integers(1, 32))]
        elif kind == 6:  # digits in textual headers
            digits = [i for i in range(place, min(place + 64, len(data))) if 48 <= data[i] <= 57]
            if digits:
                data[digits[0]] = int(rng.integers(48, 58))
        else:
            size = int(rng.integers(1, 16))
            other = int(_place(len(data), rng))
            data[place : place + size] = data[other : other + size]
        if not data:
            return b""
    return bytes(data)


def _place(size: int, rng: np.random.Generator) -> int:
    """Mostly near the beginning or the end, where headers are."""
    where, near = rng.random(), min(size, 400)
    if where < 0.4:
        return int(rng.integers(0, near))
    if where < 0.7:
        return int(size - 1 - rng.integers(0, near))
    return int(rng.integers(0, size))


def originals(name: str, folder: Path) -> list[Path]:
    """The file, or the files of the folder, that are mutated one at a time; the path that is opened comes first."""
    rows = np.random.default_rng(0).normal(size=(ROWS, WIDTH)).astype(np.float32)
    path = {**formats.FILES, **formats.FOLDERS}[name](folder, rows)
    return [path, *sorted(p for p in path.iterdir() if p.is_file())] if path.is_dir() else [path, path]


#: Formats in which every number lies as it is.
PLAIN = ("npy", "npz", "safetensors", "large_parquet", "arrow", "stream", "hdf5", "torch", "webdataset", "dataset")


def standing(block: np.ndarray, data: list[bytes]) -> bool:
    """Whether every number of `block` stands somewhere in `data`, bit for bit."""
    size = block.dtype.itemsize
    words = np.ascontiguousarray(block).view(f"u{size}").ravel()
    known = [np.lib.stride_tricks.sliding_window_view(np.frombuffer(d, np.uint8), size) for d in data if len(d) >= size]
    here = np.concatenate([np.ascontiguousarray(k).view(f"u{size}").ravel() for k in known])
    return bool(np.isin(words, here).all())


def outcome(path: Path, data: list[bytes], *, plain: bool) -> str:
    """Opens and reads `path`, whose bytes are `data`, whole; 'refused' or 'read', anything else raises."""
    from isthmus import InputError
    from isthmus.data.sources import open_source

    try:
        source = open_source(path)
        n, d = source.shape
        if n * d > 64 * sum(map(len, data)) + 2**20:  # packed formats may repeat themselves, yet not endlessly
            raise AssertionError(f"shape {source.shape} from {sum(map(len, data))} bytes")
        total = 0
        for start in range(0, n, 7):
            block = np.asarray(source.read(start, start + 7))
            if block.shape != (min(7, n - start), d):
                raise AssertionError(f"block of shape {block.shape} at {start} of {source.shape}")
            if plain and source.dtype != "bfloat16" and not standing(block, data):
                raise AssertionError(f"numbers that are not in the file, in rows from {start} on")
            total += len(block)
            float(np.nansum(block.astype(np.float64)))  # every byte is looked at
        if total != n:
            raise AssertionError(f"{total} rows of {n}")
        rows = np.array([n - 1, 0, n // 2])
        taken, read = np.asarray(source.take(rows)), [np.asarray(source.read(r, r + 1))[0] for r in rows.tolist()]
        if not np.array_equal(taken, np.stack(read), equal_nan=True):
            raise AssertionError("take and read disagree")
        return "read"
    except InputError as error:
        if "\n" in str(error):
            raise AssertionError(f"an error of several lines: {error}") from None
        return "refused"


def child(name: str, numbers: range, seed: int, report: int) -> None:
    """Tries the mutations with these numbers, one line each to the file descriptor `report`."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 2)
    with tempfile.TemporaryDirectory() as temporary:
        opened, *files = originals(name, Path(temporary))
        whole = {file: file.read_bytes() for file in files}
        plain = name in PLAIN
        outcome(opened, list(whole.values()), plain=plain)  # libraries are loaded before memory is limited
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
        for number in numbers:
            rng = np.random.default_rng([seed, number])
            file = files[int(rng.integers(0, len(files)))]
            data = mutated(whole[file], rng)
            file.unlink()
            file.write_bytes(data)
            os.write(report, f"{number} begun\n".encode())
            signal.alarm(SECONDS)
            try:
                found = outcome(opened, [*(whole | {file: data}).values()], plain=plain)
            except BaseException as error:
                where = traceback.extract_tb(error.__traceback__)[-1]
                said = " ".join(str(error).split())[:120]
                found = f"{type(error).__name__} {said} ({Path(where.filename).name}:{where.lineno})"
            signal.alarm(0)
            os.write(report, f"{number} {found}\n".encode())
            file.unlink()
            file.write_bytes(whole[file])


def fuzz(name: str, count: int, seed: int) -> Iterator[tuple[int, str]]:
    """(number, outcome) of each mutation; a child that dies is told by its signal and replaced by the next one."""
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
        begun = None
        with os.fdopen(read) as lines:
            for line in lines:
                number, _, found = line.strip().partition(" ")
                start = int(number) + 1
                if found == "begun":
                    begun = int(number)
                else:
                    begun = None
                    yield int(number), found
        _, status = os.waitpid(process, 0)
        if begun is None and start < count:
            raise SystemExit(f"{name}: the child ended early with status {status}")
        if begun is not None:
            died = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
            yield begun, "HANG" if died == signal.SIGALRM else f"CRASH by signal {died}, status {status}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--formats", default=",".join([*formats.FILES, *formats.FOLDERS]))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    bad = 0
    for name in options.formats.split(","):
        begin, counts, shown = time.perf_counter(), Counter(), Counter()
        for number, found in fuzz(name, options.count, options.seed):
            kind = found if found in ("read", "refused") else "failed"
            counts[kind] += 1
            if kind == "failed":
                shown[found] += 1
                if shown[found] == 1:
                    print(f"  {name} {number}: {found}", flush=True)
        bad += counts["failed"]
        print(
            f"{name:15} {options.count:,} files: {counts['refused']:,} refused, {counts['read']:,} read, "
            f"{counts['failed']:,} failed, {time.perf_counter() - begin:.0f} s",
            flush=True,
        )
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
