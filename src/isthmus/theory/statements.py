"""Assumptions with their residuals, and the theorems that apply if the assumptions hold.

Theorems and corollaries are those of Yi, Douady and Chen (2025), arXiv 2510.03268. The affine case is derived here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from isthmus.utils.format import json_number, number_from_json


@dataclass(frozen=True)
class Assumption:
    """One assumption and its residual on data.

    Parameters
    ----------
    name : str
        Name, which ends with the name of the modality if it is about one.
    statement : str
        The assumption in words.
    residual : float
        Distance from the assumption, 0 if it holds exactly. NaN if it cannot be tested.
    unit : str
        Unit of the residual.
    tolerance : float
        Largest residual with which the assumption counts as holding.
    holds : bool or None
        None if it cannot be tested.
    message : str
        The measured values, or the reason why it cannot be tested.

    References
    ----------
    .. [1] Yi, Douady and Chen (2025), arXiv 2510.03268.

    Examples
    --------
    >>> Assumption("isometry", "x.c_x = y.c_y", 0.01, "cosine", 0.02, True, "difference 0.01").holds
    True
    """

    name: str
    statement: str
    residual: float
    unit: str
    tolerance: float
    holds: bool | None
    message: str

    @classmethod
    def tested(
        cls, name: str, statement: str, residual: float, unit: str, tolerance: float, message: str, /
    ) -> Assumption:
        """Build an assumption that holds if its residual is at most the tolerance.

        Parameters
        ----------
        name : str
            Name of the assumption.
        statement : str
            The assumption in words.
        residual : float
            Distance from the assumption.
        unit : str
            Unit of the residual.
        tolerance : float
            Largest residual with which it counts as holding.
        message : str
            The measured values.

        Returns
        -------
        Assumption
            With `holds` set.
        """
        return cls(name, statement, residual, unit, tolerance, bool(residual <= tolerance), message)

    @classmethod
    def untested(cls, name: str, statement: str, unit: str, tolerance: float, reason: str, /) -> Assumption:
        """Build an assumption that cannot be tested.

        Parameters
        ----------
        name : str
            Name of the assumption.
        statement : str
            The assumption in words.
        unit : str
            Unit of the residual.
        tolerance : float
            Largest residual with which it would count as holding.
        reason : str
            Why it cannot be tested.

        Returns
        -------
        Assumption
            With a residual of NaN and `holds` None.
        """
        return cls(name, statement, math.nan, unit, tolerance, None, f"cannot be tested: {reason}")

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values.

        Returns
        -------
        dict
            Every field, `message` under the key `words`. A residual of NaN is None.
        """
        values = asdict(self) | {"residual": json_number(self.residual)}
        return values | {"words": values.pop("message")}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], /) -> Assumption:
        """Return the assumption that `to_dict` wrote.

        Parameters
        ----------
        content : mapping
            Result of `to_dict`.

        Returns
        -------
        Assumption
            The assumption.
        """
        values = {**content, "residual": number_from_json(content["residual"]), "message": content["words"]}
        return cls(**{field.name: values[field.name] for field in fields(cls)})


@dataclass(frozen=True)
class Theorem:
    """A theorem, and whether it applies to data.

    Parameters
    ----------
    name : str
        Name of the theorem.
    applies : bool or None
        None if an assumption cannot be tested and none fails.
    needs : tuple of str
        Names of its assumptions.
    fails : tuple of str
        Assumptions that fail.
    untested : tuple of str
        Assumptions that cannot be tested.
    message : str
        The claim, and whether it applies.

    References
    ----------
    .. [1] Yi, Douady and Chen (2025), arXiv 2510.03268.

    Examples
    --------
    >>> Theorem("theorem 1", True, (), (), (), "It states ...").applies
    True
    """

    name: str
    applies: bool | None
    needs: tuple[str, ...]
    fails: tuple[str, ...]
    untested: tuple[str, ...]
    message: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values.

        Returns
        -------
        dict
            Every field, `applies` under the key `speaks` and `message` under the key `words`.
        """
        values = asdict(self)
        return values | {"speaks": values.pop("applies"), "words": values.pop("message")}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], /) -> Theorem:
        """Return the theorem that `to_dict` wrote.

        Parameters
        ----------
        content : mapping
            Result of `to_dict`.

        Returns
        -------
        Theorem
            The theorem.
        """
        needs, fails, untested = (tuple(content[name]) for name in ("needs", "fails", "untested"))
        return cls(content["name"], content["speaks"], needs, fails, untested, content["words"])


#: Assumptions about one modality. Their names end with the name of that modality.
OF_ONE_MODALITY = ("cone", "von_mises_fisher", "subspace", "constant_part", "offset_and_shared_only")

#: Theorem -> its claim, after "It states that".
CLAIMS = {
    "theorem 1": "without constraints the optimum has equal matching rows, evenly spread, and means of zero; its bound "
    "on the loss holds for all embeddings",
    "theorem 2": "two cones alone have no gap at the optimum (though they may keep an initial gap)",
    "theorem 3": "cones in two subspaces end with centres orthogonal to the shared space and a gap that equals the "
    "angle between the subspaces",
    "theorem 4": "centres orthogonal to the shared space then give matching rows the same projection on it, and a "
    "cosine below 1",
    "corollary rotation": "rotating one hyperplane onto the other closes the gap",
    "corollary projection": "projecting on the shared space aligns matching rows",
    "affine case": "with a constant offset orthogonal to the shared space the loss does not depend on the gap, so that "
    "training neither makes nor closes it",
}
#: Theorem -> assumptions that its conclusion would make true.
CONCLUSIONS = {
    "theorem 1": ("optimum",),
    "theorem 3": ("orthogonal_centres", "gap_is_the_angle"),
    "theorem 4": ("equal_projections",),
}


def display_name(name: str, /) -> str:
    """Return the name of an assumption in words.

    >>> display_name("von_mises_fisher_image"), display_name("cone_my_text"), display_name("gap_is_the_angle")
    ('von Mises-Fisher (image)', 'cone (my_text)', 'gap is the angle')
    """
    stem = next((prefix for prefix in OF_ONE_MODALITY if name.startswith(f"{prefix}_")), name)
    modality = name.removeprefix(stem).removeprefix("_")
    text = stem.replace("_", " ").replace("von mises fisher", "von Mises-Fisher")
    return f"{text} ({modality})" if modality else text


def apply_theorems(assumptions: Mapping[str, Assumption], names: tuple[str, str], /) -> dict[str, Theorem]:
    """Return every theorem by name, judged by the assumptions on data with modalities of these `names`."""
    return {name: _apply(name, needs, assumptions) for name, needs in _needs(*names).items()}


def _needs(x: str, y: str) -> dict[str, tuple[str, ...]]:
    """Return the assumptions of each theorem for modalities `x` and `y`."""
    cone = (f"cone_{x}", f"cone_{y}")
    fisher = (f"von_mises_fisher_{x}", f"von_mises_fisher_{y}")
    subspaces = (f"subspace_{x}", f"subspace_{y}", "different_subspaces")
    affine = tuple(f"{stem}_{name}" for stem in ("constant_part", "offset_and_shared_only") for name in (x, y))
    return {
        "theorem 1": (),
        "theorem 2": (*cone, *fisher),
        "theorem 3": (*cone, *fisher, *subspaces, "not_saturated"),
        "theorem 4": (*subspaces, "orthogonal_centres", "isometry"),
        "corollary rotation": (*subspaces, "orthogonal_centres", "gap_is_the_angle"),
        "corollary projection": ("shared_space", "equal_projections"),
        "affine case": (*cone, "shared_space", "orthogonal_centres", *affine),
    }


def _apply(name: str, needs: tuple[str, ...], assumptions: Mapping[str, Assumption]) -> Theorem:
    fails = tuple(need for need in needs if assumptions[need].holds is False)
    untested = tuple(need for need in needs if assumptions[need].holds is None)
    applies = False if fails else None if untested else True
    listed = ", ".join(map(display_name, fails or untested))
    is_one = len(fails or untested) == 1
    message = f"It states that {CLAIMS[name]}. "
    if not needs:
        message += "It assumes only unit rows."
    elif fails:
        reason = "this assumption fails" if is_one else "these assumptions fail"
        message += f"It does not apply to these embeddings, because {reason}: {listed}."
    elif untested:
        reason = "this was" if is_one else "these were"
        message += f"It is open whether it applies to these embeddings, because {reason} not tested: {listed}."
    else:
        message += "Its assumptions hold here."
    missed = [display_name(end) for end in CONCLUSIONS.get(name, ()) if assumptions[end].holds is False]
    if applies and missed:
        message += f" Its conclusion is not seen ({', '.join(missed)}): these embeddings are not at the optimum."
    return Theorem(name, applies, needs, fails, untested, message)
