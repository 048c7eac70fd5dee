"""Train the small dual encoders of the demonstration embeddings: `python -m isthmus.studies.demo_training -o DIR`.

The module needs torch and scikit-learn (for the pictures). All computations are in float64, and all random numbers come
from seeded NumPy generators. Another order of summation (more threads, another processor) therefore changes the vectors
by far less than the precision of the stored files.
"""

from __future__ import annotations

import argparse
import itertools
import lzma
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from isthmus.data.demo import store
from isthmus.data.demo.captions import compose_captions
from isthmus.train import InfoNCE
from isthmus.utils.files import atomic_path

N_TRAIN = 1200
FEATURES = 64  # pixels of a picture, and dimensions of the joint space
BUCKETS = 128  # buckets of the hashed 3-grams and 4-grams of a caption
HIDDEN = 256
EPOCHS = 60
BATCH = 256
LEARNING_RATE = 1e-3  # falls to 0 on half a cosine, so that the means converge
MIN_TEMPERATURE = 0.01  # the limit of CLIP


#: Options of the compression, for numbers of two and four bytes. The smallest file is written.
_FILTERS = [
    [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "lc": lc, "lp": lp, "pb": pb}]
    for lc, lp, pb in ((0, 3, 0), (0, 0, 1), (0, 0, 2), (0, 4, 1), (0, 0, 3), (2, 2, 2))
]


@dataclass(frozen=True)
class Recipe:
    """Describe how one encoder is trained.

    `n_shared` is the dimension of the subspace of both modalities, beside a fixed axis of each. The axes are `angle`
    degrees apart. None imposes no subspace. Numbers of a row are rounded to float16, or to multiples of `step`.
    """

    name: str
    temperature: float
    learn_temperature: bool = False
    n_shared: int | None = None
    radius: float = 1.0
    angle: float = 0.0
    seed: int = 0
    step: float = 0.0


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe("plain", temperature=0.01),
        Recipe("warm", temperature=0.2, step=2**-11),
        Recipe("collapsed", temperature=0.07, learn_temperature=True, n_shared=16, radius=0.7, angle=60.0),
    )
}


@dataclass(frozen=True, eq=False)
class Digits:
    """Pairs of digits: `pixels` (n, 8, 8) in [0, 1], `labels` (n,), `captions`, and the mask `train` (n,)."""

    pixels: np.ndarray
    labels: np.ndarray
    captions: list[str]
    train: np.ndarray


def load_digits(*, seed: int = 0) -> Digits:
    """Load the 1,797 digits of scikit-learn with captions. `seed` determines the 1,200 training pairs."""
    from sklearn import datasets

    digits = datasets.load_digits()
    pixels = digits.images / 16.0
    train = np.zeros(len(pixels), dtype=bool)
    train[random_order(np.random.default_rng([seed, 0]), len(pixels))[:N_TRAIN]] = True
    return Digits(pixels, digits.target, compose_captions(pixels, digits.target, seed=seed), train)


def hash_captions(captions: Sequence[str], /) -> np.ndarray:
    """Return counts of the 3-grams and 4-grams of each caption in hashed buckets, as unit rows (n, BUCKETS)."""
    counts = np.zeros((len(captions), BUCKETS))
    for row, caption in zip(counts, captions, strict=True):
        padded_caption = f" {caption.lower()} "
        for size in (3, 4):
            for start in range(len(padded_caption) - size + 1):
                row[zlib.crc32(padded_caption[start : start + size].encode()) % BUCKETS] += 1
    return counts / np.linalg.norm(counts, axis=1, keepdims=True)


def train_run(recipe: Recipe, digits: Digits) -> dict[str, np.ndarray]:
    """Train one dual encoder and encode all pairs with it.

    Return float64 arrays: `image` and `text` (n, 64) with unit rows, and the final `temperature` (1,). For a recipe
    with a shared subspace, the rows are given by the unit rows `image_part` and `text_part` (n, n_shared), `axes`
    (2, 64), `basis` (n_shared, 64) and `radius` (1,).
    """
    pictures = torch.from_numpy(digits.pixels.reshape(len(digits.pixels), -1))
    captions = torch.from_numpy(hash_captions(digits.captions))
    # Separate streams, so that a change of one does not shift the others.
    width = recipe.n_shared or FEATURES
    encode_image = perceptron(np.random.default_rng([recipe.seed, 2]), pictures.shape[1], width)
    encode_text = perceptron(np.random.default_rng([recipe.seed, 3]), BUCKETS, width)
    order = np.random.default_rng([recipe.seed, 4])
    log_scale = nn.Parameter(torch.tensor(-np.log(recipe.temperature), dtype=torch.float64))
    log_scale.requires_grad_(recipe.learn_temperature)

    info_nce = InfoNCE()
    info_nce.is_checked = True  # the encoders start from narrow cones on purpose
    parameters = [*encode_image.parameters(), *encode_text.parameters()]
    groups = [{"params": parameters}, {"params": [log_scale], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=LEARNING_RATE)
    rows = np.flatnonzero(digits.train)
    for epoch in range(EPOCHS):
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * (1 + np.cos(np.pi * epoch / EPOCHS)) / 2
        epoch_rows = rows[random_order(order, len(rows))]
        for start in range(0, len(epoch_rows), BATCH):
            batch = torch.from_numpy(epoch_rows[start : start + BATCH])
            x = nn.functional.normalize(encode_image(pictures[batch]))
            y = nn.functional.normalize(encode_text(captions[batch]))
            # A fixed axis of each modality adds one constant to all logits, which does not change the loss.
            loss = info_nce(x, y, recipe.radius**2 * log_scale.exp())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            with torch.no_grad():
                log_scale.clamp_(max=-np.log(MIN_TEMPERATURE))

    with torch.no_grad():
        x = nn.functional.normalize(encode_image(pictures)).numpy()
        y = nn.functional.normalize(encode_text(captions)).numpy()
        temperature = np.array([(-log_scale).exp().item()])
    if recipe.n_shared is None:
        return {"image": x, "text": y, "temperature": temperature}
    axes, basis = subspace_frame(np.random.default_rng([recipe.seed, 5]), recipe.n_shared, recipe.angle)
    return {
        "image_part": x, "text_part": y, "axes": axes, "basis": basis,
        "radius": np.array([recipe.radius]), "temperature": temperature,
    }  # fmt: skip


def quantize(tensors: dict[str, np.ndarray], step: float = 0.0) -> dict[str, np.ndarray]:
    """Return `tensors` in the precision of the files: rows and coordinates as float16, or as int16 multiples of `step`.

    >>> quantize({"image": np.array([0.25, -0.1])}, step=2**-3)["image"].tolist()
    [2, -1]
    """
    rounded = dict(tensors)
    for key in {"image", "text", "image_part", "text_part"} & set(tensors):
        rounded[key] = np.round(tensors[key] / step).astype(np.int16) if step else tensors[key].astype(np.float16)
    return rounded


def perceptron(
    rng: np.random.Generator, inputs: int, outputs: int, *, dtype: torch.dtype = torch.float64
) -> nn.Sequential:
    """Return a network inputs - HIDDEN - HIDDEN - outputs with GELU and uniform weights within 1/sqrt(fan in)."""
    sizes = (inputs, HIDDEN, HIDDEN, outputs)
    layers: list[nn.Module] = []
    for n_inputs, n_outputs in itertools.pairwise(sizes):
        # Created without values, which torch would draw from its global generator.
        layer = nn.Linear(n_inputs, n_outputs, dtype=dtype, device="meta").to_empty(device="cpu")
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy((2 * rng.random((n_outputs, n_inputs)) - 1) / np.sqrt(n_inputs)))
            layer.bias.copy_(torch.from_numpy((2 * rng.random(n_outputs) - 1) / np.sqrt(n_inputs)))
        layers += [layer, nn.GELU()]
    return nn.Sequential(*layers[:-1])


def subspace_frame(rng: np.random.Generator, n_shared: int, angle: float) -> tuple[np.ndarray, np.ndarray]:
    """Return unit axes (2, FEATURES) `angle` degrees apart, and an orthonormal basis (n_shared, FEATURES)."""
    q, r = np.linalg.qr(rng.random((FEATURES, n_shared + 2)) - 0.5)
    q = (q * np.sign(np.diag(r))).T  # fix the signs, which depend on the library
    radians = np.deg2rad(angle)
    axes = np.stack([q[0], np.cos(radians) * q[0] + np.sin(radians) * q[1]])
    return axes, q[2:]


def random_order(rng: np.random.Generator, n: int) -> np.ndarray:
    """Return a random order of n. Uniform numbers are more stable across NumPy versions than `permutation`."""
    return np.argsort(rng.random(n), kind="stable")


def write(path: Path, tensors: dict[str, np.ndarray]) -> None:
    """Write `tensors` to `path` atomically."""
    from safetensors.numpy import save

    plain = {name: np.ascontiguousarray(values) for name, values in tensors.items()}
    in_bytes = dict(_in_bytes(name, values) for name, values in plain.items())
    by_column = dict(in_bytes)
    if first := next((name for name in in_bytes if name not in plain), ""):  # others repeat rows, and need them whole
        by_column[f"{first}{store.COLUMNS}"] = np.ascontiguousarray(by_column.pop(first).transpose(0, 2, 1))
    contents = save(plain), save(in_bytes), save(by_column)
    with atomic_path(path) as temporary:
        compressed = (
            lzma.compress(content, check=lzma.CHECK_CRC32, filters=filters)
            for content in contents
            for filters in _FILTERS
        )
        temporary.write_bytes(min(compressed, key=len))


def _in_bytes(name: str, values: np.ndarray) -> tuple[str, np.ndarray]:
    """Return the name and the array of the bytes of numbers of two bytes, and other tensors as they are."""
    ending = f"_{values.dtype}"
    if ending not in store.BYTES:
        return name, values
    in_bytes = values.astype(store.BYTES[ending]).view(np.uint8).reshape(*values.shape, 2)
    return f"{name}{ending}", np.ascontiguousarray(np.moveaxis(in_bytes, -1, 0))


def write_items(directory: Path, labels: np.ndarray, captions: list[str], train: np.ndarray) -> None:
    """Write what all runs share."""
    encoded = [caption.encode() for caption in captions]
    tensors: dict[str, np.ndarray] = {
        "labels": labels.astype(np.uint8),
        "captions": np.frombuffer(b"".join(encoded), dtype=np.uint8),
        "offsets": np.cumsum([0, *map(len, encoded)]).astype(np.int32),
        "train": train.astype(np.uint8),
    }
    write(directory / f"{store.ITEMS}{store.SUFFIX}", tensors)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train the runs and write them to a directory."""
    parser = argparse.ArgumentParser(prog="python -m isthmus.studies.demo_training", description=main.__doc__)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR")
    parser.add_argument("--runs", nargs="+", choices=list(RECIPES), default=list(RECIPES))
    options = parser.parse_args(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    digits = load_digits()
    write_items(options.output, digits.labels, digits.captions, digits.train)
    for name in options.runs:
        recipe = RECIPES[name]
        tensors = quantize(train_run(recipe, digits), recipe.step)
        path = options.output / f"{name}{store.SUFFIX}"
        write(path, tensors)
        print(f"{path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
