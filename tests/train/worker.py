"""Two processes of a training run: python worker.py FOLDER, the losses as expressions on standard input.

Each process trains a small pair of encoders for three steps with each loss on its share of the pairs, and writes what
it saw to FOLDER/RANK.npz. A monitor sees its share of the rows in FOLDER/rows.pt, and its snapshots are in
FOLDER/RANK.json. Run by test_processes.py.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import nn

from isthmus import train

STEPS, PAIRS = 3, 24


class Encoders(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.image, self.text = nn.Linear(7, 16, bias=False), nn.Linear(6, 16, bias=False)
        with torch.no_grad():  # the sides share three of 16 dimensions
            self.text.weight[:, :3] = self.image.weight[:, :3]
        self.logit_scale = nn.Parameter(torch.tensor(5.0))
        self.logit_bias = nn.Parameter(torch.tensor(-2.0))

    def forward(self, images: Any, texts: Any) -> dict[str, Any]:
        return {
            "image_features": nn.functional.normalize(self.image(images)),
            "text_features": nn.functional.normalize(self.text(texts)),
            "logit_scale": self.logit_scale * 1.0,
            "logit_bias": self.logit_bias,
        }


def run(case: str, rank: int, processes: int, own: bool) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(5)
    shared = rng.normal(size=(STEPS, PAIRS, 3))
    pictures = torch.tensor(np.concatenate([shared, rng.normal(size=(STEPS, PAIRS, 4)) + 1], axis=2))
    captions = torch.tensor(np.concatenate([shared, rng.normal(size=(STEPS, PAIRS, 3)) - 1], axis=2))
    meanings = nn.functional.normalize(torch.tensor(rng.normal(size=(STEPS, PAIRS, 4))), dim=2)
    torch.manual_seed(0)
    model = Encoders().double()
    parameters = dict(model.named_parameters())
    if processes > 1:
        model = nn.parallel.DistributedDataParallel(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loss = eval(case, {}, {name: getattr(train, name) for name in train.__all__})
    loss.gather = not own
    mine = slice(rank * PAIRS // processes, (rank + 1) * PAIRS // processes)
    seen = {}
    for step in range(STEPS):
        optimizer.zero_grad()
        more = {"semantic_features": meanings[step, mine]} if "Separation" in case else {}
        value = loss(**model(pictures[step, mine], captions[step, mine]), **more)
        value.backward()
        seen[f"{step} loss"] = value.detach().numpy()
        for name, parameter in parameters.items():
            seen[f"{step} gradient of {name}"] = parameter.grad.numpy().copy()
        optimizer.step()
    for name, buffer in loss.named_buffers():
        seen[f"buffer {name}"] = buffer.numpy()
    return seen


def watch(batches: list[Any], rank: int, processes: int) -> list[dict[str, float]]:
    """Return the snapshots of a monitor that sees its share of each batch."""
    monitor = train.GapMonitor(every=3, window=2)
    for x, y in batches:
        mine = slice(rank * len(x) // processes, (rank + 1) * len(x) // processes)
        monitor(x[mine], y[mine])
    return [snapshot.to_dict() for snapshot in monitor.snapshots]


def main() -> None:
    folder, cases, processes = Path(sys.argv[1]), sys.stdin.read().splitlines(), 2
    torch.set_num_threads(1)
    torch.optim.SGD([nn.Parameter(torch.zeros(1))])  # loads most of the libraries, once for both processes
    child = os.fork()  # before a gradient, whose threads do not survive in the child
    rank = int(child == 0)
    dist.init_process_group("gloo", f"file://{folder}/rendezvous", rank=rank, world_size=processes)
    out = {}
    for case in cases:
        out.update({f"{case}|{name}": value for name, value in run(case, rank, processes, own=False).items()})
    out["own|loss"] = run("InfoNCE()", rank, processes, own=True)["0 loss"]
    np.savez(folder / f"{rank}.npz", **out)
    batches = torch.load(folder / "rows.pt", weights_only=True)
    (folder / f"{rank}.json").write_text(json.dumps(watch(batches, rank, processes)))
    dist.destroy_process_group()
    if child:
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


if __name__ == "__main__":
    main()
