"""Theorem 3: two subspaces and a cone make the gap equal to the angle between the subspaces."""

from __future__ import annotations

from typing import Any

import numpy as np

from isthmus.studies.theorems._experiment import Findings, at_least, at_most, check_all, close, equal, experiment
from isthmus.studies.theorems._style import MUTED, X, Y, plot_trajectories
from isthmus.theory import (
    Stop,
    Subspaces,
    cloud_loss,
    optimise,
    orthogonal_centres_certificate,
    orthogonal_centres_value,
    subspace_function,
)


@experiment(
    title="Dimension collapse makes the gap",
    kind="theorem",
    order=30,
    claim="If x lies in a hyperplane A and y in a hyperplane B, the optimum has both centres orthogonal to the "
    "shared space C = A ∩ B, and the gap equals the angle φ between A and B.",
    assumption="Means of an imposed, non-zero length (the cone), a loss that is not saturated and a temperature "
    "that is not too small. Measured; for free centres not proved.",
)
def theorem_3(*, quick: bool) -> Findings:
    n = 64 if quick else 256
    cases = [(3, 0.2, (0, 150)), (3, 0.2, (30, 90)), (8, 0.5, (30,)), (8, 0.2, (0, 150))]
    runs = {}
    for dim, tau, starts in cases[:1] if quick else cases:
        for start in starts:
            runs[f"h = {dim}, τ = {tau:g}, start {start}°"] = optimise(
                Subspaces(angle=60, resultant=0.5),
                n=n,
                dim=dim,
                temperature=tau,
                initial_gap=start,
                record_every=2,
                stop=Stop(max_steps=600),
            )
    angles = (40, 70) if quick else (20, 40, 60, 80, 90)
    by_angle = [
        optimise(Subspaces(angle=phi, resultant=0.5), n=n, dim=8, temperature=0.5, initial_gap=phi / 2)
        for phi in angles
    ]
    fixed_centres = [
        optimise(Subspaces(angle=60, resultant=0.5, centres=centres), n=n, dim=8, temperature=0.5)
        for centres in ("orthogonal", "reversed")
    ]
    formula = 2.0 * np.log(n) + orthogonal_centres_value(8, temperature=0.5, mean_length=0.5)
    lonely = [subspace_function(w, w, w, kappa=10.0, dim=3, temperature=0.2) for w in (1.0, 0.5)]
    # Reversing a centre is the same as two hyperplanes at the supplement of the angle.
    varying = [cloud_loss(8, kappa=10.0, temperature=0.2, angle=a, centres="orthogonal") for a in (60, 120)]
    rows = [close(f"{label}: gap (degrees)", 60.0, run.gap, 0.05) for label, run in runs.items()]
    rows += [
        close(f"h = 8, τ = 0.5, φ = {phi}°: gap (degrees)", phi, run.gap, 0.1)
        for phi, run in zip(angles, by_angle, strict=True)
    ]
    rows += [
        at_most(
            "longest component of a centre in C",
            0.01,
            max(max(run.state.shared_x, run.state.shared_y) for run in [*runs.values(), *by_angle]),
        ),
        close(
            "h = 8, τ = 0.5, orthogonal centres: loss (nats)", formula, fixed_centres[0].loss, 1e-3 if quick else 1e-4
        ),
        close(
            "h = 8, τ = 0.5, one centre reversed, gap 120°: loss (nats)",
            fixed_centres[0].loss,
            fixed_centres[1].loss,
            1e-4,
        ),
        at_least(
            "von Mises-Fisher clouds, κ = 10, τ = 0.2: Φ at gap 120° minus Φ at 60° (nats)",
            1e-3,
            varying[1] - varying[0],
        ),
    ]

    def draw(figure: Any) -> None:
        left_panel, right_panel = figure.subplots(1, 2)
        in_three_dimensions = {k.split(", ")[-1]: v for k, v in runs.items() if k.startswith("h = 3")}
        plot_trajectories(left_panel, in_three_dimensions, "gap")
        left_panel.axhline(60, color=MUTED, linewidth=1)
        left_panel.set_xscale("symlog", linthresh=10)
        left_panel.set_xlim(left=0)
        left_panel.set_title("gap (degrees), h = 3, φ = 60°")
        left_panel.legend()
        right_panel.plot([0, 90], [0, 90], color=MUTED, linewidth=1, label="gap = φ")
        right_panel.plot(angles, [run.gap for run in by_angle], "o", color=X, label="pairs, h = 8, τ = 0.5")
        right_panel.set_xlabel("φ, angle between the hyperplanes (degrees)")
        right_panel.set_title("gap at the optimum (degrees)")
        right_panel.legend()

    return Findings(
        rows=rows,
        verdict=check_all(rows, "a cone on both sides, an unsaturated loss and a temperature that is not small"),
        finding="Every run ends with centres orthogonal to C and the gap at φ. The loss of the pair of centres alone "
        f"gives the opposite result: it is {lonely[0]:.3f} with both centres in C and {lonely[1]:.3f} with orthogonal "
        "ones. The full loss decides, because a constant part of the embeddings does not change it. The gap 180° - φ "
        "has the same loss exactly if the constant part is the same for all pairs.",
        numbers={
            "gaps": {label: run.gap for label, run in runs.items()},
            "sweep": {"angle": list(angles), "gap": [run.gap for run in by_angle]},
            "loss_orthogonal": fixed_centres[0].loss,
            "loss_reversed": fixed_centres[1].loss,
            "loss_formula": float(formula),
            "centre_pair_shared": float(lonely[0]),
            "centre_pair_orthogonal": float(lonely[1]),
        },
        draw=draw,
        picture="Left: the gap of runs from several starts converges to 60 degrees. Right: the gap at the optimum "
        "against the angle between the hyperplanes lies on the diagonal.",
    )


@experiment(
    title="Exact loss of two clouds in two hyperplanes",
    kind="counterexample",
    order=31,
    claim="For von Mises-Fisher clouds in two hyperplanes, centres orthogonal to C give a lower loss than centres "
    "inside C, for every concentration, temperature and angle.",
    assumption="None as stated. The loss is computed by quadrature, for infinitely many pairs.",
)
def clouds_in_hyperplanes(*, quick: bool) -> Findings:
    angles, kappas = (30, 60, 80), (1.0, 2.0, 5.0, 10.0, 20.0, 50.0)
    settings = [
        (h, phi, k, tau)
        for h in ((3, 8) if quick else (3, 8, 32))
        for phi in angles
        for k in kappas
        for tau in (0.05, 0.2)
    ]
    advantage = {
        setting: cloud_loss(setting[0], kappa=setting[2], temperature=setting[3], angle=setting[1], centres="shared")
        - cloud_loss(setting[0], kappa=setting[2], temperature=setting[3], angle=setting[1], centres="orthogonal")
        for setting in settings
    }
    losing = [setting for setting in settings if advantage[setting] <= 0.0]
    worst = min(settings, key=lambda setting: advantage[setting])
    inside = cloud_loss(8, kappa=2.0, temperature=0.05, angle=80, centres="shared")
    outside = cloud_loss(8, kappa=2.0, temperature=0.05, angle=80, centres="orthogonal")
    rows = [
        close(f"settings (of {len(settings)}) in which orthogonal centres have the higher loss", 0, len(losing), 0),
        at_least("h = 8, φ = 80°, τ = 0.05, κ = 2: Φ inside C minus Φ orthogonal", 0.0, inside - outside),
        at_least("h = 8, φ = 60°, τ = 0.2, κ = 10: Φ inside C minus Φ orthogonal", 0.0, advantage[(8, 60, 10.0, 0.2)]),
    ]

    def draw(figure: Any) -> None:
        axes = figure.subplots(1, 3, sharey=True)
        for axis, phi in zip(axes, angles, strict=True):
            for tau, color in ((0.2, X), (0.05, Y)):
                axis.plot(
                    kappas,
                    [advantage[(8, phi, k, tau)] for k in kappas],
                    "o-",
                    color=color,
                    label=f"τ = {tau:g}",
                )
            axis.axhline(0, color=MUTED, linewidth=1)
            axis.set_xscale("log")
            axis.set_yscale("symlog", linthresh=0.1)
            axis.set_title(f"h = 8, φ = {phi}°")
            axis.set_xlabel("concentration κ")
        axes[0].set_ylabel("Φ inside C - Φ orthogonal")
        axes[0].legend()

    return Findings(
        rows=rows,
        verdict=check_all(rows),
        finding=f"Orthogonal centres have the lower loss in {len(settings) - len(losing)} of {len(settings)} settings. "
        "They have the higher loss at "
        + "; ".join(f"h = {h}, φ = {phi}°, κ = {k:g}, τ = {tau:g}" for h, phi, k, tau in losing)
        + f" (largest loss {-advantage[worst]:.4f} nats): wide clouds in nearly orthogonal hyperplanes at "
        "a small temperature. To first order in 1/τ their advantage is always positive.",
        numbers={
            "inside": inside,
            "orthogonal": outside,
            "settings": len(settings),
            "lost": [list(setting) for setting in losing],
        },
        draw=draw,
        picture="Three charts, one per angle: the advantage of orthogonal centres against the concentration is "
        "positive except at 80 degrees and temperature 0.05 for small concentrations.",
    )


@experiment(
    title="A certificate for orthogonal centres",
    kind="theorem",
    order=32,
    claim="In the regime of CLIP (h = 512, τ = 0.01, φ = 60°, means of length 0.8) centres orthogonal to C with a "
    "constant part are optimal.",
    assumption="Two hyperplanes and means of the given length. If two functions G and H of the component α never "
    "exceed G(R), the certificate holds and optimality is proved. Otherwise nothing follows.",
)
def certificate(*, quick: bool) -> Findings:
    clip = orthogonal_centres_certificate(512, temperature=0.01, mean_length=0.8, angle=60.0)
    lengths = np.linspace(0.1, 0.95, 5 if quick else 30)
    temperatures = np.geomspace(0.005, 1.0, 5 if quick else 30)
    certified = {
        dim: np.array(
            [
                [
                    orthogonal_centres_certificate(
                        dim, temperature=float(tau), mean_length=float(length), angle=60.0, points=201
                    ).holds
                    for tau in temperatures
                ]
                for length in lengths
            ]
        )
        for dim in (8, 512)
    }
    # No pairs can beat the optimum that the certificate proves, from any start.
    n, starts = (64, (0,)) if quick else (128, (0, 30, 100, 150))
    mild = orthogonal_centres_certificate(8, temperature=0.5, mean_length=0.5, angle=60.0)
    value = 2.0 * np.log(n) + orthogonal_centres_value(8, temperature=0.5, mean_length=0.5)
    runs = [
        optimise(
            Subspaces(angle=60, resultant=0.5), n=n, dim=8, temperature=0.5, initial_gap=start, stop=Stop(max_steps=400)
        )
        for start in starts
    ]
    rows = [
        at_most("h = 512, τ = 0.01, φ = 60°, R = 0.8: largest excess of G over G(R)", 1e-9, clip.excess_g),
        at_most("h = 512, τ = 0.01, φ = 60°, R = 0.8: largest excess of H over G(R)", 1e-9, clip.excess_h),
        equal("h = 8, τ = 0.5, φ = 60°, R = 0.5: the certificate holds", "yes", "yes" if mild.holds else "no"),
        at_least(
            f"h = 8, {n} pairs: lowest loss of {len(starts)} starts minus that of orthogonal centres (nats)",
            -1e-9,
            min(run.loss for run in runs) - value,
        ),
    ]

    def draw(figure: Any) -> None:
        panels = figure.subplots(1, 2, sharey=True)
        for axes, (dim, values) in zip(panels, certified.items(), strict=True):
            axes.contourf(temperatures, lengths, values, levels=[-0.5, 0.5, 1.5], colors=[Y, X], alpha=0.75)
            axes.set_xscale("log")
            axes.set_xlabel("temperature τ")
            axes.set_title(f"h = {dim}, φ = 60°")
        panels[0].set_ylabel("length of the means R")
        panels[1].plot([0.01], [0.8], "o", color="white")
        panels[1].annotate("CLIP", (0.01, 0.8), xytext=(6, 4), textcoords="offset points", color="white")

    covered = {h: f"{100 * certified[h].mean():.0f} %" for h in (512, 8)}
    return Findings(
        rows=rows,
        verdict=check_all(rows),
        finding="The certificate holds in the regime of CLIP. On the map of temperatures and mean lengths it covers "
        f"{covered[512]} at h = 512 and {covered[8]} at h = 8. In the figure, blue "
        "is proved and orange is open.",
        numbers={
            "excess_g": clip.excess_g,
            "excess_h": clip.excess_h,
            "lengths": lengths,
            "temperatures": temperatures,
            "held": {str(dim): values for dim, values in certified.items()},
        },
        draw=draw,
        picture="Two maps of temperature against the length of the means: at h = 8 the certificate holds in a part "
        "of the map, at h = 512 everywhere, the setting of CLIP included.",
    )
