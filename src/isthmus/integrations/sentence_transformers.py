"""The snapshot of held-out pairs as an evaluator of sentence-transformers."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from isthmus.train.monitor import GapMonitor
from isthmus.utils.errors import InputError, import_optional
from isthmus.utils.files import atomic_path


def evaluator(
    x: Sequence[Any], y: Sequence[Any], /, *, monitor: GapMonitor | None = None, batch_size: int = 32, name: str = ""
) -> Any:
    """Create a `SentenceEvaluator` that encodes held-out pairs and measures the gap between them.

    Pass it to the trainer as `evaluator=`, or call it with a model. It returns the numbers of `GapSnapshot.to_dict`
    under names such as 'NAME_gap_angle'. `primary_metric` is the total of the cosine decomposition, where smaller is
    better. With `output_path`, each evaluation adds a row to `gap_evaluation_NAME_results.csv` in that folder.

    Parameters
    ----------
    x, y : sequence of str or images
        Items of the two modalities. x[i] and y[i] are one pair.
    monitor : GapMonitor or None, default None
        Monitor that logs snapshots and warns, by default a new one.
    batch_size : int, default 32
        Number of items that the model encodes at once.
    name : str, default ""
        Prefix of the names of the numbers.

    Returns
    -------
    sentence_transformers.evaluation.SentenceEvaluator
        Evaluator of these pairs.

    Raises
    ------
    InputError
        If sentence-transformers is not installed, or `x` and `y` are no two or more pairs.

    Examples
    --------
    >>> dev = evaluator(captions, images, name="dev")  # doctest: +SKIP
    >>> dev(model)["dev_gap_angle"]  # doctest: +SKIP
    """
    package = "sentence-transformers"
    evaluation = import_optional("sentence_transformers.evaluation", "", "evaluator", package=package)
    if len(x) != len(y) or len(x) < 2:
        raise InputError(f"{len(x)} and {len(y)} items came, expected two or more pairs: x[i] belongs to y[i]")
    gap_monitor = GapMonitor(every=1, window=1) if monitor is None else monitor

    class GapEvaluator(evaluation.SentenceEvaluator):  # type: ignore[misc,name-defined]
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
                features = [
                    model.encode(list(items), batch_size=batch_size, convert_to_tensor=True, show_progress_bar=False)
                    for items in (x, y)
                ]
            snapshot = gap_monitor.evaluate(*features, step=max(steps, gap_monitor.step + 1))
            if snapshot is None:
                return {}
            numbers = {measure.replace("/", "_"): value for measure, value in snapshot.to_dict().items()}
            if output_path is not None:
                file_name = f"gap_evaluation{'_' + name if name else ''}_results.csv"
                _append_row(Path(output_path) / file_name, {"epoch": epoch, "steps": steps, **numbers})
            numbers = self.prefix_name_to_metrics(numbers, self.name)
            self.store_metrics_in_model_card_data(model, numbers, epoch, steps)
            return numbers

    return GapEvaluator()


def _append_row(path: Path, row: dict[str, Any]) -> None:
    """Add a row to a CSV file, which is replaced atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    earlier = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8")))) if path.exists() else []
    rows: list[dict[str, Any]] = [*earlier, row]
    buffer = io.StringIO()
    # An undefined angle has no number, so rows can have different columns.
    writer = csv.DictWriter(buffer, list(dict.fromkeys(key for row in rows for key in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    with atomic_path(path) as temporary:
        temporary.write_text(buffer.getvalue(), encoding="utf-8")
