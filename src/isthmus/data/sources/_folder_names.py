"""Names of the files in a folder of shards: whether they are those of one modality."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Sequence

from isthmus.data.sources._locations import Location
from isthmus.data.sources._members import listed
from isthmus.data.sources._source import Source
from isthmus.utils.errors import InputError, IsthmusWarning

#: Words of file names that name a modality.
_WORDS = {
    "image": ("image", "images", "img", "imgs", "photo", "photos", "picture", "pictures", "vision", "visual"),
    "text": ("text", "texts", "txt", "caption", "captions"),
    "audio": ("audio", "audios", "sound", "sounds", "speech"),
    "video": ("video", "videos"),
}
#: Most kinds of names, such as train and test, of which a folder of shards is warned.
MAX_KINDS = 5


def check_one_modality(location: Location, names: Sequence[str]) -> None:
    """Raise `InputError` if the shards of a folder are named after several modalities."""
    first: dict[str, str] = {}
    for name in names:
        words = _words(name)
        modalities = {modality for modality, known in _WORDS.items() if set(known) & set(words)}
        if len(modalities) == 1:
            first.setdefault(modalities.pop(), name)
    if len(first) > 1:
        raise InputError(
            f"{location}: holds files of {len(first)} modalities, {listed(list(first.values()))}; give a file, or a "
            "folder of one modality, for each of them"
        )


def warn_of_kinds_of_names(location: Location, names: Sequence[str], sizes: Sequence[int]) -> None:
    """Warn of shards with a few kinds of names, such as ``train_0.npy`` and ``test_0.npy``.

    Two files of as many rows each, such as ``query.npy`` and ``document.npy``, may be two modalities.
    """
    kinds = Counter("_".join(_words(name)) for name in names)
    if 1 < len(kinds) <= MAX_KINDS and (len(names) > len(kinds) or (len(sizes) == 2 and sizes[0] == sizes[1] > 1)):
        counted = listed([f"{kind or 'numbers'}: {count:,}" for kind, count in kinds.items()])
        warnings.warn(
            f"{location}: files of {len(kinds)} kinds of names ({counted}) are read as one modality, in the order of "
            "their names; move away what does not belong to it",
            IsthmusWarning,
            stacklevel=2,
        )


def warn_of_other_names(x: Source, y: Source) -> None:
    """Warn if the files of two folders are paired by position, and mostly have the same names in another order."""
    x_names, y_names = (list(getattr(source.rows, "names", ())) for source in (x, y))
    if len(x_names) != len(y_names) or len(x_names) < 2:
        return
    x_ids, y_ids = ([_identifier(name) for name in names] for names in (x_names, y_names))
    n_common = len(set(x_ids) & set(y_ids))
    if x_ids == y_ids or min(len(set(x_ids)), len(set(y_ids))) < len(x_ids) or 2 * n_common < len(x_ids):
        return
    first = next(number for number, (a, b) in enumerate(zip(x_ids, y_ids, strict=True)) if a != b)
    is_file_a_row = x.shape[0] == y.shape[0] == len(x_ids)
    advice = (
        "give --key __key__ (key='__key__') to pair them by name" if is_file_a_row else "check which file is missing"
    )
    warnings.warn(
        f"{x.address[-60:]} and {y.address[-60:]}: {x_names[first][-40:]} stands beside {y_names[first][-40:]}, so "
        f"that their rows may not match; {advice}",
        IsthmusWarning,
        stacklevel=4,
    )


def _identifier(name: str) -> int | str:
    """Return the last number in a file name, or the name without its suffix if it has none."""
    stem = name.lower().partition(".")[0]
    numbers = re.findall(r"[0-9]+", stem)
    return int(numbers[-1]) if numbers else stem


def _words(name: str) -> list[str]:
    """Return the words of a file name without the numbers at their ends. Other words with digits are identifiers."""
    words = re.split(r"[^0-9a-z]+", name.lower().partition(".")[0])
    return [letters for word in words if (letters := word.rstrip("0123456789")).isalpha()]
