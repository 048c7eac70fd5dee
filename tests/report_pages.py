"""Small examples of every page, and the checks that each of them passes in a browser."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import isthmus
from isthmus.evaluation.interventions import intervene
from isthmus.reporting.comparison_page import comparison_page
from isthmus.reporting.intervention_page import intervention_page
from isthmus.reporting.modalities_page import modalities_page
from isthmus.reporting.models_page import models_page
from shifted_pairs import shifted_pairs

#: A modality name from outside that breaks out of scripts, attributes and lines, and turns text around.
HOSTILE = "</script><script>alert(1)</script> \"quotes\" 'single' \u202egnp.exe \x07 <b>"
#: axe-core, which `make test` installs with npm where there is one.
AXE = Path(os.environ.get("ISTHMUS_AXE", Path(sys.prefix) / "npm/node_modules/axe-core/axe.min.js"))


def columns_of_numbers(page: Path) -> list[list[str]]:
    """Return the numbers with decimals of each column of each table, without angles and percentages."""
    columns = []
    for html in re.findall(r"<table.*?</table>", page.read_text(encoding="utf-8"), re.DOTALL):
        rows = [re.findall(r"<td.*?</td>", row, re.DOTALL) for row in html.split("<tr")[2:]]
        columns += [re.findall(r"\d+\.\d+(?!\d|°| %)", " ".join(cells)) for cells in zip(*rows, strict=True)]
    return columns


def write_comparison(path: Path, names: tuple[str, str]) -> None:
    pairs = shifted_pairs(60, 8, names=names)
    comparison_page(isthmus.compare(pairs, aligners=["Centering", "ScoreCalibration"], splits=1), path)


def write_interventions(path: Path, names: tuple[str, str]) -> None:
    intervention_page(intervene(shifted_pairs(60, 8, names=names), interventions=["translate", "collapse"]), path)


def write_modalities(path: Path, names: tuple[str, str]) -> None:
    pairs = shifted_pairs(60, 8, names=names)
    x, y = np.asarray(pairs.x.rows), np.asarray(pairs.y.rows)
    modalities_page(isthmus.Modalities(**{names[0]: x, names[1]: y, "audio": y[:, ::-1] + x}).explain(), path)


def write_models(path: Path, names: tuple[str, str]) -> None:
    models = {f"{names[0]} {seed}": shifted_pairs(60, 8, seed=seed) for seed in range(2)}
    models_page(isthmus.compare_models(models), path)


def write_theory(path: Path, names: tuple[str, str]) -> None:
    from isthmus.studies.theorems import page

    page.run_all(path.parent, names=["certificate"], quick=True).rename(path)


def write_training(path: Path, names: tuple[str, str]) -> None:
    """Write the page of trainings that were made up: measures of 60 epochs that rise or fall with the imposed angle."""
    from isthmus.studies.training import StudyResult, write_page

    write_page(StudyResult({part: training_runs(part) for part in ("collapse", "losses", "alternatives")}), path)


def training_runs(part: str) -> list[Any]:
    """Return made-up trainings of one part of the study, with three seeds for each setting."""
    from isthmus.studies.training import Setting, TrainingRun

    settings = {
        "collapse": [
            {"regime": regime, "rank": rank, "angle": angle, "temperature": "learned"}
            for regime, rank in (("affine", 16), ("mean_length_penalty", 8))
            for angle in (30.0, 60.0, 90.0)
        ],
        "losses": [{"temperature": temperature} for temperature in ("0.01", "learned", "0.2")],
        "alternatives": [{"temperature": "0.01", **switch} for switch in ({}, {"shuffled_fraction": 0.5})],
    }[part]
    rng, runs = np.random.default_rng(0), []
    for options in settings:
        for seed in range(3):
            angle = float(options.get("angle", 40.0))  # type: ignore[arg-type]
            points = []
            for epoch in (0.0, 3.0, 12.0, 60.0):
                share = 0.2 + 0.5 * epoch / 60 + 0.02 * rng.random()
                numbers = dict.fromkeys(
                    (
                        "gap_distance", "length_image", "length_text", "cosine", "ceiling", "alignment", "R@1",
                        "centre_in_shared", "budget_centre", "budget_orientation", "mixed_R@1", "mixed_NDCG@10",
                        "zero_shot_accuracy", "imposed_ceiling",
                    ),
                    share,
                )  # fmt: skip
                ranks = dict.fromkeys(("effective_rank_image", "effective_rank_text"), 20 * share)
                points.append({"epoch": epoch, "gap": angle + rng.random(), **numbers, **ranks})
            runs.append(TrainingRun(Setting(seed=seed, **options), points, 1.0, 1.0))  # type: ignore[arg-type]
    return runs


PAGES: dict[str, Callable[[Path, tuple[str, str]], None]] = {
    "comparison": write_comparison,
    "interventions": write_interventions,
    "modalities": write_modalities,
    "models": write_models,
    "theory": write_theory,
}
if importlib.util.find_spec("torch") is not None:
    PAGES["training"] = write_training


@contextlib.contextmanager
def heard(view: Any) -> Iterator[tuple[list[str], list[str]]]:
    """Yield what the console of a window says meanwhile, errors of the page too, and what it asks the network for."""
    messages: list[str] = []
    requests: list[str] = []
    listeners = {
        "console": lambda message: messages.append(message.text),
        "pageerror": lambda error: messages.append(str(error)),
        "request": lambda request: requests.append(request.url),
    }
    for event, listener in listeners.items():
        view.on(event, listener)
    try:
        yield messages, requests
    finally:
        for event, listener in listeners.items():
            view.remove_listener(event, listener)


def violations(view: Any) -> list[str]:
    """Return what axe-core finds on an opened page with every folded part open."""
    view.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    view.evaluate(AXE.read_text(encoding="utf-8"))
    return [f"{v['id']}: {v['nodes'][0]['html'][:200]}" for v in view.evaluate("axe.run()")["violations"]]


def figure_texts(view: Any) -> tuple[float, list[list[str]], list[str]]:
    """Return the smallest text of the figures in pixels, texts that overlap, and texts outside their figure."""
    view.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    smallest, overlaps, outside = view.evaluate(
        """() => {
        const sizes = [], overlaps = [], outside = [];
        for (const svg of document.querySelectorAll('svg')) {
          const frame = svg.getBoundingClientRect();
          const texts = [...svg.querySelectorAll('text')].filter((t) => t.textContent.trim() && frame.width);
          const boxes = texts.map((t) => t.getBoundingClientRect());
          texts.forEach((t, i) => {
            const matrix = t.getScreenCTM();
            sizes.push(parseFloat(getComputedStyle(t).fontSize) * Math.hypot(matrix.a, matrix.b));
            const box = boxes[i];
            const across = Math.min(box.left - frame.left, frame.right - box.right);
            const along = Math.min(box.top - frame.top, frame.bottom - box.bottom);
            if (Math.min(across, along) < -2) outside.push(t.textContent);
            for (let j = 0; j < i; j++) {
              const [a, b] = [boxes[i], boxes[j]];
              const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
              const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
              if (wide > 3 && high > 4) overlaps.push([t.textContent, texts[j].textContent]);
            }
          });
        }
        return [Math.min(99, ...sizes), overlaps, outside];
      }"""
    )
    return float(smallest), overlaps, outside


def smallest_text(view: Any) -> float:
    """Return the size in pixels of the smallest text outside figures."""
    return float(
        view.evaluate(
            "Math.min(...[...document.querySelectorAll('body *')]"
            ".filter(e => !e.closest('svg, script, style') && e.innerText?.trim() && e.offsetParent)"
            ".map(e => parseFloat(getComputedStyle(e).fontSize)))"
        )
    )
