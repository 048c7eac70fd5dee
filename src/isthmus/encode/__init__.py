"""Embeddings from models: a dual encoder over images (or sounds) and captions writes shards for all other verbs.

    isthmus encode MODEL photos/ --captions captions.csv -o embeddings

Each backend (`open_clip`, `transformers`, `sentence_transformers`) and each input format (`tables`, `jsonl`, `coco`,
`tars`) has a file of its own. A framework is imported only when its model is opened. Nothing
is ever downloaded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from isthmus.encode._base import Encoder, Instructions
from isthmus.encode.encoding_run import Encoded, run
from isthmus.encode.items import Item, Items, open_items
from isthmus.encode.mixed import MixedVectors, encode_mixed
from isthmus.encode.models import open_encoder
from isthmus.utils.lazy import hinting_getter

__all__ = [
    "Encoded",
    "Encoder",
    "Instructions",
    "Item",
    "Items",
    "MixedVectors",
    "encode_mixed",
    "open_encoder",
    "open_items",
    "run",
]

if not TYPE_CHECKING:  # a type checker would then find every name
    __getattr__ = hinting_getter(__name__, __all__)
