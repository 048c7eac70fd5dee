"""State in plain sentences which theorems about the gap describe these embeddings, and which do not."""

from __future__ import annotations

from isthmus.theory.assumptions import Check
from isthmus.theory.statements import CONCLUSIONS, OF_ONE_MODALITY

#: Headings. A theorem is proved, so that it is not false where it does not describe the data.
DESCRIBE, DO_NOT_DESCRIBE = "Describe these embeddings", "Do not describe these embeddings"
#: Theorem -> its claim in words that need no theory.
CLAIMS = {
    "theorem 1": "without any constraint the loss is lowest when matching rows are equal and spread evenly, without "
    "a gap",
    "theorem 2": "two narrow cones of rows make no gap by themselves",
    "theorem 3": "two cones that collapsed into different subspaces end with a gap as wide as the angle between these",
    "theorem 4": "with means at right angles to the shared dimensions, matching rows are equal inside these "
    "dimensions and differ outside",
    "corollary rotation": "turning the subspace of one modality onto the other one closes the gap",
    "corollary projection": "keeping only the shared dimensions makes matching rows parallel",
    "affine case": "with rows of a constant offset plus shared content, the loss neither makes nor closes the gap",
}
#: Assumption -> the words if it fails. `{}` stands for the modality.
FAILURES = {
    "cone": "the rows of {} have no mean direction",
    "von_mises_fisher": "the rows of {} do not scatter evenly around their mean",
    "subspace": "the rows of {} do not lie in a subspace",
    "different_subspaces": "both modalities lie in one subspace",
    "not_saturated": "the loss is saturated",
    "shared_space": "no shared dimension exceeds chance",
    "orthogonal_centres": "the means are not at right angles to the shared dimensions",
    "gap_is_the_angle": "the gap is not the angle between the two subspaces",
    "isometry": "matching rows have different cosines with their own means",
    "constant_part": "the rows of {} vary along their mean",
    "offset_and_shared_only": "the rows of {} hold more than an offset and the shared dimensions",
    "equal_projections": "matching rows differ inside the shared dimensions",
    "optimum": "the loss is above its lower bound",
}


def theorem_sentences(check: Check, /) -> dict[str, list[str]]:
    """Return each claim, and why it fails, under 'Describe these embeddings' and other headings.

    Parameters
    ----------
    check : Check
        Assumptions and theorems of these embeddings.

    Returns
    -------
    dict of str to list of str
        Headings without a theorem are left out.
    """
    groups: dict[str, list[str]] = {DESCRIBE: [], DO_NOT_DESCRIBE: [], "Cannot be judged here": []}
    for name, theorem in check.theorems.items():
        claim = f"{name[0].upper()}{name[1:]}: {CLAIMS[name]}"
        fails = theorem.fails or tuple(end for end in CONCLUSIONS.get(name, ()) if check[end].holds is False)
        if theorem.applies is None:
            reason = check[theorem.untested[0]].message.removeprefix("cannot be tested: ")
            groups["Cannot be judged here"].append(f"{claim} ({reason}).")
        elif fails:
            groups[DO_NOT_DESCRIBE].append(f"{claim}. Here {_reasons(fails)}.")
        else:
            groups[DESCRIBE].append(f"{claim}.")
    return {heading: sentences for heading, sentences in groups.items() if sentences}


def _reasons(fails: tuple[str, ...]) -> str:
    """Return the failed assumptions in words, those of both modalities once."""
    modalities: dict[str, list[str]] = {}
    for name in fails:
        stem = next((stem for stem in OF_ONE_MODALITY if name.startswith(f"{stem}_")), name)
        modalities.setdefault(stem, []).append(name.removeprefix(f"{stem}_"))
    reasons = [FAILURES[stem].format(" and ".join(names)) for stem, names in modalities.items()]
    return ", and ".join(filter(None, [", ".join(reasons[:-1]), reasons[-1]]))
