"""Lets torchvision be imported beside a torch that its compiled part was not built for.

The wheels of torchvision hold a CUDA build, which does not load beside a CPU build of torch; the import then fails on
two operators (nms, qnms) that nothing here calls. Their schemas are declared just before that import, and only when the
compiled part really does not load. This folder is on PYTHONPATH while the tests run: the programs they start see it.
"""

from __future__ import annotations

import importlib.util
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any


class BeforeTorchvision(MetaPathFinder):
    """Steps in once, when torchvision is about to be imported."""

    done = False

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name == "torchvision" and not self.done:
            self.done = True
            declare()


def declare() -> None:
    spec = PathFinder.find_spec("torchvision")
    if spec is None or spec.origin is None or importlib.util.find_spec("torch") is None:
        return
    import torch

    try:
        torch.ops.load_library(str(Path(spec.origin).parent / "_C.so"))
    except OSError:
        for operator in ("nms", "qnms"):
            torch.library.define(f"torchvision::{operator}", "(Tensor dets, Tensor scores, float threshold) -> Tensor")


if not any(type(finder).__name__ == BeforeTorchvision.__name__ for finder in sys.meta_path):
    sys.meta_path.insert(0, BeforeTorchvision())
