"""Sentence-transformers: the snapshot of held-out pairs as an evaluator, and a model with a correction inside."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from isthmus.align._base import Aligner
from isthmus.integrations._layers import Linear, role_layers
from isthmus.train.monitor import GapMonitor
from isthmus.utils.errors import InputError, import_optional
from isthmus.utils.files import atomic_path
from isthmus.utils.format import counted


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
        raise InputError(
            f"got {len(x)} and {counted(len(y), 'item')}, expected two or more pairs: x[i] belongs to y[i]"
        )
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


def with_correction(
    model: Any, correction: Aligner, /, *, comparison: Any = None, licence: str | None = None, roles: Any = None
) -> Any:
    """Return a model whose `encode_query` and `encode_document` give corrected vectors.

    It is made of classes of sentence-transformers alone: the modules of the model, `Normalize`, and a `Router` with one
    route for each role and modality. So it is saved, pushed and loaded without isthmus and without
    `trust_remote_code`. Its similarity is the inner product. The library refuses batches of several modalities.

    Parameters
    ----------
    model : sentence_transformers.SentenceTransformer
        The model, which stays as it is and shares its modules.
    correction : Aligner
        A correction that was fitted to embeddings of the model. Its modalities have the names of sentence-transformers:
        'text', 'image', 'audio' or 'video'.
    comparison : Comparison, optional
        Held-out numbers for the model card, from `isthmus.compare`.
    licence : str, optional
        Licence of the model card, such as 'mit'.
    roles : sequence of {'query', 'document'}, optional
        Roles that the model serves. Default: both.

    Returns
    -------
    sentence_transformers.SentenceTransformer
        The model with the correction.

    Raises
    ------
    InputError
        If sentence-transformers is not installed, a modality has another name, or a role depends on a bank.

    Examples
    --------
    >>> corrected = with_correction(model, correction)  # doctest: +SKIP
    >>> corrected.similarity(corrected.encode_query(texts), corrected.encode_document(images))  # doctest: +SKIP
    """
    library = import_optional("sentence_transformers", "encoders", "with_correction", package="sentence-transformers")
    modules = import_optional("sentence_transformers.base.modules", "encoders", "with_correction")
    unknown = set(correction.modalities) - {"text", "image", "audio", "video"}
    if unknown:
        raise InputError(
            f"the correction has the modality {sorted(unknown)[0]!r}, and the model knows text, image, audio, video; "
            "fit it with names=('image', 'text')"
        )
    routes: dict[str, list[Any]] = {}
    mappings: dict[tuple[str | None, str], str] = {}
    chosen_roles = {"query": "query", "document": "stored"}
    for task in roles or chosen_roles:
        for modality in correction.modalities:
            name = f"{task}_{modality}"
            routes[name] = _modules(modules, role_layers(correction, role=chosen_roles[task], modality=modality))
            mappings[task, modality] = name
            if task == "document" or roles is not None:
                mappings[None, modality] = name
    router = modules.Router(routes, route_mappings=mappings)
    corrected = library.SentenceTransformer(
        modules=[*model.children(), router],
        device=str(model.device),
        prompts=dict(model.prompts),
        default_prompt_name=model.default_prompt_name,
        similarity_fn_name="dot",
    )
    corrected._model_card_text = _card(correction, comparison, licence)
    return corrected.eval()


def _modules(modules: Any, layers: Any) -> list[Any]:
    """Return layers as modules of sentence-transformers."""
    built = []
    for layer in layers:
        if isinstance(layer, Linear):
            dense = modules.Dense(*layer.matrix.shape, bias=True, activation_function=torch.nn.Identity())
            with torch.no_grad():
                dense.linear.weight.copy_(torch.from_numpy(layer.matrix.T))
                dense.linear.bias.copy_(torch.from_numpy(layer.bias))
            built.append(dense)
        elif len(layer.widths) == 1:
            built.append(modules.Normalize())
        else:
            raise InputError(
                f"the map divides {len(layer.widths)} blocks of columns by their norms, and sentence-transformers has "
                "no module for that; take another correction"
            )
    return built


def _card(correction: Aligner, comparison: Any, licence: str | None) -> str:
    """Return the model card: the correction, how to ask, and its held-out numbers."""
    chosen = type(getattr(correction, "chosen_", correction)).__name__
    header = ["---", "library_name: sentence-transformers", "tags:", "- sentence-transformers", "- modality-gap"]
    header += [f"license: {licence}"] if licence else []
    names = ", ".join(correction.modalities)
    text = [
        f"# Model with {chosen}",
        f"`encode_query` and `encode_document` give vectors of {names} that {chosen} of isthmus corrects. Compare them "
        "by inner products (`model.similarity`). One call takes one modality.",
    ]
    if comparison is not None:
        text += ["## Held-out pairs", f"```text\n{comparison!r}\n```"]
    return "\n".join([*header, "---", ""]) + "\n" + "\n\n".join(text) + "\n"
