"""Train the small dual encoders whose embeddings are shipped: `python -m isthmus.studies.demo_training -o DIR`.

Needs torch and scikit-learn (for the pictures). Everything is float64 and every random number comes from a
seeded NumPy generator, so that another order of the sums (more threads, another processor) changes the
vectors by far less than the precision they are stored in.
"""

from __future__ import annotations

import argparse
import itertools
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from isthmus.data.demo import store
from isthmus.data.demo.captions import compose_captions
from isthmus.train import InfoNCE  # losses stand alone; the experiment of that room is built on this one

TRAINED_ON = 1200
FEATURES = 64  # pixels of a picture, and the width of the joint space
BUCKETS = 128  # hashed 3-grams and 4-grams of a caption
HIDDEN = 256
EPOCHS = 60
BATCH = 256
LEARNING_RATE = 1e-3  # falls to 0 along a half cosine, so that the means settle
SMALLEST_TEMPERATURE = 0.01  # CLIP's limit


@dataclass(frozen=True)
class Recipe:
    """How one run is trained. `shared` is the dimension of the subspace that both modalities are confined to
    (beside one fixed axis each, `angle` degrees apart); None leaves them free."""

    name: str
    temperature: float
    learn_temperature: bool = False
    shared: int | None = None
    radius: float = 1.0
    angle: float = 0.0
    seed: int = 0


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe("plain", temperature=0.01),
        Recipe("warm", temperature=0.2),
        Recipe("collapsed", temperature=0.07, learn_temperature=True, shared=16, radius=0.7, angle=60.0),
    )
}


@dataclass(frozen=True, eq=False)
class Digits:
    """The pairs: `pixels` (n, 8, 8) in [0, 1], `labels` (n,), `captions`, and the mask `train` (n,)."""

    pixels: np.ndarray
    labels: np.ndarray
    captions: list[str]
    train: np.ndarray


def load_digits(*, seed: int = 0) -> Digits:
    """scikit-learn's 1,797 digits with their captions; `seed` draws the 1,200 that are trained on."""
    from sklearn import datasets

    digits = datasets.load_digits()
    pixels = digits.images / 16.0
    train = np.zeros(len(pixels), dtype=bool)
    train[random_order(np.random.default_rng([seed, 0]), len(pixels))[:TRAINED_ON]] = True
    return Digits(pixels, digits.target, compose_captions(pixels, digits.target, seed=seed), train)


def hash_captions(captions: Sequence[str], /) -> np.ndarray:
    """Counts of the 3-grams and 4-grams of each caption in hashed buckets, as unit rows (n, BUCKETS)."""
    counts = np.zeros((len(captions), BUCKETS))
    for row, caption in zip(counts, captions, strict=True):
        text = f" {caption.lower()} "
        for size in (3, 4):
            for start in range(len(text) - size + 1):
                row[zlib.crc32(text[start : start + size].encode()) % BUCKETS] += 1
    return counts / np.linalg.norm(counts, axis=1, keepdims=True)


def train_run(recipe: Recipe, digits: Digits) -> dict[str, np.ndarray]:
    """Train one dual encoder and encode all pairs with it.

    Returns float64 tensors: `image` and `text` (n, 64) with unit rows; or, for a recipe with a shared
    subspace, the unit rows `image_part` and `text_part` (n, shared), `axes` (2, 64), `basis` (shared, 64) and
    `radius` (1,); always `temperature` (1,), the last one.
    """
    pictures = torch.from_numpy(digits.pixels.reshape(len(digits.pixels), -1))
    captions = torch.from_numpy(hash_captions(digits.captions))
    # Separate streams, so that a change in one place does not shift the others.
    width = recipe.shared or FEATURES
    encode_image = perceptron(np.random.default_rng([recipe.seed, 2]), pictures.shape[1], width)
    encode_text = perceptron(np.random.default_rng([recipe.seed, 3]), BUCKETS, width)
    order = np.random.default_rng([recipe.seed, 4])
    log_scale = nn.Parameter(torch.tensor(-np.log(recipe.temperature), dtype=torch.float64))
    log_scale.requires_grad_(recipe.learn_temperature)

    info_nce = InfoNCE()
    parameters = [*encode_image.parameters(), *encode_text.parameters()]
    groups = [{"params": parameters}, {"params": [log_scale], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=LEARNING_RATE)
    rows = np.flatnonzero(digits.train)
    for epoch in range(EPOCHS):
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * (1 + np.cos(np.pi * epoch / EPOCHS)) / 2
        shuffled = rows[random_order(order, len(rows))]
        for start in range(0, len(shuffled), BATCH):
            batch = torch.from_numpy(shuffled[start : start + BATCH])
            x = nn.functional.normalize(encode_image(pictures[batch]))
            y = nn.functional.normalize(encode_text(captions[batch]))
            # A fixed axis on each side adds one constant to all logits, which the loss does not see.
            loss = info_nce(x, y, recipe.radius**2 * log_scale.exp())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            with torch.no_grad():
                log_scale.clamp_(max=-np.log(SMALLEST_TEMPERATURE))

    with torch.no_grad():
        x = nn.functional.normalize(encode_image(pictures)).numpy()
        y = nn.functional.normalize(encode_text(captions)).numpy()
        temperature = np.array([(-log_scale).exp().item()])
    if recipe.shared is None:
        return {"image": x, "text": y, "temperature": temperature}
    axes, basis = frame(np.random.default_rng([recipe.seed, 5]), recipe.shared, recipe.angle)
    return {
        "image_part": x, "text_part": y, "axes": axes, "basis": basis,
        "radius": np.array([recipe.radius]), "temperature": temperature,
    }  # fmt: skip


def stored(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """`tensors` in the precision that is written: rows as float16, parts in the shared space as float32."""
    kinds = {"image": np.float16, "text": np.float16, "image_part": np.float32, "text_part": np.float32}
    return {key: value.astype(kinds.get(key, value.dtype)) for key, value in tensors.items()}


def perceptron(
    rng: np.random.Generator, inputs: int, outputs: int, *, dtype: torch.dtype = torch.float64
) -> nn.Sequential:
    """inputs - HIDDEN - HIDDEN - outputs with GELU; weights and biases uniform within 1/sqrt(fan in)."""
    sizes = (inputs, HIDDEN, HIDDEN, outputs)
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise(sizes):
        # Made without values: torch would draw them from its global generator.
        layer = nn.Linear(before, after, dtype=dtype, device="meta").to_empty(device="cpu")
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy((2 * rng.random((after, before)) - 1) / np.sqrt(before)))
            layer.bias.copy_(torch.from_numpy((2 * rng.random(after) - 1) / np.sqrt(before)))
        layers += [layer, nn.GELU()]
    return nn.Sequential(*layers[:-1])


def frame(rng: np.random.Generator, shared: int, angle: float) -> tuple[np.ndarray, np.ndarray]:
    """Unit axes (2, FEATURES) `angle` degrees apart; an orthonormal basis (shared, FEATURES) beside them."""
    q, r = np.linalg.qr(rng.random((FEATURES, shared + 2)) - 0.5)
    q = (q * np.sign(np.diag(r))).T  # the decomposition's signs are the library's choice
    turn = np.deg2rad(angle)
    axes = np.stack([q[0], np.cos(turn) * q[0] + np.sin(turn) * q[1]])
    return axes, q[2:]


def random_order(rng: np.random.Generator, n: int) -> np.ndarray:
    """A random order of n. From uniforms, whose stream is fixed more firmly than that of `permutation`."""
    return np.argsort(rng.random(n), kind="stable")


def main(arguments: Sequence[str] | None = None) -> None:
    """Train the runs and write them to a directory."""
    parser = argparse.ArgumentParser(prog="python -m isthmus.studies.demo_training", description=main.__doc__)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR")
    parser.add_argument("--runs", nargs="+", choices=list(RECIPES), default=list(RECIPES))
    options = parser.parse_args(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    digits = load_digits()
    store.write_items(options.output, digits.labels, digits.captions, digits.train)
    for name in options.runs:
        recipe = RECIPES[name]
        tensors = stored(train_run(recipe, digits))
        path = options.output / f"{name}.safetensors"
        store.write(path, tensors)
        print(f"{path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
