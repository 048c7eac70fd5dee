"""The command line: verbs that call the public functions of the package."""

from __future__ import annotations

import sys
import warnings
from typing import Annotated, Any, NoReturn

import typer

from isthmus.cli import alignment, comparison, data, diagnosis, encoding, listing, models, reading, resources, zero_shot
from isthmus.cli._help import EXAMPLES, UncutSummaries
from isthmus.cli.progress import is_quiet
from isthmus.cli.theory import app as theory
from isthmus.cli.training import app as train
from isthmus.utils.errors import InputError, IsthmusWarning, bounded
from isthmus.utils.version import __version__

#: Base class of the errors of typer, such as a missing argument.
_UsageError: type[Exception] = typer.BadParameter.__mro__[2]

# Plain help: rich takes longer to import than everything else that the help needs.
app = typer.Typer(
    cls=UncutSummaries,
    help="Measure, explain and close the modality gap of multimodal embeddings.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"isthmus {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="print the version and exit")
    ] = False,
) -> None:
    """Measure, explain and close the modality gap of multimodal embeddings."""


data.mount(app)
alignment.mount(app)
diagnosis.mount(app)
comparison.mount(app)
models.mount(app)
zero_shot.mount(app)
encoding.mount(app)
app.add_typer(theory, name="theory")
app.add_typer(train, name="train")
listing.mount(app)
for _command in app.registered_commands:
    _name = _command.name or (_command.callback.__name__ if _command.callback else "")
    _command.epilog = f"Example: {EXAMPLES[_name]}" if _name in EXAMPLES else None
COMPUTING_VERBS = ("measure", "report", "explain", "fit", "apply", "compare", "intervene", "models")
READING_VERBS = (*COMPUTING_VERBS, "inspect", "adapt", "zero_shot")
resources.add_options(app, READING_VERBS, reading.OPTIONS, reading.reading_context)
resources.add_options(app, COMPUTING_VERBS, resources.OPTIONS, resources.resources_context)


def _warn(message: Warning | str, category: type[Warning], *_: Any) -> None:
    if issubclass(category, IsthmusWarning) and not is_quiet():
        print(f"isthmus: warning: {message}", file=sys.stderr)


def main() -> None:
    """Run the command line. Bad input prints one line to standard error and exits with code 2."""
    warnings.showwarning = _warn  # type: ignore[assignment]
    try:
        exit_code = app(standalone_mode=False)
    except (InputError, OSError) as error:
        _fail(str(error))
    except typer.Abort:
        sys.exit(130)
    except _UsageError as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            typer.echo(error.format_message())  # type: ignore[attr-defined]
            sys.exit(2)
        _fail(_usage_message(error))
    sys.exit(exit_code or 0)


def _usage_message(error: Any) -> str:
    """Return a message of typer as one sentence that names the help to read."""
    message = " ".join(error.format_message().split()).rstrip(".").replace(". Did you", ": did you").rstrip("?")
    context = getattr(error, "ctx", None)
    verb = "isthmus" if context is None else context.command_path
    return f"{message[:1].lower()}{message[1:]}; run `{verb} --help`"


def _fail(message: str) -> NoReturn:
    print(f"isthmus: error: {bounded(message)}", file=sys.stderr)
    sys.exit(2)
