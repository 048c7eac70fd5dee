"""Names of the files in a folder of shards: whether they are those of one modality."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Sequence

from isthmus.data.sources._locations import Location
from isthmus.data.sources._members import listed
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
            "folder of one modality, for each side"
        )


def warn_of_kinds_of_names(location: Location, names: Sequence[str]) -> None:
    """Warn of shards with a few kinds of names, such as ``train_0.npy`` and ``test_0.npy``."""
    kinds = Counter("_".join(_words(name)) for name in names)
    if 1 < len(kinds) <= MAX_KINDS and len(names) > len(kinds):
        counted = listed([f"{kind or 'numbers'}: {count:,}" for kind, count in kinds.items()])
        warnings.warn(
            f"{location}: files of {len(kinds)} kinds of names ({counted}) are read as one modality, in the order of "
            "their names; move away what does not belong to it",
            IsthmusWarning,
            stacklevel=2,
        )


def _words(name: str) -> list[str]:
    """Return the words of a file name without the numbers at their ends. Other words with digits are identifiers."""
    words = re.split(r"[^0-9a-z]+", name.lower().partition(".")[0])
    return [letters for word in words if (letters := word.rstrip("0123456789")).isalpha()]
