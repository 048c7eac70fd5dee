"""The result of the causal experiment: its runs, and what they say about the theory, the chain and the losses."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from isthmus.statistics.result import Estimate
from isthmus.studies.training.causal_links import NAMES, Link, causal_links
from isthmus.studies.training.claims import HOLDS, PARTLY, Claim, evaluate_claims
from isthmus.studies.training.grid import SHARED_SPACE_SETTINGS
from isthmus.studies.training.seed_statistics import groups, paired
from isthmus.studies.training.settings import Setting
from isthmus.studies.training.trainer import Run
from isthmus.utils.files import FORMAT_VERSION, atomic_path
from isthmus.utils.format import number
from isthmus.utils.version import __version__

#: What SharedSpaceAlignment is compared with InfoNCE on.
COMPARED = ("R@1", "mixed_R@1", "mixed_NDCG@10", "effective_rank_image", "effective_rank_text", "zero_shot_accuracy",
            "alignment", "cosine")  # fmt: skip


@dataclass(frozen=True)
class StudyResult:
    """`runs` by part of the grid."""

    runs: Mapping[str, Sequence[Run]]

    @cached_property
    def claims(self) -> list[Claim]:
        """The theory's statements about imposed collapse, judged."""
        return evaluate_claims(self.runs.get("collapse", []))

    @cached_property
    def links(self) -> list[Link]:
        """The links of the chain, judged."""
        others = [*self.runs.get("losses", []), *self.runs.get("alternatives", [])]
        return causal_links(self.runs.get("collapse", []), list({run.setting: run for run in others}.values()))

    @cached_property
    def shared(self) -> dict[Setting, dict[str, Estimate]]:
        """Each setting of SharedSpaceAlignment minus InfoNCE on the same seeds: name -> paired difference."""
        found = groups(itertools.chain(self.runs.get("shared_space", []), self.runs.get("ablations", [])))
        base = [run for run in self.runs.get("shared_space", []) if run.setting.loss == "InfoNCE"]
        return {
            setting: {name: paired(some, base, name) for name in COMPARED}
            for setting, some in found.items()
            if setting.loss != "InfoNCE"
        }

    def sentences(self) -> list[str]:
        """What was found, in a few sentences."""
        said = []
        for statement in dict.fromkeys(s.statement for s in self.claims):
            mine = [s for s in self.claims if s.statement == statement]
            kept = [s.case for s in mine if s.verdict == HOLDS]
            where = "in every case" if len(kept) == len(mine) else f"in {len(kept)} of {len(mine)} cases"
            partly = sum(s.verdict == PARTLY for s in mine)
            where += f" and in part of the runs in {partly}" if partly else ""
            listed = f": {'; '.join(kept)}" if 0 < len(kept) < len(mine) else ""
            said.append(f"'{statement[0].upper()}{statement[1:]}' holds {where}{listed}.")
        for among in dict.fromkeys(link.among for link in self.links):
            kept = [link.words for link in self.links if link.among == among and link.verdict == HOLDS]
            said.append(f"{among[0].upper()}{among[1:]}: these links hold: {'; '.join(kept) or 'none'}.")
        for setting, found in self.shared.items():
            if setting in SHARED_SPACE_SETTINGS:
                changes = ", ".join(
                    f"{NAMES[name]} {change(found[name])}" for name in ("R@1", "mixed_R@1", "effective_rank_image")
                )
                said.append(f"{describe(setting)} less InfoNCE: {changes}.")
        return said

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; absent numbers are None."""

        def plain(link: Link) -> dict[str, Any]:
            return {**asdict(link), "correlation": link.correlation.to_dict(), "share": link.share.to_dict()}

        return {
            "format": FORMAT_VERSION,
            "kind": "causal experiment",
            "version": __version__,
            "statements": [asdict(s) for s in self.claims],
            "links": [plain(link) for link in self.links],
            "shared": [
                {
                    "weight": setting.weight,
                    "k": setting.k,
                    "estimator": setting.estimator,
                    **{name: e.to_dict() for name, e in found.items()},
                }
                for setting, found in self.shared.items()
            ],
            "runs": {part: [run.to_dict() for run in some] for part, some in self.runs.items()},
        }

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write JSON to `path`; the file appears whole or not at all."""
        with atomic_path(path) as part:
            part.write_text(json.dumps(self.to_dict(), allow_nan=False) + "\n", encoding="utf-8")


def describe(setting: Setting) -> str:
    """'SharedSpaceAlignment, weight 1, 8 directions, cross covariance', what stands at its default left out."""
    parts = [setting.loss]
    parts += [f"weight {setting.weight:g}"] if setting.weight else []
    parts += [f"{setting.k} directions"] if setting.k else []
    return ", ".join([*parts, *([setting.estimator.replace("_", " ")] if setting.estimator else [])])


def change(estimate: Estimate) -> str:
    """'+0.012 (-0.003 to +0.027)', or why it is undefined."""
    if estimate.undefined:
        return estimate.undefined
    return f"{estimate.value:+.3f} ({estimate.low:+.3f} to {estimate.high:+.3f})"


def shown(estimate: Estimate, *, digits: int | None = None, even: bool = False) -> str:
    """'0.34 (0.32 to 0.36)', with `even` intervals '0.34 ± 0.02', or why it is undefined."""
    if estimate.undefined:
        return estimate.undefined

    def text(value: float) -> str:
        return number(value) if digits is None else f"{value:.{digits}f}"

    interval = "" if estimate.low != estimate.low else f" ({text(estimate.low)} to {text(estimate.high)})"
    if even and interval:
        interval = f" ± {text(estimate.high - estimate.value)}"
    note = f", {estimate.note}" if estimate.note else ""
    return text(estimate.value) + interval + note
