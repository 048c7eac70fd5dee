"""The command line: verbs that call the public functions of the package."""

from __future__ import annotations

import sys
import warnings
from typing import Any

import typer

from isthmus.cli import alignment, comparison, data, diagnosis, encoding, listing, resources
from isthmus.cli.theory import app as theory
from isthmus.cli.training import app as train
from isthmus.utils.errors import InputError, IsthmusWarning

app = typer.Typer(
    help="Measure, explain and close the modality gap of multimodal embeddings.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
data.mount(app)
alignment.mount(app)
diagnosis.mount(app)
comparison.mount(app)
encoding.mount(app)
app.add_typer(theory, name="theory")
app.add_typer(train, name="train")
listing.mount(app)
resources.add_options(app, ("measure", "report", "explain", "fit", "apply", "compare", "intervene"))


def _warn(message: Warning | str, category: type[Warning], *_: Any) -> None:
    if issubclass(category, IsthmusWarning):
        print(f"isthmus: warning: {message}", file=sys.stderr)


def main() -> None:
    """Run the command line. Bad input prints one line to standard error and exits with code 2."""
    warnings.showwarning = _warn  # type: ignore[assignment]
    try:
        app()
    except (InputError, OSError) as error:
        print(f"isthmus: error: {error}", file=sys.stderr)
        sys.exit(2)
