"""Small examples of every page, and the checks that each of them passes in a browser."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
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


PAGES: dict[str, Callable[[Path, tuple[str, str]], None]] = {
    "comparison": write_comparison,
    "interventions": write_interventions,
    "modalities": write_modalities,
    "models": write_models,
    "theory": write_theory,
}


def violations(view: Any) -> list[str]:
    """Return what axe-core finds on an opened page with every folded part open."""
    view.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    view.evaluate(AXE.read_text(encoding="utf-8"))
    return [f"{v['id']}: {v['nodes'][0]['html'][:200]}" for v in view.evaluate("axe.run()")["violations"]]


def smallest_text(view: Any) -> float:
    """Return the size in pixels of the smallest text outside figures."""
    return float(
        view.evaluate(
            "Math.min(...[...document.querySelectorAll('body *')]"
            ".filter(e => !e.closest('svg, script, style') && e.innerText?.trim() && e.offsetParent)"
            ".map(e => parseFloat(getComputedStyle(e).fontSize)))"
        )
    )
