"""A reading of held-out pairs as an evaluator of sentence-transformers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from isthmus.integrations import needed
from isthmus.train.monitor import GapMonitor
from isthmus.utils.errors import InputError
from isthmus.utils.files import atomic_path


def evaluator(
    x: Sequence[Any], y: Sequence[Any], /, *, monitor: GapMonitor | None = None, batch_size: int = 32, name: str = ""
) -> Any:
    """A `SentenceEvaluator` that encodes the pairs (x[i], y[i]), texts or images, and reads the gap between the sides.

    Give it to the trainer as `evaluator=`, or call it with a model. It returns the numbers of
    `GapSnapshot.to_dict` under the names of sentence-transformers (`NAME_gap_angle` ...). `primary_metric` is the total
    of the budget, the smaller the better. Readings go through `monitor` (default: one of its own), which logs and
    warns. With `output_path` they are added as lines to `gap_evaluation_NAME_results.csv` there.
    Errors: `InputError` without sentence-transformers, and for sides of different or too small lengths.
    """
    needed("sentence-transformers", "evaluator")
    from sentence_transformers.evaluation import SentenceEvaluator

    if len(x) != len(y) or len(x) < 2:
        raise InputError(f"{len(x)} and {len(y)} items came, expected two or more pairs: x[i] belongs to y[i]")
    watching = GapMonitor(every=1, window=1) if monitor is None else monitor

    class GapEvaluator(SentenceEvaluator):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.name = name
            self.primary_metric = "gap_budget_total"
            self.greater_is_better = False

        @property
        def description(self) -> str:
            return "Modality gap"

        def __call__(self, model: Any, output_path: str | None = None, epoch: int = -1, steps: int = -1) -> Any:
            with torch.no_grad():
                sides = [
                    model.encode(list(side), batch_size=batch_size, convert_to_tensor=True, show_progress_bar=False)
                    for side in (x, y)
                ]
            reading = watching.evaluate(*sides, step=max(steps, watching.step + 1))
            if reading is None:
                return {}
            numbers = {key.replace("/", "_"): value for key, value in reading.to_dict().items()}
            if output_path is not None:
                _add_line(
                    Path(output_path) / f"gap_evaluation{'_' + name if name else ''}_results.csv", epoch, steps, numbers
                )
            numbers = self.prefix_name_to_metrics(numbers, self.name)
            self.store_metrics_in_model_card_data(model, numbers, epoch, steps)
            return numbers

    return GapEvaluator()


def _add_line(path: Path, epoch: int, steps: int, numbers: dict[str, float]) -> None:
    import csv
    import io

    path.parent.mkdir(parents=True, exist_ok=True)
    old = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8")))) if path.exists() else []
    rows: list[dict[str, Any]] = [*old, {"epoch": epoch, "steps": steps, **numbers}]
    out = io.StringIO()
    # An undefined angle has no number: columns are those of any line.
    writer = csv.DictWriter(out, list(dict.fromkeys(key for row in rows for key in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    with atomic_path(path) as part:
        part.write_text(out.getvalue(), encoding="utf-8")
