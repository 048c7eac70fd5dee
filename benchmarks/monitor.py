"""Claim: monitoring costs less than 2 % of the training time.

The step is a forward and a backward pass of a small image and text transformer (6 layers of width 256 each, 64 patches,
32 tokens) with InfoNCE and AdamW; the embedding is 512 wide. What the monitor adds is timed beside it in turns: the
sums of a batch, which 16 of 200 steps take, and the reading, which one of 200 takes.

    python benchmarks/monitor.py [--pairs 64] [--width 512]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch
from _table import Row, fastest, show, threads
from torch import nn

from isthmus.train import GapMonitor, GapSnapshot, InfoNCE, batch_sums, moments_from_sums


def tower(tokens: int, inputs: int, width: int) -> nn.Module:
    """A transformer over `tokens` vectors, its mean projected to `width`."""
    layer = nn.TransformerEncoderLayer(256, 4, 1024, batch_first=True, dropout=0.0)
    layers = nn.TransformerEncoder(layer, 6, enable_nested_tensor=False)

    class Tower(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.into, self.layers, self.out = nn.Linear(inputs, 256), layers, nn.Linear(256, width)

        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            return nn.functional.normalize(self.out(self.layers(self.into(rows)).mean(1)))

    return Tower()


def training_step(pairs: int, width: int) -> Callable[[], None]:
    """One step of a dual encoder on a batch that stays the same."""
    torch.manual_seed(0)
    image, text, loss = tower(64, 192, width), tower(32, 64, width), InfoNCE()
    pictures, captions = torch.randn(pairs, 64, 192), torch.randn(pairs, 32, 64)
    optimizer = torch.optim.AdamW([*image.parameters(), *text.parameters()], lr=1e-4)

    def work() -> None:
        loss(image(pictures), text(captions), 20.0).backward()
        optimizer.step()
        optimizer.zero_grad()

    return work


def rows(pairs: int = 64, width: int = 512) -> list[Row]:
    """The monitor's share of a step at its defaults, and of a step that reads ten times as often."""
    torch.set_num_threads(threads())
    generator = torch.Generator().manual_seed(0)
    x = nn.functional.normalize(torch.randn(pairs, width, generator=generator) + 1)
    window = sum(batch_sums(*torch.randn(2, 256, width, generator=generator) + 1) for _ in range(16))
    works = {
        "step": training_step(pairs, width),
        "sums": lambda: batch_sums(x, x),
        "reading": lambda: GapSnapshot.of(moments_from_sums(window)),
    }
    seconds = fastest(works, repeats=3)
    default = GapMonitor()
    found = []
    for every, window_size in ((default.every, default.window), (20, default.window)):
        added = (window_size * seconds["sums"] + seconds["reading"]) / every
        found.append(
            Row(
                f"share of a step, a snapshot of width {width} every {every} steps",
                f"{1000 * added:.1f} ms ({1000 * seconds['reading']:.0f} ms a snapshot, "
                f"{1000 * seconds['sums']:.1f} ms a batch)",
                f"a step of {pairs} pairs, {1000 * seconds['step']:.0f} ms",
                added / seconds["step"],
                most=0.02 if every == default.every else None,
            )
        )
    share = seconds["sums"] * default.window / default.every / seconds["step"]
    found.append(
        Row(
            "the same with snapshots in the background, so that a step waits only for the sums",
            f"{1e6 * seconds['sums'] * default.window / default.every:.0f} µs",
            f"a step of {pairs} pairs, {1000 * seconds['step']:.0f} ms",
            share,
            most=0.02,
        )
    )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=64)
    parser.add_argument("--width", type=int, default=512)
    options = parser.parse_args()
    show(rows(options.pairs, options.width))


if __name__ == "__main__":
    main()
