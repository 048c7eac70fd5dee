"""Options of every verb that computes: threads, memory, device and cluster. Options that several verbs share."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import wraps
from typing import Annotated, Any

import typer

from isthmus.cli.progress import set_detail, stages

#: Annotation and default of each option.
OPTIONS: dict[str, tuple[Any, Any]] = {
    "threads": (
        Annotated[
            int | None,
            typer.Option(
                "--threads",
                help="number of worker threads; default: the cores that the process may use, or OMP_NUM_THREADS",
            ),
        ],
        None,
    ),
    "max_memory": (
        Annotated[
            str | None,
            typer.Option("--max-memory", help="additional memory of one pass over the rows, such as '400 MB'"),
        ],
        None,
    ),
    "device": (
        Annotated[
            str | None, typer.Option("--device", help="PyTorch device that computes: cpu, cuda or cuda:0,cuda:1")
        ],
        None,
    ),
    "workers": (
        Annotated[int | None, typer.Option("--workers", help="compute on this many local Dask processes")],
        None,
    ),
    "cluster": (
        Annotated[str | None, typer.Option("--cluster", help="compute on a Dask cluster, such as tcp://host:8786")],
        None,
    ),
}

#: Annotation and default of each option of what is shown on standard error.
DETAIL_OPTIONS: dict[str, tuple[Any, Any]] = {
    "is_quiet": (
        Annotated[bool, typer.Option("--quiet", "-q", help="show neither progress nor warnings")],
        False,
    ),
    "is_verbose": (
        Annotated[bool, typer.Option("--verbose", "-v", help="show every step with its time, and the memory used")],
        False,
    ),
}


def add_options(
    app: typer.Typer,
    verbs: Sequence[str],
    options: Mapping[str, tuple[Any, Any]],
    context: Callable[..., AbstractContextManager[None]],
) -> None:
    """Add options to the commands `verbs` of `app`, or to all, and run them in the `context` of the chosen values."""
    for command in app.registered_commands:
        verb = command.callback
        if verb is None or {*options} <= {*inspect.signature(verb).parameters}:
            continue  # a group of verbs that is built again has the options already
        if not verbs or verb.__name__ in verbs:
            command.callback = _with_options(verb, options, context)


def _with_options(
    verb: Callable[..., None],
    options: Mapping[str, tuple[Any, Any]],
    context: Callable[..., AbstractContextManager[None]],
) -> Callable[..., None]:
    """Wrap a command so that it takes the options and runs in their context."""

    @wraps(verb)
    def run(**values: Any) -> None:
        added_values = {name: values.pop(name) for name in options}
        with context(**added_values, quiet=bool(values.get("json_"))):
            verb(**values)

    signature = inspect.signature(verb, eval_str=True)
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        for name, (annotation, default) in options.items()
    ]
    run.__signature__ = signature.replace(parameters=[*signature.parameters.values(), *added])  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in [*signature.parameters.values(), *added]}
    return run


@contextmanager
def detail_context(*, is_quiet: bool, is_verbose: bool, quiet: bool) -> Iterator[None]:  # noqa: ARG001
    """Show as much of the progress of one call as its options ask for."""
    set_detail(is_quiet=is_quiet, is_verbose=is_verbose)
    yield


@contextmanager
def resources_context(*, workers: int | None, cluster: str | None, quiet: bool, **options: Any) -> Iterator[None]:
    """Apply the options of one call, and start a cluster if one is asked for."""
    from isthmus.compute.resources import config_context  # imported late: NumPy takes as long as the help

    if workers is None and cluster is None:
        with config_context(**options):
            yield
        return
    from isthmus.compute.cluster import Cluster

    with stages("waiting for the workers", quiet=quiet) as progress:
        dask_cluster = Cluster(cluster, workers=workers, progress=progress)
    with config_context(**options), dask_cluster:
        yield
