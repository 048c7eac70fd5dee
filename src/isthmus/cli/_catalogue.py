"""The catalogue of everything that is registered, which the verb `list` prints.

It is computed from the registries, which import a hundred modules. So the last one is kept beside the compiled modules.
It is used as long as no file of the package and no installed package has changed.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import isthmus
from isthmus.utils.errors import unknown_name
from isthmus.utils.version import __version__

#: Longest line of the text without a narrower terminal, and the blanks before a description.
LINE_WIDTH, INDENT = 100, 6 * " "
TOPICS = ("metrics", "aligners", "tasks", "losses", "sources", "experiments", "runs")
#: The two kinds of sources, each a topic of its own: files and folders, or vector stores.
KINDS = {"formats": False, "stores": True}
#: Entry points of other packages, whose modules the key of a kept catalogue does not know.
GROUPS = ("isthmus.metrics", "isthmus.aligners", "isthmus.tasks", "isthmus.formats", "isthmus.stores")

Catalogue = dict[str, dict[str, dict[str, Any]]]


def print_entries(topic: str, *, as_json: bool) -> None:
    """Print the entries of a topic, of all topics, or of one name."""
    entries = catalogue()
    selected = {name: entries[name] for name in TOPICS if topic in (name, "all")}
    if topic in KINDS:
        sources = entries["sources"].items()
        selected = {topic: {name: about for name, about in sources if about["store"] == KINDS[topic]}}
    elif topic != "all" and topic not in TOPICS:
        selected = _entries_named(topic, entries)
    if as_json:
        print(json.dumps(selected, indent=1))
        return
    for name_of_topic, entries_of_topic in selected.items():
        print(name_of_topic)
        family = ""
        for name, description in entries_of_topic.items():
            if description.get("family", "") != family:
                family = str(description["family"])
                print(f"  {family.upper()}")
            print(f"  {name}")
            for line in _text_lines(name_of_topic, description):
                print(line)


def catalogue() -> Catalogue:
    """Return all entries by topic: those that were kept, or those of the registries."""
    path = _kept_path()
    if path is not None and path.exists():
        try:
            cached: Catalogue = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            cached = {}
        if list(cached) == list(TOPICS):
            return cached
    entries = {name: list_entries() for name, list_entries in _LISTS.items()}
    if path is not None:
        _keep(entries, path)
    return entries


def _kept_path() -> Path | None:
    """Return the file of the kept catalogue of this state of the installation, or None if none may be kept."""
    from importlib.metadata import entry_points

    declared = entry_points()
    if any(declared.select(group=group) for group in GROUPS):
        return None
    root = Path(isthmus.__file__).parent
    state = [__version__, sys.version]
    for folder, names, files in os.walk(root):
        names[:] = sorted(name for name in names if name != "__pycache__")
        for file in sorted(files):
            status = os.stat(os.path.join(folder, file))
            state.append(f"{folder}/{file} {status.st_size} {status.st_mtime_ns}")
    state += [f"{folder} {os.stat(folder).st_mtime_ns}" for folder in sys.path if os.path.isdir(folder)]
    key = hashlib.blake2b("\n".join(state).encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()
    compiled = Path(importlib.util.cache_from_source(__file__))
    return compiled.with_name(f"_catalogue.{key}.json")


def _keep(entries: Catalogue, path: Path) -> None:
    """Write a catalogue in place of older ones. A folder that cannot be written keeps none."""
    from isthmus.utils.files import atomic_path

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for older in path.parent.glob("_catalogue.*.json"):
            older.unlink(missing_ok=True)
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps(entries), encoding="utf-8")
    except OSError:
        return


def _text_lines(topic: str, description: dict[str, Any]) -> list[str]:
    """Return the description of an entry as lines of at most `LINE_WIDTH` characters, fewer on a narrow terminal."""
    from isthmus.cli.printing import terminal_width

    width = min(LINE_WIDTH, terminal_width() or LINE_WIDTH)
    options: dict[str, Any] = {"width": width, "break_on_hyphens": False}
    paragraphs = _lines(description) if topic == "metrics" else [t for t in description.values() if isinstance(t, str)]
    scores = [
        f"{name} ({score['better']}): {score['definition']}" for name, score in description.get("scores", {}).items()
    ]
    lines = [textwrap.wrap(text, initial_indent=INDENT, subsequent_indent=INDENT, **options) for text in paragraphs]
    lines += [
        textwrap.wrap(text, initial_indent=f"{INDENT}- ", subsequent_indent=f"{INDENT}  ", **options) for text in scores
    ]
    return [line for wrapped in lines for line in wrapped]


def _entries_named(name: str, entries: Catalogue) -> Catalogue:
    """Return the entries of every topic that have this name, ignoring case, '-' and '_'."""
    wanted = {_plain(name), *map(_plain, isthmus.metrics.expand_alias(name))}
    found = {
        topic: {entry: about for entry, about in entries_of_topic.items() if _plain(entry) in wanted}
        for topic, entries_of_topic in entries.items()
    }
    found = {topic: entries_of_topic for topic, entries_of_topic in found.items() if entries_of_topic}
    if not found:
        raise unknown_name("entry", name, [*TOPICS, *KINDS, *(entry for known in entries.values() for entry in known)])
    return found


def _plain(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")


def _metrics() -> dict[str, dict[str, Any]]:
    from isthmus.utils.format import json_number

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


def _losses() -> dict[str, dict[str, str]]:
    from isthmus.train._registry import read_losses

    def use(spec: dict[str, Any]) -> str:
        return "trains alone" if spec["standalone"] else f"a term beside InfoNCE, weight {spec['weight']:g}"

    return {
        name: {"definition": spec["definition"], "about": f"{use(spec)}; {spec['source']}"}
        for name, spec in read_losses().items()
    }


def _sources() -> dict[str, dict[str, Any]]:
    stores = isthmus.sources.stores
    kinds = {**isthmus.sources.formats, **stores}
    return {
        name: {"definition": getattr(known, "description", name), "store": name in stores}
        for name, known in sorted(kinds.items())
    }


def _experiments() -> dict[str, dict[str, str]]:
    from isthmus.studies.theorems import experiments

    return {
        name: {
            "definition": f"{known.title} ({known.kind}). {known.claim}",
            "about": f"`isthmus theory {name}` runs it",
        }
        for name, known in experiments().items()
    }


def _runs() -> dict[str, dict[str, str]]:
    return {name: {"definition": about} for name, about in isthmus.demo.RUNS.items()}


_LISTS: dict[str, Callable[[], dict[str, dict[str, Any]]]] = {
    "metrics": _metrics,
    "aligners": _aligners,
    "tasks": _tasks,
    "losses": _losses,
    "sources": _sources,
    "experiments": _experiments,
    "runs": _runs,
}
