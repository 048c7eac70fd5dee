"""How the help lists commands."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup

#: Characters to which the summary of a command may grow.
MAX_SUMMARY = 400


class UncutSummaries(TyperGroup):
    """Show the summary of each command whole, over several lines where it needs them."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands and their summaries."""
        commands = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
        visible = {name: command for name, command in commands.items() if command is not None and not command.hidden}
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.get_short_help_str(limit=MAX_SUMMARY)) for name, entry in visible.items()])


#: One call of each verb that its help shows.
EXAMPLES = {
    "demo": "isthmus demo --run collapsed -o demo.html",
    "inspect": "isthmus inspect image.npy text.npy",
    "zero-shot": "isthmus zero-shot image.npy class_texts.npy --labels labels.npy",
    "measure": "isthmus measure image.npy text.npy --all",
    "explain": "isthmus explain image.npy text.npy --cosine 0.25",
    "report": "isthmus report image.npy text.npy -o report.html",
    "fit": "isthmus fit Auto image.npy text.npy -o correction.safetensors",
    "apply": "isthmus apply correction.safetensors image.npy stored.npy --role stored",
    "adapt": "isthmus adapt correction.safetensors new_image.npy new_text.npy -o adapted.safetensors",
    "compare": "isthmus compare image.npy text.npy --splits 10 -o compare.html -o compare.csv",
    "compare-merge": "isthmus compare-merge run1.json run2.json -o merged.html",
    "intervene": "isthmus intervene image.npy text.npy -o interventions.html",
    "encode": "isthmus encode openai/clip-vit-base-patch32 pictures.csv -o embeddings/",
    "models": "isthmus models vit-b-32/ vit-l-14/ -o models.html",
    "list": "isthmus list centroid_angle",
}
