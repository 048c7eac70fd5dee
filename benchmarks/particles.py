"""Claim: one exact gradient step of InfoNCE on 2,048 pairs is as fast as automatic differentiation in PyTorch and
needs less memory.

n = 2048, d = 512, the same threads. Each contender runs in a process of its own; "memory" is the growth of the
peak resident size over the imports and the data. The two alternate, and the least time of all repeats
counts.

    python benchmarks/particles.py [--n 2048] [--dim 512] [--repeats 7]
"""

from __future__ import annotations

import argparse
from importlib.util import find_spec

from _table import Row, child, missing, show, threads

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
    from isthmus.compute.arrays import unit_rows
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


def one(contender: str, n: int, dim: int, dtype: str, count: int, repeats: int) -> dict[str, float]:
    """Least seconds, memory in MB and loss of one contender."""
    import time

    X, Y = data(n, dim, dtype)
    step = {"isthmus": isthmus_step, "torch": torch_step}[contender]
    if contender == "torch":
        import torch

        torch.set_num_threads(count)
    step(X[:8], Y[:8])
    before = peak()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        loss = step(X, Y)[0]
        times.append(time.perf_counter() - began)
    return {"seconds": min(times), "memory": peak() - before, "loss": float(loss)}


def rows(n: int = 2048, dim: int = 512, repeats: int = 7) -> list[Row]:
    """Time and memory against PyTorch in both precisions."""
    if find_spec("torch") is None:
        return [missing("one gradient step", "PyTorch")]
    table = []
    for dtype in ("float32", "float64"):
        found = {"torch": [], "isthmus": []}
        for _ in range(2):
            for contender, results in found.items():
                results.append(child("particles", "one", contender, n, dim, dtype, threads(), repeats))
        ours, theirs = (
            {key: min(r[key] for r in found[name]) for key in ("seconds", "memory", "loss")}
            for name in ("isthmus", "torch")
        )
        if abs(ours["loss"] - theirs["loss"]) > 1e-4 * abs(theirs["loss"]):
            raise RuntimeError(f"the losses differ: {ours['loss']} and {theirs['loss']}")
        for what, unit, scale in (("seconds", "ms", 1e3), ("memory", "MB", 1.0)):
            mine, other = scale * ours[what], scale * theirs[what]
            table.append(
                Row(
                    f"gradient step, {dtype}: {'time' if what == 'seconds' else what}",
                    f"{mine:.0f} {unit}",
                    f"PyTorch: {other:.0f} {unit}",
                    max(mine, 1.0) / max(other, 1.0),
                    most=1,
                )
            )
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=2048)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    show(rows(options.n, options.dim, options.repeats))


if __name__ == "__main__":
    main()
