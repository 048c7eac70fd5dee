"""Result of the study: its runs, and what they show about the theory, the causal chain and the losses."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from isthmus.statistics.result import Estimate
from isthmus.studies.training.causal_links import DISPLAY_NAMES, MIN_CORRELATION, Link, causal_links
from isthmus.studies.training.claims import HOLDS, PARTLY, Claim, evaluate_claims
from isthmus.studies.training.grid import SHARED_SPACE_SETTINGS
from isthmus.studies.training.panels import Panel, study_panels
from isthmus.studies.training.seed_statistics import group_by_setting, paired_difference
from isthmus.studies.training.settings import Setting
from isthmus.studies.training.trainer import TrainingRun
from isthmus.utils.files import FORMAT_VERSION, atomic_path
from isthmus.utils.format import number
from isthmus.utils.version import __version__

#: Measures in the comparison of SharedSpaceAlignment with InfoNCE.
COMPARED_MEASURES = (
    *("R@1", "mixed_R@1", "mixed_NDCG@10", "effective_rank_image", "effective_rank_text", "zero_shot_accuracy"),
    *("alignment", "cosine"),
)


@dataclass(frozen=True)
class StudyResult:
    """Evaluate the runs of the study.

    Parameters
    ----------
    runs : mapping of str to sequence of TrainingRun
        Runs by part of the grid.

    Examples
    --------
    >>> StudyResult({}).claims
    []
    """

    runs: Mapping[str, Sequence[TrainingRun]]

    @cached_property
    def claims(self) -> list[Claim]:
        """Claims of the theory about imposed collapse, with verdicts."""
        return evaluate_claims(self.runs.get("collapse", []))

    def panels(self) -> dict[str, Panel]:
        """Return every panel of the figures of the page, for `isthmus.plot.study`.

        Returns
        -------
        dict of str to callable
            Functions that draw on an axis, by the name of the panel.
        """
        return study_panels(self.runs)

    @cached_property
    def links(self) -> list[Link]:
        """Links of the causal chain, with verdicts."""
        other_runs = [*self.runs.get("losses", []), *self.runs.get("alternatives", [])]
        return causal_links(self.runs.get("collapse", []), list({run.setting: run for run in other_runs}.values()))

    @cached_property
    def shared_space_differences(self) -> dict[Setting, dict[str, Estimate]]:
        """Paired differences of SharedSpaceAlignment minus InfoNCE by setting and measure."""
        groups = group_by_setting(itertools.chain(self.runs.get("shared_space", []), self.runs.get("ablations", [])))
        base = [run for run in self.runs.get("shared_space", []) if run.setting.loss == "InfoNCE"]
        return {
            setting: {name: paired_difference(runs, base, name) for name in COMPARED_MEASURES}
            for setting, runs in groups.items()
            if setting.loss != "InfoNCE"
        }

    def sentences(self) -> list[str]:
        """Summarise the claims, the links and the differences.

        Returns
        -------
        list of str
            Sentences, the claims first.
        """
        sentences = []
        for statement in dict.fromkeys(claim.statement for claim in self.claims):
            claims = [claim for claim in self.claims if claim.statement == statement]
            cases = [claim.case for claim in claims if claim.verdict == HOLDS]
            extent = "in every case" if len(cases) == len(claims) else f"in {len(cases)} of {len(claims)} cases"
            n_partly = sum(claim.verdict == PARTLY for claim in claims)
            extent += f" and in some runs of {n_partly}" if n_partly else ""
            listed = f": {'; '.join(cases)}" if 0 < len(cases) < len(claims) else ""
            sentences.append(f"'{statement[0].upper()}{statement[1:]}' holds {extent}{listed}.")
        for group in dict.fromkeys(link.among for link in self.links):
            labels = [link.label for link in self.links if link.among == group and link.verdict == HOLDS]
            sentences.append(
                f"Causes and effects that go together over the runs '{group}' (rank correlation of "
                f"{MIN_CORRELATION:g} or more): {'; '.join(labels) or 'none'}."
            )
        for setting, differences in self.shared_space_differences.items():
            if setting in SHARED_SPACE_SETTINGS:
                changes = ", ".join(
                    f"{DISPLAY_NAMES[name]} {format_difference(differences[name])}"
                    for name in ("R@1", "mixed_R@1", "effective_rank_image")
                )
                sentences.append(f"{describe_setting(setting)} minus InfoNCE: {changes}.")
        return sentences

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values, with None for undefined numbers.

        Returns
        -------
        dict
            Claims, links, differences and runs.
        """

        def link_values(link: Link) -> dict[str, Any]:
            return {**asdict(link), "correlation": link.correlation.to_dict(), "share": link.share.to_dict()}

        return {
            "format": FORMAT_VERSION,
            "kind": "causal experiment",
            "version": __version__,
            "statements": [asdict(claim) for claim in self.claims],
            "links": [link_values(link) for link in self.links],
            "shared": [
                {
                    "weight": setting.weight,
                    "k": setting.k,
                    "estimator": setting.estimator,
                    **{name: estimate.to_dict() for name, estimate in differences.items()},
                }
                for setting, differences in self.shared_space_differences.items()
            ],
            "runs": {name: [run.to_dict() for run in runs] for name, runs in self.runs.items()},
        }

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write JSON to `path` atomically.

        Parameters
        ----------
        path : path
            File to write.
        """
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps(self.to_dict(), allow_nan=False) + "\n", encoding="utf-8")


def describe_setting(setting: Setting) -> str:
    """Return a description without defaults: 'SharedSpaceAlignment, weight 1, 8 directions, cross covariance'."""
    items = [setting.loss]
    items += [f"weight {setting.weight:g}"] if setting.weight else []
    items += [f"{setting.k} directions"] if setting.k else []
    items += [setting.estimator.replace("_", " ")] if setting.estimator else []
    return ", ".join(items)


def format_difference(estimate: Estimate) -> str:
    """Return '+0.012 (-0.003 to +0.027)', or why the difference is undefined."""
    if estimate.undefined:
        return estimate.undefined
    return f"{estimate.value:+.3f} ({estimate.low:+.3f} to {estimate.high:+.3f})"


def format_estimate(estimate: Estimate, *, digits: int | None = None, symmetric: bool = False) -> str:
    """Return '0.34 (0.32 to 0.36)', for a `symmetric` interval '0.34 ± 0.02', or why the value is undefined."""
    if estimate.undefined:
        return estimate.undefined

    def text(value: float) -> str:
        return number(value) if digits is None else f"{value:.{digits}f}"

    interval = "" if estimate.low != estimate.low else f" ({text(estimate.low)} to {text(estimate.high)})"
    if symmetric and interval:
        interval = f" ± {text(estimate.high - estimate.value)}"
    note = f", {estimate.note}" if estimate.note else ""
    return text(estimate.value) + interval + note
