"""The application of the command line. The module of a verb is imported when the verb is called."""

from __future__ import annotations

import difflib
import importlib
import re
import sys
import warnings
from typing import Annotated, Any, NoReturn

import typer

from isthmus.cli._help import VERBS, UncutSummaries
from isthmus.utils.errors import ERROR_PREFIX, WARNING_PREFIX, InputError, IsthmusWarning, bounded
from isthmus.utils.interrupts import INTERRUPTED, ended_by_interrupt, exit_now
from isthmus.utils.version import __version__

#: Base class of the errors of typer, such as a missing argument.
_UsageError: type[Exception] = typer.BadParameter.__mro__[2]
#: Verbs that take the options of computing, and those that take the options of reading.
COMPUTING_VERBS = ("measure", "report", "explain", "fit", "apply", "compare", "intervene", "models")
READING_VERBS = (*COMPUTING_VERBS, "inspect", "adapt", "zero_shot")

#: Options whose value is any text, also the empty one.
TEXT_OPTIONS = ("--title",)

#: Verbs that a message about an option of other verbs lists.
MAX_LISTED_VERBS = 4

#: Characters of further arguments that a message repeats.
MAX_EXTRA = 60

#: Patterns of messages of typer, and the words of our own messages for them.
_WORDS = (
    (r"^No such command", "unknown command"),
    (r"^No such option:? '?(-[^ ']*)'?", r"unknown option '\1'"),
    (r"Input should be a valid integer.*", "expected a whole number"),
    (r"Input should be a valid number.*", "expected a number"),
    (r"'([^']*)' is not a valid (integer|int)\b", r"got '\1', expected a whole number"),
    (r"'([^']*)' is not a valid float\b", r"got '\1', expected a number"),
    (r"requires an argument$", "needs a value"),
)


class Verbs(UncutSummaries):
    """The group of all verbs. A verb is built when it is called, because the help of all verbs needs none of them."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Refuse empty arguments, which would be read as the current folder."""
        for number, text in enumerate(args):
            if not text and (number == 0 or args[number - 1] not in TEXT_OPTIONS):
                before = " ".join(args[max(number - 2, 0) : number])
                raise InputError(
                    f"the argument after `{before}` is empty; give a path or a value (is a shell variable unset?)"
                )
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of the verbs."""
        self.commands.update({name: None for name in VERBS if name not in self.commands})  # type: ignore[misc]
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a verb, or None for an unknown name."""
        self.list_commands(ctx)
        if cmd_name in VERBS and self.commands[cmd_name] is None:
            self.commands.update(_built(cmd_name))
        return self.commands.get(cmd_name)

    def summaries(self, ctx: Any) -> dict[str, str]:
        """Return the summaries of the verbs, which need no verb."""
        return {name: verb.summary for name, verb in VERBS.items()}


def _built(name: str) -> dict[str, Any]:
    """Return the commands of the module that defines a verb."""
    module = importlib.import_module(f"isthmus.cli.{VERBS[name].module}")
    group = typer.Typer(rich_markup_mode=None)
    group.callback()(lambda: None)  # so that a single verb is a command of a group
    if name == "list":
        module.mount(group)
        group.registered_commands[0].epilog = f"Example: {VERBS[name].example}"
        return dict(typer.main.get_command(group).commands)  # type: ignore[attr-defined]
    from isthmus.cli import reading, resources

    if not hasattr(module, "mount"):
        resources.add_options(module.app, (), resources.DETAIL_OPTIONS, resources.detail_context)
        group.add_typer(module.app, name=name, epilog=f"Example: {VERBS[name].example}")
        return dict(typer.main.get_command(group).commands)  # type: ignore[attr-defined]
    module.mount(group)
    for command in group.registered_commands:
        verb = command.name or (command.callback.__name__ if command.callback else "")
        command.epilog = f"Example: {VERBS[verb].example}"
    resources.add_options(group, READING_VERBS, reading.OPTIONS, reading.reading_context)
    resources.add_options(group, COMPUTING_VERBS, resources.OPTIONS, resources.resources_context)
    resources.add_options(group, (), resources.DETAIL_OPTIONS, resources.detail_context)
    return dict(typer.main.get_command(group).commands)  # type: ignore[attr-defined]


# Plain help: rich takes longer to import than everything else that the help needs.
app = typer.Typer(
    cls=Verbs,
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


#: Warnings that the command has printed. A file that is read twice gives its warning once.
_printed_warnings: set[str] = set()


def _warn(message: Warning | str, category: type[Warning], *_: Any) -> None:
    from isthmus.cli.progress import is_quiet

    if issubclass(category, IsthmusWarning) and not is_quiet() and str(message) not in _printed_warnings:
        _printed_warnings.add(str(message))
        print(f"{WARNING_PREFIX}{message}", file=sys.stderr)


def run(application: Any) -> None:
    """Run an application of typer. Bad input prints one line to standard error and exits with code 2."""
    _printed_warnings.clear()
    warnings.showwarning = _warn  # type: ignore[assignment]
    try:
        with ended_by_interrupt():
            exit_code = application(standalone_mode=False)
    except (InputError, OSError) as error:
        _fail(str(error))
    except (typer.Abort, KeyboardInterrupt):
        _end_interrupted()
    except _UsageError as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            typer.echo(error.format_message())  # type: ignore[attr-defined]
            sys.exit(2)
        _fail(_usage_message(error))
    if exit_code == INTERRUPTED:
        _end_interrupted()
    sys.exit(exit_code or 0)


def _end_interrupted() -> NoReturn:
    """Exit with the code of an interrupt, without waiting for other threads or for torch, which may take seconds.

    The end of the interpreter would change the code after an interrupt in an `exec`, which every dataclass calls.
    """
    exit_now()


def _usage_message(error: Any) -> str:
    """Return a message of typer as one sentence that names the help to read."""
    message = " ".join(error.format_message().split()).rstrip(".").replace(". Did you", ": did you").rstrip("?")
    context = getattr(error, "ctx", None)
    if extra := re.fullmatch(r"Got unexpected extra argument\S* \((.*)\)", message):
        message = _extra_message(extra[1], context)
    for pattern, replacement in _WORDS:
        message = re.sub(pattern, replacement, message)
    similar = re.fullmatch(r"(unknown option '([^']*)')(?: \(Possible options?: ([^)]*)\))?", message)
    if similar:
        verbs = _verbs_with(similar[2], context)
        options = {option.lstrip("-"): option for option in (similar[3] or "").split(", ")}
        closest = difflib.get_close_matches(similar[2].lstrip("-"), options, n=1, cutoff=0.6)
        message = similar[1]
        if verbs:
            names = ", ".join(verbs[:MAX_LISTED_VERBS]) + (" ..." if len(verbs) > MAX_LISTED_VERBS else "")
            message += f", which is an option of {names}"
        elif closest:
            message += f": did you mean {options[closest[0]]!r}"
    called = "isthmus" if sys.argv[1:2] == [] or sys.argv[1] not in VERBS else f"isthmus {sys.argv[1]}"
    verb = called if context is None else context.command_path
    return f"{message[:1].lower()}{message[1:]}; run `{verb} --help`"


def _extra_message(extra: str, context: Any) -> str:
    """Return what a verb expects in place of these further arguments, and how three modalities are given."""
    names = [entry.name for entry in context.command.params if entry.param_type_name == "argument"]
    shortened = extra if len(extra) <= MAX_EXTRA else f"{extra[:MAX_EXTRA]} ..."
    if names != ["x", "y"]:
        expected = f"no more than {' '.join(names).upper()}" if names else "no argument"
        return f"expected {expected}, got {shortened}"
    return (
        f"got a third file, expected two: {shortened}; compare two modalities at a time, or all with `isthmus "
        "measure`, and give files of matching rows as --index and of classes as --labels"
    )


def _verbs_with(option: str, context: Any) -> list[str]:
    """Return the verbs that have an option which the verb of this context lacks."""
    if context is None or context.parent is None:
        return []
    root = context.find_root()
    commands = {name: root.command.get_command(root, name) for name in VERBS}
    return [name for name, command in commands.items() if any(option in entry.opts for entry in command.params)]


def _fail(message: str) -> NoReturn:
    print(f"{ERROR_PREFIX}{bounded(message)}", file=sys.stderr)
    sys.exit(2)
