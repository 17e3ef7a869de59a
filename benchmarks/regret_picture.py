"""The picture of regret against epochs: a row for each stopping rule, a column for each problem, a line a sampler.

A line is the median of the longest searches, the band about it lies between the quartiles, and a dot is the median of
the shortest searches at their end.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.courses import Contest, Course

COLOURS = {"random": "#555555", "grid": "#b0885c", "sobol": "#4c9f70", "coarse_to_fine": "#d1495b", "tpe": "#2e74b5"}
POINTS = 60


def draw(contest: Contest, courses: Sequence[Course], lowest: Mapping[str, float], path: Path) -> None:
    """Writes the picture to `path`: medians as lines, between the quartiles a band."""
    rows, columns = len(contest.rules), len(contest.problems)
    figure = Figure(figsize=(2.3 * columns, 1.9 * rows), dpi=140, layout="constrained")
    grid = figure.subplots(rows, columns, sharex=True, sharey="col", squeeze=False)
    for column, name in enumerate(contest.problems):
        there = [course for course in courses if course.problem == name]
        for row, rule in enumerate(contest.rules):
            axes = grid[row][column]
            _panel(axes, contest, there, rule, lowest[name])
            axes.set_title(name if row == 0 else "", fontsize=11)
            axes.set_ylabel(rule if column == 0 else "", fontsize=11)
            axes.set_xlabel("epochs of training" if row == rows - 1 else "")
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    figure.suptitle(
        f"Regret (nats) against epochs, medians and quartiles of {len(contest.seeds)} seeds. Dotted: where "
        f"{contest.trials} random trials end,\nall fully trained, and a tenth of their epochs. "
        "Dots: searches that were planned for no more than that tenth.",
        fontsize=10,
    )
    figure.savefig(path)


def _panel(axes: Axes, contest: Contest, courses: Sequence[Course], rule: str, lowest: float) -> None:
    full = [one.at(math.inf).loss - lowest for one in courses if (one.sampler, one.rule) == ("random", "none")]
    axes.axhline(float(np.median(full)), color="black", linestyle=":", linewidth=1)
    axes.axvline(contest.full / 10, color="black", linestyle=":", linewidth=1)
    share = contest.sizes(rule)[-1]
    epochs = np.unique(np.geomspace(8, share * contest.full, POINTS).astype(int))
    for sampler in contest.samplers:
        mine = [one for one in courses if (one.sampler, one.rule, one.share) == (sampler, rule, share)]
        found = np.array([[one.at(epoch).loss - lowest for epoch in epochs] for one in mine])
        low, middle, high = np.quantile(found, (0.25, 0.5, 0.75), axis=0, method="higher")
        axes.plot(epochs, middle, color=COLOURS[sampler], label=sampler, linewidth=1.6)
        axes.fill_between(epochs, low, high, color=COLOURS[sampler], alpha=0.12, linewidth=0)
        if rule != "none":
            short = [one for one in courses if (one.sampler, one.rule, one.share) == (sampler, rule, contest.shares[0])]
            end = contest.full * contest.shares[0]
            loss = np.quantile([one.at(end).loss for one in short], 0.5, method="higher")
            axes.plot(end, loss - lowest, "o", color=COLOURS[sampler], markersize=4)
    axes.set(xscale="log", yscale="log")
    axes.grid(visible=True, color="#eeeeee")
    axes.set_axisbelow(True)
