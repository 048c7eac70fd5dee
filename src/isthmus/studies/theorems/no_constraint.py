"""Theorem 1: without constraints the optimum is uniform and perfectly paired, and there is no gap."""

from __future__ import annotations

from typing import Any

from isthmus.studies.theorems._experiment import Findings, at_least, at_most, check_all, close, experiment, undefined
from isthmus.theory import Unconstrained, optimise, uniform_bound


@experiment(
    title="No constraint, no gap",
    kind="theorem",
    order=10,
    claim="The loss minus 2 log N, Φ, is at least -2/τ + 2 log E exp(u·e/τ), with equality exactly for uniform "
    "embeddings with x = y. u is uniform on the sphere, and e is any unit vector.",
    assumption="Free unit vectors. Proved for x = y at every τ, and without this condition if 1/(2τ) ≥ logc(1/τ, h). "
    "At finite N the bound is the larger of this one and the bound of a regular simplex.",
)
def theorem_1(*, quick: bool) -> Findings:
    n = 96 if quick else 256
    cases = [(3, 0.2), (3, 0.05), (8, 0.5)][: 1 if quick else 3]
    runs = {
        f"h = {dim}, τ = {tau:g}": optimise(Unconstrained(), n=n, dim=dim, temperature=tau, rng=1) for dim, tau in cases
    }
    rows = []
    # Particles on a sphere are as even as a lattice: their excess over the bound falls faster than 1/N.
    slack = 1e-3 if quick else 1e-4
    for label, run in runs.items():
        rows += [
            close(f"{label}: loss (nats)", run.bound, run.loss, slack),
            at_least(f"{label}: loss minus bound (nats)", -1e-9, run.excess),
            close(f"{label}: mean paired cosine", 1.0, run.state.cosine, 1e-4),
            at_most(f"{label}: longest mean", 1e-3, max(run.state.resultant_x, run.state.resultant_y)),
            undefined(f"{label}: gap angle", run.gap),
        ]

    def draw(figure: Any) -> None:
        left_panel, right_panel = figure.subplots(1, 2)
        for label, run in runs.items():
            left_panel.plot(run.trajectory.steps, run.trajectory.excess, label=label)
            right_panel.plot(run.trajectory.steps, run.trajectory.resultant_x, label=label)
        for axes, title in ((left_panel, "loss minus bound (nats)"), (right_panel, "length of the mean of x")):
            axes.set_yscale("log")
            axes.set_xlabel("step")
            axes.set_title(title)
        left_panel.legend()

    return Findings(
        rows=rows,
        verdict=check_all(rows),
        finding="The loss reaches its bound from a random start. Matching rows become equal, and both means vanish. "
        "The gap would be the angle between two zero vectors, so the gap is undefined.",
        numbers={
            label: {
                "loss": run.loss,
                "bound": run.bound,
                "phi_bound": uniform_bound(dim, temperature=tau),
                "trajectory": run.trajectory.to_dict(),
            }
            for (dim, tau), (label, run) in zip(cases, runs.items(), strict=True)
        },
        draw=draw,
        picture="Two line charts on a logarithmic scale: the loss minus its bound and the length of the mean both "
        "fall by several orders of magnitude as the optimisation proceeds, for every setting.",
    )
