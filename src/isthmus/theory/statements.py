"""What each theorem assumes and claims, and whether it applies about data whose assumptions were measured.

Theorems and corollaries are those of Yi, Douady and Chen (2025), arXiv 2510.03268; the affine case is derived here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Theorem:
    """Whether a theorem `applies` about the data: None where an assumption could not be tested and none fails.

    `fails` and `untested` name its assumptions of these kinds; `message` says what it claims and what is seen here.
    """

    name: str
    applies: bool | None
    needs: tuple[str, ...]
    fails: tuple[str, ...]
    untested: tuple[str, ...]
    message: str


#: Assumptions that each side has: their names end with the name of the modality.
OF_A_SIDE = ("cone", "von_mises_fisher", "subspace", "constant_part", "offset_and_shared_only")


def display_name(name: str, /) -> str:
    """The name of an assumption in words.

    >>> display_name("von_mises_fisher_image"), display_name("cone_my_text"), display_name("gap_is_the_angle")
    ('von Mises-Fisher (image)', 'cone (my_text)', 'gap is the angle')
    """
    kind = next((k for k in OF_A_SIDE if name.startswith(f"{k}_")), name)
    side = name.removeprefix(kind).removeprefix("_")
    words = kind.replace("_", " ").replace("von mises fisher", "von Mises-Fisher")
    return f"{words} ({side})" if side else words


def theorems(found: Mapping[str, Any], names: tuple[str, str], /) -> dict[str, Theorem]:
    """Every theorem by name, judged by the assumptions `found` (with `holds`) for modalities of these `names`."""
    x, y = names
    cone = (f"cone_{x}", f"cone_{y}")
    fisher = (f"von_mises_fisher_{x}", f"von_mises_fisher_{y}")
    subspaces = (f"subspace_{x}", f"subspace_{y}", "different_subspaces")
    affine = tuple(f"{kind}_{side}" for kind in ("constant_part", "offset_and_shared_only") for side in (x, y))
    needs = {
        "theorem 1": (),
        "theorem 2": (*cone, *fisher),
        "theorem 3": (*cone, *fisher, *subspaces, "not_saturated"),
        "theorem 4": (*subspaces, "orthogonal_centres", "isometry"),
        "corollary rotation": (*subspaces, "orthogonal_centres", "gap_is_the_angle"),
        "corollary projection": ("shared_space", "equal_projections"),
        "affine case": (*cone, "shared_space", "orthogonal_centres", *affine),
    }
    concludes = {
        "theorem 1": ("optimum",),
        "theorem 3": ("orthogonal_centres", "gap_is_the_angle"),
        "theorem 4": ("equal_projections",),
    }
    claims = {
        "theorem 1": "without constraints the optimum has equal partners spread evenly, and means that vanish; its "
        "bound holds for every embedding",
        "theorem 2": "two cones alone have no gap at the optimum (they may keep one that they started with)",
        "theorem 3": "cones in two subspaces end with centres orthogonal to what they share (A6) and a gap of the "
        "angle between them (A7)",
        "theorem 4": "centres orthogonal to the shared space then give partners one projection on it (A8), and a "
        "cosine below 1",
        "corollary rotation": "rotating one hyperplane onto the other closes the gap",
        "corollary projection": "projecting on the shared space aligns partners",
        "affine case": "with a constant offset orthogonal to the shared space the loss does not see the gap at all: it "
        "neither makes it nor mends it",
    }
    judged = {}
    for name, needed in needs.items():
        fails = tuple(n for n in needed if found[n].holds is False)
        untested = tuple(n for n in needed if found[n].holds is None)
        applies = False if fails else None if untested else True
        words = _spoken(claims[name], needed, fails, untested)
        missed = [display_name(n) for n in concludes.get(name, ()) if found[n].holds is False]
        if applies and missed:
            words += f" What it says of the optimum is not seen ({', '.join(missed)}): these embeddings are not there."
        judged[name] = Theorem(name, applies, needed, fails, untested, words)
    return judged


def _spoken(claim: str, needed: tuple[str, ...], fails: tuple[str, ...], untested: tuple[str, ...]) -> str:
    listed = ", ".join(map(display_name, fails or untested))
    if not needed:
        return f"It says that {claim}. It assumes nothing but unit rows."
    if fails:
        return f"It says that {claim}. It does not speak about these embeddings, because of: {listed}."
    if untested:
        return f"It says that {claim}. Whether it applies about these embeddings is open; not tested: {listed}."
    return f"It says that {claim}. Its assumptions hold here."
