"""Clouds without a cone, with constant parts, and in batches of finite size."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from isthmus.studies.theorems._experiment import Findings, at_least, at_most, check_all, close, equal, experiment
from isthmus.studies.theorems._style import ACCENT, CYCLE, MUTED, X, Y, plot_trajectories
from isthmus.theory import (
    Cone,
    ConstantParts,
    Stop,
    Subspaces,
    Unconstrained,
    affine_infimum,
    collapse_margin,
    finite_bound,
    hyperplanes,
    info_nce,
    loss_bound,
    optimise,
    uniform_bound,
)


@experiment(
    title="Subspaces without a cone collapse into the shared space",
    kind="counterexample",
    order=37,
    claim="x in one hyperplane and y in another is enough for a gap of φ.",
    assumption="No condition on the means. Collapse is expected where 1 - cos φ > A(1/τ, h - 2) (a local condition).",
)
def collapse_without_cone(*, quick: bool) -> Findings:
    n = 96 if quick else 192
    settings = [(0.5, 60)] if quick else [(0.5, 30), (0.5, 40), (0.5, 60), (0.5, 80), (0.2, 50), (0.2, 60), (0.2, 80)]
    runs, spread, margins = {}, {}, {}
    for tau, phi in settings:
        run = optimise(Subspaces(angle=phi), n=n, dim=8, temperature=tau, stop=Stop(max_steps=800))
        runs[(tau, phi)] = run
        spread[(tau, phi)] = float(np.sqrt(np.mean((run.x @ hyperplanes(8, phi).x[:, -1]) ** 2)))
        margins[(tau, phi)] = collapse_margin(8, temperature=tau, angle=phi)
    rows = []
    for tau, phi in settings:
        label = f"τ = {tau}, φ = {phi}°"
        rows += [
            close(f"{label}: gap (degrees)", phi, runs[(tau, phi)].gap, 0.5),
            equal(
                f"{label}: collapse into C",
                "yes" if margins[(tau, phi)] > 0 else "no",
                "yes" if spread[(tau, phi)] < 0.02 else "no",
            ),
        ]

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        for tau, color in ((0.5, X), (0.2, Y)):
            keys = [key for key in settings if key[0] == tau]
            if keys:
                axes.plot(
                    [margins[k] for k in keys],
                    [spread[k] for k in keys],
                    "o-",
                    color=color,
                    label=f"τ = {tau}",
                )
        axes.axvline(0, color=MUTED, linewidth=1)
        axes.set_xlabel("1 - cos φ - A(1/τ, h - 2)")
        axes.set_ylabel("rms part of x orthogonal to C")
        axes.legend()

    return Findings(
        rows=rows,
        verdict=check_all(rows),
        finding="Both means vanish in every run, so there is no gap. If the margin is positive, "
        "the clouds leave their own directions completely and lie in C, with parallel matching rows.",
        numbers={
            f"tau={tau}, phi={phi}": {
                "spread": spread[(tau, phi)],
                "margin": margins[(tau, phi)],
                "cosine": runs[(tau, phi)].state.cosine,
            }
            for tau, phi in settings
        },
        draw=draw,
        picture="Root mean square of the part orthogonal to the shared space against the margin: positive on the "
        "left of zero, zero on the right.",
    )


@experiment(
    title="A constant part makes a gap that does not change the loss",
    kind="counterexample",
    order=38,
    claim="A smaller gap at the optimum means a lower loss.",
    assumption="x = √(1-r²) a + r u and y = √(1-r²) b + r v with u, v in C. Trained encoders are roughly of this form.",
)
def affine(*, quick: bool) -> Findings:
    n = 96 if quick else 256
    angles = (0, 90) if quick else (0, 30, 60, 90, 120, 180)
    runs = {
        angle: optimise(ConstantParts(angle=angle, radius=0.7), n=n, dim=8, temperature=0.2, stop=Stop(max_steps=600))
        for angle in angles
    }
    formula = 2.0 * math.log(n) + affine_infimum(8, temperature=0.2, radius=0.7)
    rows = []
    for angle, run in runs.items():
        rows += [
            close(f"φ = {angle}°: loss (nats)", formula, run.loss, 5e-3 if quick else 1e-4),
            close(f"φ = {angle}°: gap (degrees)", angle, run.gap, 0.1),
        ]
    losses = [run.loss for run in runs.values()]
    rows.append(at_least("difference of the losses over all angles (nats)", 1e-3, max(losses) - min(losses)))

    def draw(figure: Any) -> None:
        left_panel, right_panel = figure.subplots(1, 2)
        left_panel.plot(angles, losses, "o-", color=X)
        left_panel.axhline(formula, color=MUTED, linewidth=1)
        left_panel.set_ylim(formula - 0.05, formula + 0.05)
        left_panel.set_title("loss at the optimum (nats)")
        right_panel.plot(angles, [run.state.cosine for run in runs.values()], "o-", color=Y)
        right_panel.set_title("mean paired cosine")
        for axes in (left_panel, right_panel):
            axes.set_xlabel("φ, angle between the constant parts (degrees)")

    return Findings(
        rows=rows,
        verdict=check_all(rows),
        finding=f"The loss is {min(losses):.5f} at every angle, from no gap to opposite clouds; only the paired "
        "cosine changes. InfoNCE does not change if all logits are shifted, so such a gap has no effect on it.",
        numbers={str(angle): {"loss": run.loss, "gap": run.gap} for angle, run in runs.items()} | {"formula": formula},
        draw=draw,
        picture="Left: the loss is a flat line over all angles. Right: the mean paired cosine falls with the angle.",
    )


@experiment(
    title="Constant parts that may move",
    kind="counterexample",
    order=39,
    claim="Training closes a gap that does not lower the loss.",
    assumption="The optimum of the constant parts above, from which first a and b may move orthogonally to C, then "
    "every row may move as long as the means keep their length √(1-r²). h = 8, τ = 0.2, r = 0.7.",
)
def moving_constant_parts(*, quick: bool) -> Findings:
    n, radius, tau = (64 if quick else 256), 0.7, 0.2
    fixed, freed, pulls = {}, {}, []
    for angle in (30, 120):
        run = fixed[angle] = optimise(
            ConstantParts(angle=angle, radius=radius), n=n, dim=8, temperature=tau, stop=Stop(max_steps=600)
        )
        _, *slopes = info_nce(run.x, run.y, temperature=tau, gradient=True)
        # The last two directions span the complement of C. a and b are common to all rows of their modality.
        pulls += [float(np.linalg.norm(np.sum(slope, axis=0)[-2:])) for slope in slopes]
        freed[angle] = optimise(
            Cone(resultant=math.sqrt(1.0 - radius**2)),
            dim=8,
            temperature=tau,
            init=(run.x, run.y),
            stop=Stop(max_steps=1500),
        )
    # Parallel constant parts occupy one direction, but `affine_infimum` counts two.
    level = 2.0 * math.log(n) + affine_infimum(8 + 1, temperature=tau, radius=radius)
    rows = [
        at_most("a and b orthogonal to C: largest gradient of the loss along them (nats)", 1e-12, max(pulls)),
        *(
            close(f"all rows may move, start {angle}°: gap (degrees)", 0.0, run.gap, 1.0)
            for angle, run in freed.items()
        ),
        *(
            close(
                f"all rows may move, start {angle}°: loss (nats), predicted 2 log N + B(h-1, τ/r²)",
                level,
                run.loss,
                0.03 if quick else 1e-3,
            )
            for angle, run in freed.items()
        ),
    ]

    def draw(figure: Any) -> None:
        left_panel, right_panel = figure.subplots(1, 2)
        named = {f"start {angle}°": run for angle, run in freed.items()}
        plot_trajectories(left_panel, named, "gap")
        plot_trajectories(right_panel, named, "loss")
        for angle, color in zip(freed, CYCLE, strict=False):
            left_panel.axhline(angle, color=color, linewidth=1, linestyle="--")
        right_panel.axhline(level, color=MUTED, linewidth=1)
        left_panel.set_ylim(-5, 185)
        left_panel.set_title("gap (degrees), dashed: a, b orthogonal to C")
        right_panel.set_title("loss (nats)")
        left_panel.legend(loc="center right")

    return Findings(
        rows=rows,
        verdict=check_all(rows),
        finding="Orthogonal to C the gradient along a and b is zero: the gap keeps its initial value (proved: the "
        "derivatives of InfoNCE by all logits sum to zero). If all rows may move, the gap of 30° ends at "
        f"{freed[30].gap:.1f}° and that of 120° at {freed[120].gap:.1f}°, at losses of {freed[30].loss:.5f} and "
        f"{freed[120].loss:.5f} nats: an obtuse gap is opened, not closed.",
        numbers={
            str(angle): {"before": fixed[angle].loss, "after": run.loss, "gap": run.gap} for angle, run in freed.items()
        }
        | {"formula": level, "largest_gradient": max(pulls)},
        draw=draw,
        picture="Left: once everything may move, the run from 30 degrees goes to 0 and the run from 120 to 180. "
        "Right: both reach the same lower loss.",
    )


@experiment(
    title="The limit of many pairs says little about real batches",
    kind="counterexample",
    order=40,
    claim="2 log N + B(h, τ) describes the optimum of a batch.",
    assumption="None as stated. The limit bound is that of many pairs. For few pairs the bound of the regular simplex, "
    "2 log(1 + (N-1) exp(-N/((N-1) τ))), is larger. It is attained for N ≤ h + 1.",
)
def batch_size(*, quick: bool) -> Findings:
    tau, dim = 0.2, 8
    sizes = (4, 9, 32) if quick else (4, 9, 16, 32, 64, 128, 256)
    runs = {
        n: optimise(Unconstrained(), n=n, dim=dim, temperature=tau, stop=Stop(max_steps=600, plateau=1e-7))
        for n in sizes
    }
    crossings = {(h, t): _crossing(h, t) for h, t in ((3, 0.2), (8, 0.2), (8, 0.05), (512, 0.07), (512, 0.01))}
    limit = {n: 2.0 * math.log(n) + uniform_bound(dim, temperature=tau) for n in sizes}
    rows = [
        close(
            f"N = {n}: loss (nats), simplex bound",
            finite_bound(n, temperature=tau),
            runs[n].loss,
            1e-5,
        )
        for n in sizes
        if n <= dim + 1
    ]
    rows += [close(f"N = {n}: loss (nats), limit bound", limit[n], runs[n].loss, 1e-3) for n in (sizes[-1],)]
    rows += [at_least(f"N = {n}: loss minus best bound (nats)", -1e-9, runs[n].excess) for n in sizes if n > dim + 1]
    rows += [
        at_most("h = 512, τ = 0.07: N above which the limit bound is larger", 32768.0, crossings[(512, 0.07)]),
        at_most("h = 512, τ = 0.01: N above which the limit bound is larger", 32768.0, crossings[(512, 0.01)]),
    ]
    widest = max(run.excess for run in runs.values())

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        numbers_of_pairs = np.geomspace(sizes[0], sizes[-1], 200)
        axes.plot(
            numbers_of_pairs,
            [finite_bound(n, temperature=tau) for n in numbers_of_pairs],
            color=ACCENT,
            label="simplex bound",
        )
        axes.plot(
            numbers_of_pairs,
            2 * np.log(numbers_of_pairs) + uniform_bound(dim, temperature=tau),
            color=Y,
            label="limit bound",
        )
        axes.plot(sizes, [run.loss for run in runs.values()], "o", color=X, label="optimised pairs")
        axes.set_xscale("log")
        axes.set_ylim(-0.5, None)
        axes.set_xlabel("pairs N")
        axes.set_ylabel("loss (nats)")
        axes.set_title(f"h = {dim}, τ = {tau}")
        axes.legend()

    return Findings(
        rows=rows,
        verdict=check_all(rows),
        finding="The two bounds cross at "
        + ", ".join(f"N = {value:.3g} (h = {h}, τ = {t:g})" for (h, t), value in crossings.items())
        + f". Between the regimes the loss exceeds both, here by up to {widest:.2f} nats "
        f"(best bound at N = 32: {loss_bound(32, dim, temperature=tau):.3f}).",
        numbers={
            "crossings": {f"h={h}, tau={t}": value for (h, t), value in crossings.items()},
            "losses": {str(n): run.loss for n, run in runs.items()},
            "excess": {str(n): run.excess for n, run in runs.items()},
        },
        draw=draw,
        picture="Loss against the number of pairs: optimised pairs follow the simplex bound at first and the limit "
        "bound later, and lie above both in between.",
    )


def _crossing(dim: int, tau: float) -> float:
    """Return the N at which the limit bound exceeds the simplex bound."""
    limit_bound = uniform_bound(dim, temperature=tau)
    log_low, log_high = math.log(2.0), math.log(1e60)
    for _ in range(200):
        log_middle = 0.5 * (log_low + log_high)
        if 2.0 * log_middle + limit_bound < finite_bound(math.exp(log_middle), temperature=tau):
            log_low = log_middle
        else:
            log_high = log_middle
    return math.exp(log_low)
