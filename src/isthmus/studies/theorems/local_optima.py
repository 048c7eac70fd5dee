"""Local optima of the descent: valleys and saturation. Theorem 3 is about the global minimum only."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from isthmus.studies.theorems._experiment import Findings, at_least, at_most, check_all, close, experiment
from isthmus.studies.theorems._style import ACCENT, MUTED, X, Y, plot_trajectories
from isthmus.theory import Stop, Subspaces, optimise, orthogonal_centres_value, uniform_bound


@experiment(
    title="A flat valley at every gap",
    kind="counterexample",
    order=33,
    claim="Two hyperplanes and a cone lead to a gap of φ from every start.",
    assumption="None as stated. h = 8, φ = 60°, wide cones and mild temperatures.",
)
def valley(*, quick: bool) -> Findings:
    n, cases = 128, [(0.8, 0.5)] if quick else [(0.5, 0.5), (0.8, 0.2), (0.9, 0.5)]
    starts = (30, 100) if quick else (0, 30, 60, 100, 150)
    runs = {
        (length, tau, start): optimise(
            Subspaces(angle=60, resultant=length), n=n, dim=8, temperature=tau, initial_gap=start, init="near"
        )
        for length, tau in cases
        for start in starts
    }
    rows = []
    levels = {}
    for length, tau in cases:
        levels[(length, tau)] = (
            2.0 * math.log(n) + orthogonal_centres_value(8, temperature=tau, mean_length=length),
            2.0 * math.log(n) + uniform_bound(5, temperature=tau / (1.0 - length**2)),
        )
        low, high = levels[(length, tau)]
        for start in starts:
            run = runs[(length, tau, start)]
            label = f"R = {length}, τ = {tau}, start {start}°"
            rows.append(close(f"{label}: gap (degrees)", 60.0, run.gap, 0.1))
            level = low if abs(run.gap - 60.0) < 0.1 else high
            name = "B(h-2, τ/(1-R²))" if level == low else "B(h-3, τ/(1-R²))"
            rows.append(close(f"{label}: loss (nats), predicted 2 log N + {name}", level, run.loss, 1e-3))

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        for (length, tau), color in zip(cases, (X, Y, ACCENT), strict=False):
            low, high = levels[(length, tau)]
            selected = [runs[(length, tau, start)] for start in starts]
            axes.plot(
                [run.gap for run in selected],
                [run.loss - low for run in selected],
                "o",
                color=color,
                label=f"R = {length}, τ = {tau}",
            )
            axes.axhline(high - low, color=color, linewidth=1, linestyle="--")
        axes.axvline(60, color=MUTED, linewidth=1)
        axes.set_xlim(-5, 185)
        axes.set_xlabel("final gap (degrees)")
        axes.set_ylabel("loss above orthogonal centres (nats)")
        axes.set_title("dashed: 2 log N + B(h-3, τ/(1-R²))")
        axes.set_ylim(-0.008, 0.135)
        axes.legend(loc="upper center", ncols=3)

    return Findings(
        rows=rows,
        verdict=check_all(rows),
        finding="Besides the global minimum 2 log N + B(h-2, τ/(1-R²)) at gap φ there is a flat valley of the value "
        "2 log N + B(h-3, τ/(1-R²)). It holds arrangements of almost every gap: each modality has a constant part, and "
        "all other energy lies in the remaining h - 3 shared directions. A run that enters the valley nearly keeps "
        "its initial gap.",
        numbers={
            f"R={length}, tau={tau}, start={start}": {
                "gap": run.gap,
                "loss": run.loss,
                "levels": levels[(length, tau)],
            }
            for (length, tau, start), run in runs.items()
        },
        draw=draw,
        picture="Loss above the global minimum against the final gap: points at 60 degrees sit at zero, all others "
        "sit on the dashed line of their setting whatever their gap.",
    )


@experiment(
    title="Local minima inside the shared space",
    kind="counterexample",
    order=34,
    claim="Gradient descent moves the centres out of the shared space.",
    assumption="None as stated. h = 8, φ = 60°, τ = 0.05, means of length 0.5: a small temperature.",
)
def small_temperature(*, quick: bool) -> Findings:
    n = 192 if quick else 512
    runs = {
        start: optimise(
            Subspaces(angle=60, resultant=0.5),
            n=n,
            dim=8,
            temperature=0.05,
            initial_gap=start,
            init="near",
            stop=Stop(max_steps=250 if quick else 500),
        )
        for start in (0, 60)
    }
    rows = [close(f"start {start}°: gap (degrees)", 60.0, run.gap, 0.1) for start, run in runs.items()]
    rows.append(at_least("loss from 0° minus loss from 60° (nats)", 0.0, runs[0].loss - runs[60].loss))

    def draw(figure: Any) -> None:
        left_panel, right_panel = figure.subplots(1, 2)
        named = {f"start {start}°": run for start, run in runs.items()}
        plot_trajectories(left_panel, named, "gap")
        plot_trajectories(right_panel, named, "loss")
        left_panel.set_title("gap (degrees)")
        right_panel.set_title("loss (nats)")
        left_panel.legend(loc="center right")

    return Findings(
        rows=rows,
        verdict=check_all(rows),
        finding=f"The run that starts at 0° stays at {runs[0].gap:.1f}° with loss {runs[0].loss:.4f}. Orthogonal "
        f"centres reach {runs[60].loss:.4f}. The global minimum agrees with the theorem, but gradient descent does not "
        "find it.",
        numbers={str(start): {"gap": run.gap, "loss": run.loss} for start, run in runs.items()},
        draw=draw,
        picture="Left: one run stays near 0 degrees, the other at 60. Right: the first keeps the higher loss.",
    )


@experiment(
    title="A saturated loss keeps any gap",
    kind="counterexample",
    order=35,
    claim="Two hyperplanes and a cone give a gap of φ at the optimum.",
    assumption="None as stated. h = 32, φ = 60°, τ = 0.05, N = 256: the loss is almost zero everywhere.",
)
def saturated_loss(*, quick: bool) -> Findings:
    n = 64 if quick else 256
    starts = (20, 90) if quick else (5, 20, 60, 90)
    runs = {
        start: optimise(
            Subspaces(angle=60, resultant=0.5),
            n=n,
            dim=32,
            temperature=0.05,
            initial_gap=start,
            stop=Stop(max_steps=300),
        )
        for start in starts
    }
    rows = [close(f"start {start}°: gap (degrees)", 60.0, run.gap, 0.5) for start, run in runs.items()]
    losses = [run.loss for run in runs.values()]
    rows.append(at_most("largest loss (nats)", 2e-3, max(losses)))

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        axes.plot([0, 100], [60, 60], color=MUTED, linewidth=1, label="φ")
        axes.plot([0, 100], [0, 100], color=MUTED, linewidth=1, linestyle=":", label="no change")
        axes.plot(starts, [run.gap for run in runs.values()], "o", color=Y, label="h = 32, τ = 0.05")
        axes.set_xlabel("gap at the start (degrees)")
        axes.set_ylabel("gap at the end (degrees)")
        axes.legend()

    return Findings(
        rows=rows,
        verdict=check_all(rows),
        finding=f"With a loss of {min(losses):.1e} to {max(losses):.1e} nats nothing remains to gain: the gap "
        "ends close to its start. Many directions, few pairs and a small temperature cause this.",
        numbers={str(start): {"gap": run.gap, "loss": run.loss} for start, run in runs.items()},
        draw=draw,
        picture="Gap at the end against gap at the start: the points follow the diagonal, not the line at 60 degrees.",
    )


@experiment(
    title="Pairs on circles: many optima, one winner",
    kind="counterexample",
    order=36,
    claim="A single run of gradient descent finds the optimum.",
    assumption="None as stated. Two planes of R³ at 80°, τ = 0.05, means of length 0.3: points on a circle cannot "
    "pass each other.",
)
def circles(*, quick: bool) -> Findings:
    runs = [
        optimise(
            Subspaces(angle=80, resultant=0.3),
            n=256,
            dim=3,
            temperature=0.05,
            initial_gap=start,
            init="near",
            rng=seed,
            stop=Stop(max_steps=300),
        )
        for seed in ((6,) if quick else (0, 4, 6, 7))
        for start in ((46, 80) if quick else (20, 46, 60, 80, 100))
    ]
    best = min(runs, key=lambda run: run.loss)
    elsewhere = [run for run in runs if abs(run.gap - 80.0) > 1.0]
    rows = [
        close(
            "share of runs within 0.001 nats of the best",
            1.0,
            float(np.mean([run.loss - best.loss < 1e-3 for run in runs])),
            0.0,
        ),
        close("share of runs with a gap of 80° (1° tolerance)", 1.0, 1.0 - len(elsewhere) / len(runs), 0.0),
        close("gap of the best run (degrees)", 80.0, best.gap, 0.5),
        at_least(
            "lowest loss with another gap minus lowest loss (nats)",
            0.0,
            min(run.loss for run in elsewhere) - best.loss,
        ),
    ]

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        axes.plot([run.gap for run in runs], [run.loss for run in runs], "o", color=X)
        axes.axvline(80, color=MUTED, linewidth=1)
        axes.set_xlabel("final gap (degrees)")
        axes.set_ylabel("loss (nats)")

    return Findings(
        rows=rows,
        verdict=check_all(rows),
        finding=f"Over {len(runs)} runs the losses spread from {best.loss:.4f} to {max(run.loss for run in runs):.4f} "
        f"and the gaps from {min(run.gap for run in runs):.0f}° to {max(run.gap for run in runs):.0f}°. The lowest of "
        f"all has orthogonal centres, a gap of {best.gap:.2f}°: a run that ends elsewhere with a higher loss does "
        "not refute Theorem 3, because it is not optimal.",
        numbers={"runs": [{"gap": run.gap, "loss": run.loss} for run in runs]},
        draw=draw,
        picture="Loss against final gap for many runs: a wide scatter whose lowest point lies at 80 degrees.",
    )
