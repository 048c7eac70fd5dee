"""From models to embeddings: a dual encoder over images (or sounds) and captions writes shards that every verb reads.

    isthmus encode MODEL photos/ --captions captions.csv -o embeddings

One file per backend (`open_clip`, `transformers`, `sentence_transformers`), one per input format (`tables`, `jsonl`,
`coco`, `tars`), one for the run. A framework is imported only when its model is opened, and nothing is ever downloaded.
"""

from __future__ import annotations

from isthmus.encode._base import Encoder
from isthmus.encode.items import Item, Items, open_items
from isthmus.encode.models import open_encoder
from isthmus.encode.run import Encoded, run

__all__ = ["Encoded", "Encoder", "Item", "Items", "open_encoder", "open_items", "run"]
