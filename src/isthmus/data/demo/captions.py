"""Captions of handwritten digits, which say what the digit is and how it was written.

Four attributes are measured on each picture: amount of ink, slant, width and position. Each is cut into levels at the
quantiles of the collection, and each level has a phrase. A template drawn by a seeded generator puts the phrases into a
sentence. The word "heavy" therefore means heavier than most of these digits, not heavy by an absolute measure.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from isthmus.utils.errors import unknown_name

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
INK = ("very light", "light", "medium", "heavy", "very heavy")
SLANT = (
    "leaning far to the left",
    "leaning slightly to the left",
    "standing nearly upright",
    "leaning slightly to the right",
    "leaning far to the right",
)
WIDTH = ("narrow", "rather narrow", "rather wide", "wide")
#: POSITION[vertical level][horizontal level]
POSITION = (
    ("above and to the left of the centre", "above the centre", "above and to the right of the centre"),
    ("to the left of the centre", "in the centre", "to the right of the centre"),
    ("below and to the left of the centre", "below the centre", "below and to the right of the centre"),
)
#: Phrase for each attribute that is left out.
NEUTRAL = {"ink": "plain", "slant": "standing somehow", "width": "sized", "position": "somewhere"}

TEMPLATES = (
    "{a_width} {name} in {ink} strokes, {slant}, placed {position}.",
    "{a_ink} handwritten {name}, {slant}; it is {width} and sits {position}.",
    "The digit {name}, {slant}: {width}, drawn with {a_ink_} line {position}.",
    "Somebody wrote {a_name_} with {a_ink_} pen, {slant}. It is {width} and lies {position}.",
    "{a_name} placed {position}, {width} and {slant}, its strokes {ink}.",
    "Here is {a_width_} {name}, {slant}, {position}, with {a_ink_} stroke.",
    "{slant_first}, {a_width_} {name} with {ink} strokes sits {position}.",
    "A picture of the number {name}, {width}, {slant}, in {ink} ink, {position}.",
)


@dataclass(frozen=True, eq=False)
class Strokes:
    """Measurements on n pictures of s x s pixels. Every field is an array (n,).

    `ink` is the mean brightness in [0, 1]. `slant` is the shear of the ink, columns moved to the right per
    row upwards. A positive slant leans to the right. `width` is the standard deviation of the ink's column in pixels.
    `right` and `down` are the distances of the ink's centre from the picture's middle, in pixels.
    """

    ink: np.ndarray
    slant: np.ndarray
    width: np.ndarray
    right: np.ndarray
    down: np.ndarray


def measure_strokes(pixels: np.ndarray, /) -> Strokes:
    """Measure the strokes on pictures `pixels` (n, s, s) with values from 0 (paper) to 1 (ink).

    >>> import numpy as np
    >>> stroke = np.zeros((1, 4, 4)); stroke[0, [0, 1, 2, 3], [3, 2, 1, 0]] = 1  # a slash
    >>> float(measure_strokes(stroke).slant[0])
    1.0
    """
    pixels = np.asarray(pixels, dtype=np.float64)
    size = pixels.shape[1]
    row, column = np.mgrid[:size, :size] - (size - 1) / 2
    total = pixels.sum((1, 2))
    right = (pixels * column).sum((1, 2)) / total
    down = (pixels * row).sum((1, 2)) / total
    across = column - right[:, None, None]
    along = row - down[:, None, None]
    variance_across = (pixels * across**2).sum((1, 2)) / total
    variance_along = (pixels * along**2).sum((1, 2)) / total
    slant = -(pixels * across * along).sum((1, 2)) / total / variance_along
    return Strokes(ink=total / size**2, slant=slant, width=np.sqrt(variance_across), right=right, down=down)


def levels(values: np.ndarray, count: int, /) -> np.ndarray:
    """Return the level 0 .. `count` - 1 of each of the `values` (n,), cut at their own quantiles.

    >>> import numpy as np
    >>> levels(np.array([5.0, 1.0, 3.0, 2.0]), 2).tolist()
    [1, 0, 1, 0]
    """
    # Values are rounded first, so that the last bit cannot move a value that lies on a cut.
    values = np.round(values, 9)
    cuts = np.quantile(values, np.arange(1, count) / count, method="lower")
    return np.searchsorted(cuts, values, side="left")


def _with_article(phrase: str) -> str:
    # "one" begins with a consonant to the ear, and no other word here begins with an o.
    return ("an " if phrase[0] in "aeiu" else "a ") + phrase


def sentence(template: int, name: str, ink: str, slant: str, width: str, position: str) -> str:
    """Return one caption in English.

    >>> sentence(3, "eight", "heavy", "standing nearly upright", "wide", "in the centre")
    'Somebody wrote an eight with a heavy pen, standing nearly upright. It is wide and lies in the centre.'
    """
    phrases = {"name": name, "ink": ink, "slant": slant, "width": width, "position": position}
    for key in ("name", "ink", "width"):
        article = _with_article(phrases[key])
        phrases[f"a_{key}_"] = article
        phrases[f"a_{key}"] = article[0].upper() + article[1:]
    phrases["slant_first"] = slant[0].upper() + slant[1:]
    return TEMPLATES[template].format(**phrases)


def compose_captions(
    pixels: np.ndarray, labels: np.ndarray, /, *, seed: int = 0, dropped: Collection[str] = ()
) -> list[str]:
    """Return a caption for each picture in `pixels` (n, s, s) in [0, 1] with the digits `labels` (n,).

    Attributes in `dropped` get the phrases of `NEUTRAL`, which are the same for every picture. The same pictures and
    `seed` give the same captions on every machine. An unknown attribute raises InputError.
    """
    for attribute in dropped:
        if attribute not in NEUTRAL:
            raise unknown_name("attribute", attribute, NEUTRAL)
    strokes = measure_strokes(pixels)
    ink_levels = levels(strokes.ink, len(INK))
    slant_levels = levels(strokes.slant, len(SLANT))
    width_levels = levels(strokes.width, len(WIDTH))
    right_levels = levels(strokes.right, 3)
    down_levels = levels(strokes.down, 3)
    template = (np.random.default_rng([seed, 1]).random(len(labels)) * len(TEMPLATES)).astype(int)
    sentences = []
    for i in range(len(labels)):
        phrases = {
            "ink": INK[ink_levels[i]],
            "slant": SLANT[slant_levels[i]],
            "width": WIDTH[width_levels[i]],
            "position": POSITION[down_levels[i]][right_levels[i]],
        } | {attribute: NEUTRAL[attribute] for attribute in dropped}
        sentences.append(sentence(template[i], NAMES[int(labels[i])], **phrases))
    return sentences
