"""The verb list: everything that is registered."""

from __future__ import annotations

from typing import Annotated

import typer

from isthmus.cli._catalogue import print_entries
from isthmus.cli._common import Json


def mount(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    app.command(name="list")(list_)


def list_(
    topic: Annotated[
        str,
        typer.Argument(
            metavar="TOPIC|NAME",
            help="metrics, aligners, tasks, losses, sources, formats, stores, experiments, runs, or one entry",
        ),
    ] = "all",
    json_: Json = False,
) -> None:
    """List measures with their definitions, aligners, tasks, losses, file formats, stores, experiments and runs."""
    print_entries(topic, as_json=json_)
