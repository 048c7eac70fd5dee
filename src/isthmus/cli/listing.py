"""The verb list: everything that is registered."""

from __future__ import annotations

import json
import textwrap
from typing import Annotated, Any

import typer

import isthmus
from isthmus.cli._common import Json
from isthmus.utils.errors import unknown_name
from isthmus.utils.format import json_number

#: Longest line of the text, and the blanks before a description.
LINE_WIDTH, INDENT = 100, 6 * " "


def mount(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    app.command(name="list")(list_)


def list_(
    topic: Annotated[
        str, typer.Argument(metavar="[TOPIC|NAME]", help="metrics, aligners, tasks, sources, runs, or one entry")
    ] = "all",
    json_: Json = False,
) -> None:
    """List measures with their definitions, aligners, tasks, file formats and runs of the demo."""
    selected = {name: list_entries() for name, list_entries in _TOPICS.items() if topic in (name, "all")}
    if topic != "all" and topic not in _TOPICS:
        selected = _entries_named(topic)
    if json_:
        typer.echo(json.dumps(selected, indent=1))
        return
    for name_of_topic, entries in selected.items():
        typer.echo(name_of_topic)
        family = ""
        for name, description in entries.items():
            if description.get("family", "") != family:
                family = str(description["family"])
                typer.echo(f"  {family.upper()}")
            typer.echo(f"  {name}")
            for line in _text_lines(name_of_topic, description):
                typer.echo(line)


def _text_lines(topic: str, description: dict[str, Any]) -> list[str]:
    """Return the description of an entry as lines of at most `LINE_WIDTH` characters."""
    paragraphs = _lines(description) if topic == "metrics" else [t for t in description.values() if isinstance(t, str)]
    scores = [
        f"{name} ({score['better']}): {score['definition']}" for name, score in description.get("scores", {}).items()
    ]
    lines = [textwrap.wrap(text, LINE_WIDTH, initial_indent=INDENT, subsequent_indent=INDENT) for text in paragraphs]
    lines += [
        textwrap.wrap(text, LINE_WIDTH, initial_indent=f"{INDENT}- ", subsequent_indent=f"{INDENT}  ")
        for text in scores
    ]
    return [line for wrapped in lines for line in wrapped]


def _entries_named(name: str) -> dict[str, dict[str, Any]]:
    """Return the entries of every topic that have this name, ignoring case, '-' and '_'."""
    entries = {topic: list_entries() for topic, list_entries in _TOPICS.items()}
    wanted = {_plain(name), *map(_plain, isthmus.metrics.expand_alias(name))}
    found = {
        topic: {entry: about for entry, about in entries_of_topic.items() if _plain(entry) in wanted}
        for topic, entries_of_topic in entries.items()
    }
    found = {topic: entries_of_topic for topic, entries_of_topic in found.items() if entries_of_topic}
    if not found:
        raise unknown_name("entry", name, [*_TOPICS, *(entry for known in entries.values() for entry in known)])
    return found


def _plain(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")


def _metrics() -> dict[str, dict[str, Any]]:
    return {
        m.name: {
            "family": m.family,
            "definition": m.definition,
            "unit": m.unit,
            "range": [json_number(end) for end in m.range],
            "better": m.direction,
            "needs": m.requires,
            "invariant": list(m.invariances),
            "interval": m.interval,
            "null": m.null_model,
            "source": m.source,
        }
        for m in isthmus.metrics.registry().values()
    }


def _lines(about: dict[str, Any]) -> list[str]:
    """Return the description of a measure as lines of text."""
    low, high = (sign if end is None else f"{end:g}" for end, sign in zip(about["range"], ("-inf", "inf"), strict=True))
    better = {"neither": "neither way is better"}.get(about["better"], f"{about['better']} is better")
    return [
        about["definition"],
        f"{about['unit']}, {low} to {high}, {better}, needs {about['needs']}; {about['source']}",
        f"interval: {about['interval']}; null: {about['null']}",
    ]


def _aligners() -> dict[str, dict[str, str]]:
    return {
        name: {
            "definition": " ".join((cls.__doc__ or "").split("\n\n")[0].split()),
            "about": "; ".join(filter(None, [f"needs {cls().needs}", cls.source])),
        }
        for name, cls in isthmus.align.registry().items()
    }


def _tasks() -> dict[str, dict[str, Any]]:
    return {
        t.name: {
            "definition": t.definition,
            "about": "; ".join(filter(None, (f"needs {t.needs}", t.source))),
            "scores": {name: {"better": s.better, "definition": s.definition} for name, s in t.scores.items()},
        }
        for t in isthmus.tasks.registry().values()
    }


def _sources() -> dict[str, dict[str, str]]:
    kinds = {**isthmus.sources.formats, **isthmus.sources.stores}
    return {name: {"definition": getattr(known, "description", name)} for name, known in sorted(kinds.items())}


def _runs() -> dict[str, dict[str, str]]:
    return {name: {"definition": about} for name, about in isthmus.demo.RUNS.items()}


_TOPICS = {"metrics": _metrics, "aligners": _aligners, "tasks": _tasks, "sources": _sources, "runs": _runs}
