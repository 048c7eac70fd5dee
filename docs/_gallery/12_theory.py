"""
Two subspaces and a cone make a gap
===================================

The two modalities lie in subspaces at 60 degrees. Wherever the pairs start, the optimum has a gap of 60 degrees.
"""

import matplotlib.pyplot as plt

from isthmus import theory

planes = theory.Subspaces(angle=60, resultant=0.5)
figure, axes = plt.subplots(figsize=(7, 3.5), layout="constrained")
for start in (0, 30, 90, 150):
    run = theory.optimise(
        planes,
        n=96,
        dim=3,
        temperature=0.2,
        initial_gap=start,
        stop=theory.Stop(max_steps=100),
        record_every=1,
    )
    axes.plot(run.trajectory.steps[:60], run.trajectory.gap[:60], label=f"start {start}°")
axes.set(xlabel="step", ylabel="gap in degrees")
axes.legend()
