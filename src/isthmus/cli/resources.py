"""Options that every verb that computes takes: threads, memory, device, cluster."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Annotated, Any

import typer

from isthmus.cli.progress import spinner, update_spinner
from isthmus.compute.resources import using

OPTIONS: dict[str, Any] = {
    "threads": Annotated[int | None, typer.Option("--threads", help="cores to keep busy; default: all of them")],
    "max_memory": Annotated[
        str | None, typer.Option("--max-memory", help="what a pass over the rows may hold, such as '400 MB'")
    ],
    "device": Annotated[
        str | None, typer.Option("--device", help="cuda, cuda:0,cuda:1 or cpu: compute with PyTorch there")
    ],
    "workers": Annotated[int | None, typer.Option("--workers", help="compute on this many local Dask processes")],
    "cluster": Annotated[
        str | None, typer.Option("--cluster", help="compute on a Dask cluster, such as tcp://host:8786")
    ],
}


def add_options(app: typer.Typer, verbs: Sequence[str]) -> None:
    """Give each of these verbs of `app` the options; what it computes then uses them."""
    for command in app.registered_commands:
        if command.callback is not None and command.callback.__name__ in verbs:
            command.callback = _computing(command.callback)


def _computing(verb: Callable[..., None]) -> Callable[..., None]:
    @wraps(verb)
    def run(**options: Any) -> None:
        wanted = {name: options.pop(name) for name in OPTIONS}
        with _resources(**wanted, quiet=bool(options.get("json_"))):
            verb(**options)

    given = inspect.signature(verb, eval_str=True)
    more = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
        for name, annotation in OPTIONS.items()
    ]
    run.__signature__ = given.replace(parameters=[*given.parameters.values(), *more])  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in [*given.parameters.values(), *more]}
    return run


@contextmanager
def _resources(*, workers: int | None, cluster: str | None, quiet: bool, **options: Any) -> Iterator[None]:
    if workers is None and cluster is None:
        with using(**options):
            yield
        return
    from isthmus.evaluation.cluster import Cluster

    with spinner("waiting for the workers", quiet=quiet):
        made = Cluster(cluster, workers=workers, progress=update_spinner)
    with using(**options), made:
        yield
