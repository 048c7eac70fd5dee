"""How the help lists commands, and what it says about each verb."""

from __future__ import annotations

from typing import Any, NamedTuple

from typer.core import TyperGroup

#: Characters to which the summary of a command may grow.
MAX_SUMMARY = 400


class UncutSummaries(TyperGroup):
    """Show the summary of each command whole, over several lines where it needs them."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands and their summaries."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self.summaries(ctx).items()))

    def summaries(self, ctx: Any) -> dict[str, str]:
        """Return the summary of each command that is not hidden."""
        commands = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
        visible = {name: command for name, command in commands.items() if command is not None and not command.hidden}
        return {name: command.get_short_help_str(limit=MAX_SUMMARY) for name, command in visible.items()}


class Verb(NamedTuple):
    """Entry of a verb in the help, which is shown before its module is imported.

    Attributes
    ----------
    module : module of `isthmus.cli` that defines the verb
    summary : first sentence of its help
    example : one call, which its help shows
    """

    module: str
    summary: str
    example: str = ""


#: The verbs in the order of the help.
VERBS = {
    "demo": Verb(
        "data",
        "Run a complete example on data of the package: embeddings of handwritten digits and their captions.",
        "isthmus demo --run collapsed -o demo.html",
    ),
    "inspect": Verb(
        "data",
        "Report shape, dtype, norms, invalid rows, duplicates, and whether two files look paired.",
        "isthmus inspect image.npy text.npy",
    ),
    "fit": Verb(
        "alignment",
        "Fit a correction (an aligner) to embeddings and save it.",
        "isthmus fit Auto image.npy text.npy -o correction.safetensors",
    ),
    "apply": Verb(
        "alignment",
        "Correct the rows of a file or a vector store, with constant memory.",
        "isthmus apply correction.safetensors image.npy stored.npy --role stored",
    ),
    "adapt": Verb(
        "alignment",
        "Update a saved aligner with the means and covariances of unpaired rows of a new corpus.",
        "isthmus adapt correction.safetensors new_image.npy new_text.npy -o adapted.safetensors",
    ),
    "export": Verb(
        "exporting",
        "Write an aligner as a folder for a model hub: safetensors, ONNX graphs and a model card.",
        "isthmus export correction.safetensors correction/ --comparison run.json --licence mit",
    ),
    "measure": Verb(
        "diagnosis",
        "Measure the gap, with 95 % intervals and the values expected by chance.",
        "isthmus measure image.npy text.npy --all",
    ),
    "explain": Verb(
        "diagnosis",
        "Explain the gap: verdict, components of the cosine deficit, collapse, and the theorems that apply.",
        "isthmus explain image.npy text.npy --cosine 0.25",
    ),
    "report": Verb(
        "diagnosis",
        "Write one self-contained page: verdict, figures, and corrections evaluated on held-out pairs.",
        "isthmus report image.npy text.npy -o report.html",
    ),
    "compare": Verb(
        "comparison",
        "Evaluate corrections (aligners) on held-out pairs: scores, and their changes from the raw embeddings.",
        "isthmus compare image.npy text.npy --splits 10 -o compare.html -o compare.csv",
    ),
    "compare-merge": Verb(
        "comparison",
        "Merge saved comparisons: runs of the same pairs and settings become one table.",
        "isthmus compare-merge run1.json run2.json -o merged.html",
    ),
    "intervene": Verb(
        "comparison",
        "Change the gap and the shared space step by step, and show which of the two affects the tasks.",
        "isthmus intervene image.npy text.npy -o interventions.html",
    ),
    "models": Verb(
        "models",
        "Compare models or checkpoints: gap, cosine deficit, collapse, retrieval, mixed search, correlations.",
        "isthmus models vit-b-32/ vit-l-14/ -o models.html",
    ),
    "zero-shot": Verb(
        "zero_shot",
        "Classify rows by the nearest class text: accuracy, also of each class, and the effect of the gap on it.",
        "isthmus zero-shot image.npy class_texts.npy --labels labels.npy",
    ),
    "encode": Verb(
        "encoding",
        "Encode images and captions with a model, and write shards that every other command reads.",
        "isthmus encode openai/clip-vit-base-patch32 photos/ --captions captions.csv -o embeddings",
    ),
    "list": Verb(
        "listing",
        "List measures with their definitions, aligners, tasks, losses, file formats, stores, experiments and runs.",
        "isthmus list centroid_angle",
    ),
    "theory": Verb(
        "theory",
        "Run numerical experiments that test the theory: NAME runs one, `all` runs all and writes a page.",
        "isthmus theory all theory-page/",
    ),
    "train": Verb(
        "training",
        "Train dual encoders and measure the gap.",
        "isthmus train demo --quick -o training/",
    ),
}
