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
    """Raise `InputError` if the shards of a folder are named after several modalities.

    Shards of a few kinds of names, such as ``train_0.npy`` and ``test_0.npy``, are read as one modality with a warning.
    """
    first: dict[str, str] = {}
    kinds: Counter[str] = Counter()
    for name in names:
        words = [word for word in re.split(r"[^0-9a-z]+", name.lower().partition(".")[0]) if word]
        # A word such as img2 ends in a number. Words of hexadecimal digits are identifiers.
        letters = [w for word in words if (w := word.rstrip("0123456789")).isalpha()]
        kinds["_".join(letters)] += 1
        modalities = {modality for modality, known in _WORDS.items() if set(known) & set(letters)}
        if len(modalities) == 1:
            first.setdefault(modalities.pop(), name)
    if len(first) > 1:
        raise InputError(
            f"{location}: holds files of {len(first)} modalities, {listed(list(first.values()))}; give a file, or a "
            "folder of one modality, for each side"
        )
    if 1 < len(kinds) <= MAX_KINDS and len(names) > len(kinds):
        counted = listed([f"{kind or 'numbers'}: {count:,}" for kind, count in kinds.items()])
        warnings.warn(
            f"{location}: files of {len(kinds)} kinds of names ({counted}) are read as one modality, in the order of "
            "their names; move away what does not belong to it",
            IsthmusWarning,
            stacklevel=2,
        )
