"""Claim: InfoNCE costs less than open_clip's ClipLoss, Sigmoid as much as its SigLipLoss, and tiles need far less
memory.

Each work is a forward and a backward pass on the same random unit rows in float32, on one thread, in turns in one run;
times are the processor's, which a busy machine changes little. What the other losses cost is shown beside open_clip's
ClipLoss and asked nothing. Memory is the most anonymous memory beyond
the rows, each contender in a process of its own.

    python benchmarks/training.py [--pairs 1024] [--width 512]
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from _table import Row, anonymous, child, missing, peak_anonymous, show
from torch import nn

from isthmus import train
from isthmus.compute.arrays import to_numpy
from isthmus.linalg.shared_directions import ESTIMATORS


def open_clip_losses() -> Any:
    """open_clip's file of losses, which needs torch alone; None when the package is not installed."""
    package = importlib.util.find_spec("open_clip")
    if package is None or package.origin is None:
        return None
    spec = importlib.util.spec_from_file_location("open_clip_loss", Path(package.origin).with_name("loss.py"))
    if spec is None or spec.loader is None:
        return None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def step(loss: nn.Module, pairs: int, width: int) -> Callable[[], None]:
    """A forward and a backward pass on rows that stay the same."""
    torch.manual_seed(0)
    image, text = (nn.functional.normalize(torch.randn(pairs, width)).requires_grad_() for _ in range(2))
    scale, bias = (torch.tensor(value, requires_grad=True) for value in (50.0, -10.0))

    def work() -> None:
        value = loss(image_features=image, text_features=text, logit_scale=scale, logit_bias=bias)
        value.backward()
        for tensor in (image, text, scale, bias):
            tensor.grad = None

    return work


def least(works: Mapping[str, Callable[[], Any]], repeats: int = 7) -> dict[str, float]:
    """The least seconds of the processor of each work; they are run in turns."""
    best = dict.fromkeys(works, math.inf)
    for _ in range(repeats):
        for name, work in works.items():
            begin = time.process_time()
            work()
            best[name] = min(best[name], time.process_time() - begin)
    return best


def peak(name: str, block: int, pairs: int, width: int) -> float:
    """MB that one step of the loss `name` adds to the memory of this process."""
    torch.set_num_threads(1)
    peer = open_clip_losses()
    loss = getattr(peer, name)() if name.endswith("Loss") else train.get(name)(block=block or None)
    work = step(loss, pairs, width)
    step(loss, 2 * (block or 4), 8)()  # what torch imports on the way does not count
    gc.collect()
    before = anonymous()
    return peak_anonymous(work) - before


def rows(pairs: int = 1024, width: int = 512) -> list[Row]:
    """Time and memory of the losses against open_clip's."""
    torch.set_num_threads(1)
    peer = open_clip_losses()
    if peer is None:
        return [missing("cost of the losses", "open_clip's ClipLoss")]
    works = {name: step(train.registry()[name].build(), pairs, width) for name in train.registry()}
    # Its estimate, one in many steps, is timed apart.
    shared = train.SharedSpaceAlignment(every=10**9)
    works["SharedSpaceAlignment"] = step(shared, pairs, width)
    works |= {name: step(getattr(peer, name)(), pairs, width) for name in ("ClipLoss", "SigLipLoss")}
    milliseconds = {name: 1000 * seconds for name, seconds in least(works).items()}
    size = f"{pairs:,} pairs of width {width}"
    found = []
    for ours, theirs, needed in (("InfoNCE", "ClipLoss", 1.2), ("Sigmoid", "SigLipLoss", 0.9)):
        ratio = milliseconds[theirs] / milliseconds[ours]
        against = f"open_clip's {theirs}, {milliseconds[theirs]:.1f} ms"
        found.append(Row(f"a step of {ours}, {size}", f"{milliseconds[ours]:.1f} ms", against, ratio, least=needed))
    for name in train.registry():
        if name not in ("InfoNCE", "Sigmoid"):
            what = name if train.registry()[name].standalone else f"InfoNCE + {name}"
            against = f"open_clip's ClipLoss, {milliseconds['ClipLoss']:.1f} ms"
            ratio = milliseconds["ClipLoss"] / milliseconds[name]
            found.append(Row(f"a step of {what}, {size}", f"{milliseconds[name]:.1f} ms", against, ratio))
    return [*found, estimate(shared, milliseconds["ClipLoss"], size), *memory()]


def estimate(loss: train.SharedSpaceAlignment, clip: float, size: str) -> Row:
    """What the estimates of the shared space add to each step, at their default of one in 20."""
    cov_x, cov_y, cov_xy = (to_numpy(part) for part in loss.moments.covariances)
    work = {loss.estimator: lambda: ESTIMATORS[loss.estimator](cov_x, cov_y, cov_xy, loss.moments.rows, None)}
    added = 1000 * least(work)[loss.estimator] / train.SharedSpaceAlignment().every
    claim = f"the share of the estimate in a step of SharedSpaceAlignment, {size}"
    return Row(claim, f"{added:.1f} ms", f"open_clip's ClipLoss, {clip:.1f} ms", clip / added)


def memory(pairs: int = 8192, width: int = 256, block: int = 1024) -> list[Row]:
    """The memory of tiles against that of open_clip's losses."""
    found = []
    for ours, theirs in (("InfoNCE", "ClipLoss"), ("Sigmoid", "SigLipLoss")):
        used = {name: child("training", "peak", name, block, pairs, width) for name in (ours, theirs)}
        claim = f"memory of a step of {ours}(block={block}), {pairs:,} pairs of width {width}"
        against = f"open_clip's {theirs}, {used[theirs]:.0f} MB"
        found.append(Row(claim, f"{used[ours]:.0f} MB", against, used[theirs] / used[ours], least=4))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=1024)
    parser.add_argument("--width", type=int, default=512)
    options = parser.parse_args()
    show(rows(options.pairs, options.width))


if __name__ == "__main__":
    main()
