"""Symbols of the experiments and their meanings."""

from __future__ import annotations

import re

#: Symbol -> its meaning, and the pattern that finds it in a text.
SYMBOLS = {
    "x, y": ("unit rows of the two modalities, in N matching pairs", r"\b[xy]\b"),
    "h": ("number of dimensions", r"\bh\b"),
    "N": ("number of pairs", r"\bN\b"),
    "τ": ("temperature", "τ"),
    "Φ": ("loss - 2 log N. The loss is InfoNCE with both directions summed, in nats", "Φ"),
    "A, B": ("the two subspaces: x lies in A, and y in B", r"\bB\b(?!\()"),
    "C": ("the shared space, the intersection of A and B", r"\bC\b|P_C"),
    "φ": ("angle between A and B, or between the constant parts a and b", "φ"),
    "c_x, c_y": ("the centres: unit vectors along the two means", r"\bc_[xy]\b|centre"),
    "R": ("length of a mean", r"\bR\b(?![³^])"),
    "r": ("length of the part of a row in C", r"\br\b"),
    "a, b": ("constant unit vectors of the two modalities, orthogonal to C", r"\b[ab]\b and \b[ab]\b|\) a \+"),
    "α": ("component of a row along the centre of its modality", "α"),
    "κ": ("concentration of a von Mises-Fisher distribution, the normal distribution on the sphere", "κ"),
    "λ": ("strength of the penalty", "λ"),
    "w": ("cosine of the gap", r"\bw\b"),
    "J(w)": ("loss of the pair of centres (`theory.cone_function`)", r"\bJ\b"),
    "logc(k, h)": ("log E exp(k u·e) for u uniform on the sphere of h dimensions and a unit vector e", r"\blogc\("),
    "A(k, h)": ("derivative of logc(k, h) by k", r"\bA\("),
    "B(h, τ)": ("lower bound of Φ without constraints, -2/τ + 2 logc(1/τ, h)", r"\bB\("),
}


def meanings(text: str) -> dict[str, str]:
    """Return the symbols that occur in a text, with their meanings."""
    return {symbol: meaning for symbol, (meaning, pattern) in SYMBOLS.items() if re.search(pattern, text)}
