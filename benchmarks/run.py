"""Runs the benchmarks and writes the table: python benchmarks/run.py [NAME ...]

Each benchmark runs in a process of its own with as many threads as the machine has cores. Its rows are kept in
benchmarks/results.json, from which docs/reference/benchmarks.md is written, so that one benchmark can be run anew
alone. The exit code is 1 when one of them failed or a claim is not met.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from _table import HEADER, HERE, Row, child

RESULTS = HERE / "results.json"
PAGE = HERE.parent / "docs" / "reference" / "benchmarks.md"
#: Packages whose versions the page names.
PACKAGES = (
    "numpy", "scipy", "torch", "scikit-learn", "dask", "dask-ml", "faiss-cpu", "usearch", "torchmetrics", "cca-zoo",
    "mpmath", "pyarrow", "h5py", "datasets", "nnn-retrieval", "POT", "cka-pytorch", "lancedb", "psycopg",
    "qdrant-client", "qdrant-edge-py", "duckdb", "chromadb",
)  # fmt: skip
INTRODUCTION = """# Benchmarks

How fast is isthmus, and how much memory does it need? Each line compares it with another library, or with a limit. Both
sides do the same work on the same data with the same threads. They take turns in one run, and the shortest time of each
counts. If *needed* is "at least", a larger *ratio* is better, and above 1 isthmus is faster. If it is "at most",
*ratio* is the used part of the other value or of the limit. *met* is **no** where the claim was not met. Lines without
*needed* are for information. *machine's limit* compares with the fastest possible computation.

`make bench` measures everything and writes this page. `python benchmarks/run.py moments` measures one benchmark.
"""


def names() -> list[str]:
    """The benchmarks there are."""
    return sorted(p.stem for p in HERE.glob("*.py") if not p.stem.startswith("_") and p.stem != "run")


def rows_of(name: str) -> list[dict[str, Any]]:
    """The rows of one benchmark as JSON values; called in its own process."""
    module = __import__(name)
    return [row.to_dict() for row in module.rows()]


def machine() -> str:
    """What the numbers were measured on."""
    processor = platform.processor() or platform.machine()
    cpuinfo, meminfo = Path("/proc/cpuinfo"), Path("/proc/meminfo")
    if cpuinfo.exists():
        models = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        processor = models[0] if models else processor
    memory = f", {int(meminfo.read_text().split()[1]) / 2**20:.0f} GB" if meminfo.exists() else ""
    found = []
    for package in PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    cores = len(os.sched_getaffinity(0))
    return f"{processor}, {cores} cores{memory}; Python {platform.python_version()}, {', '.join(found)}"


def page(results: dict[str, Any]) -> str:
    """docs/reference/benchmarks.md from the rows that are kept."""
    lines = [INTRODUCTION]
    for name, one in sorted(results.items()):
        lines.append(f"## {name}\n\n{one['about']}\n\n{one['date']}, {one['seconds']:.0f} s.\n\n{HEADER}")
        lines += [Row.from_dict(row).line() for row in one["rows"]]
        lines.append("")
    lines.append("## Machines\n")
    lines += [f"- {machine_text}" for machine_text in dict.fromkeys(one["machine"] for one in results.values())]
    return "\n".join(lines) + "\n"


def about(name: str) -> str:
    """The first paragraph of the benchmark's docstring."""
    import ast

    text = ast.get_docstring(ast.parse((HERE / f"{name}.py").read_text(encoding="utf-8"))) or ""
    return " ".join(text.split("\n\n")[0].split())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="*", help="the benchmarks to run; default: all")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--page-only", action="store_true", help="write the page from the results that are there")
    options = parser.parse_args()
    unknown = set(options.name) - set(names())
    if unknown:
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(names())}")
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    results = {name: one for name, one in results.items() if name in names()}
    count = {v: str(options.threads) for v in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
    failed = False
    for name in [] if options.page_only else options.name or names():
        begin = time.perf_counter()
        print(f"## {name}", flush=True)
        try:
            rows = child("run", "rows_of", name, limit=3600.0, **count)
        except Exception as error:  # one that fails must not hide the others
            print(f"failed: {error}", flush=True)
            failed = True
            continue
        for row in rows:
            print(Row.from_dict(row).line(), flush=True)
            failed |= Row.from_dict(row).met is False
        results[name] = {
            "about": about(name),
            "date": datetime.date.today().isoformat(),
            "machine": f"{machine()}; {options.threads} threads",
            "seconds": time.perf_counter() - begin,
            "rows": rows,
        }
        RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    PAGE.write_text(page(results), encoding="utf-8")
    print(f"Wrote {PAGE}")
    sys.exit(failed)


if __name__ == "__main__":
    main()
