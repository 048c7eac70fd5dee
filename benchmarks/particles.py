"""One step of gradient descent on pairs: isthmus against automatic differentiation in PyTorch.

Claim: the exact gradient of InfoNCE at n = 2048, d = 512 is at least as fast as PyTorch's on the same
threads and needs less memory. Each contender runs in a process of its own; "memory" is the growth of the
peak resident size over the imports and the data. The two alternate, and the least time of all repeats
counts.

    python benchmarks/particles.py [--n 2048] [--dim 512] [--threads 2] [--repeats 7]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys

TEMPERATURE = 0.07


def data(n: int, dim: int, dtype: str):
    import numpy as np

    rng = np.random.default_rng(0)
    sides = [rng.normal(size=(n, dim)) for _ in range(2)]
    return [(side / np.linalg.norm(side, axis=1, keepdims=True)).astype(dtype) for side in sides]


def peak() -> float:
    """Peak resident memory of this process in MB."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0


def isthmus_step(X, Y):
    from isthmus.arrays import unit_rows
    from isthmus.theory.infonce import info_nce

    loss, gx, gy = info_nce(X, Y, temperature=TEMPERATURE, gradient=True)
    return loss, unit_rows(X - 0.1 * gx), unit_rows(Y - 0.1 * gy)


def torch_step(X, Y):
    import torch
    from torch.nn.functional import cross_entropy, normalize

    X, Y = (torch.from_numpy(side).requires_grad_() for side in (X, Y))
    logits = X @ Y.T / TEMPERATURE
    target = torch.arange(len(X))
    loss = cross_entropy(logits, target) + cross_entropy(logits.T, target)
    loss.backward()
    with torch.no_grad():
        return float(loss), normalize(X - 0.1 * X.grad), normalize(Y - 0.1 * Y.grad)


def one(contender: str, n: int, dim: int, dtype: str, threads: int, repeats: int) -> None:
    import time

    X, Y = data(n, dim, dtype)
    step = {"isthmus": isthmus_step, "torch": torch_step}[contender]
    if contender == "torch":
        import torch

        torch.set_num_threads(threads)
    step(X[:8], Y[:8])
    before = peak()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        loss = step(X, Y)[0]
        times.append(time.perf_counter() - began)
    print(json.dumps({"seconds": min(times), "memory": peak() - before, "loss": loss}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=2048)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--one", nargs=2, metavar=("CONTENDER", "DTYPE"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        one(given.one[0], given.n, given.dim, given.one[1], given.threads, given.repeats)
        return
    threads = {name: str(given.threads) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
    sizes = ["--n", given.n, "--dim", given.dim, "--threads", given.threads, "--repeats", given.repeats]
    command = [sys.executable, __file__, *map(str, sizes)]
    print(f"n = {given.n}, d = {given.dim}, {given.threads} threads, one gradient step, least of 2 x {given.repeats}")
    print(f"{'dtype':8} {'contender':10} {'ms':>8} {'MB':>8} {'time ratio':>11} {'memory ratio':>13}  loss")
    for dtype in ("float32", "float64"):
        found = {"torch": [], "isthmus": []}
        for _ in range(2):
            for contender, results in found.items():
                out = subprocess.run(
                    [*command, "--one", contender, dtype],
                    env=os.environ | threads,
                    check=True,
                    capture_output=True,
                    text=True,
                )
                results.append(json.loads(out.stdout))
        best = {
            name: {key: min(r[key] for r in results) for key in ("seconds", "memory", "loss")}
            for name, results in found.items()
        }
        base = best["torch"]
        for name, row in best.items():
            print(
                f"{dtype:8} {name:10} {1e3 * row['seconds']:8.1f} {row['memory']:8.0f} "
                f"{row['seconds'] / base['seconds']:11.2f} "
                f"{row['memory'] / max(base['memory'], 1.0):13.2f}  {row['loss']:.6f}"
            )


if __name__ == "__main__":
    main()
