"""How right a model's probabilities are: how often it is right by how sure it is (Guo et al., 2017)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tuner.review.measure import short
from tuner.review.parts import Picture
from tuner.review.style import BLUE, GREY, VERMILION, dressed

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from plotly.graph_objects import Figure

    Counts = NDArray[np.int64]
    Floats = NDArray[np.float64]

BINS = 10  # of equal width
NORMAL = 1.96  # standard deviations to either side that hold 95%


def calibration(labels: Counts, probabilities: Floats, *, small: bool) -> Picture:
    """The reliability diagram of the most probable class, from `labels` [N] and `probabilities` [N, classes]."""
    sure, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    bins = np.minimum((sure * BINS).astype(np.int64), BINS - 1)
    there = np.unique(bins)
    rows = np.bincount(bins, minlength=BINS)[there]
    mean = np.bincount(bins, sure, BINS)[there] / rows
    share = np.bincount(bins, right, BINS)[there] / rows
    low, high = wilson(share, rows)
    over, gap = float(sure.mean() - right.mean()), float((np.abs(share - mean) * rows).sum() / rows.sum())
    text = f"It is {sure.mean():.1%} sure on average and right in {right.mean():.1%}: "
    text += f"{'too sure' if over > 0 else 'not sure enough'}, by {abs(over) * 100:.1f} points. "
    text += f"Bin by bin the two are {gap * 100:.1f} points apart (expected calibration error). Bars: 95% intervals."
    table = [
        (f"{at / BINS:.0%} to {(at + 1) / BINS:.0%}", f"{n:,}", f"{m:.1%}", f"{s:.1%}", f"{a:.1%} to {b:.1%}")
        for at, n, m, s, a, b in zip(there, rows, mean, share, low, high, strict=True)
    ]
    head = ("sure by", "rows", "sure on average", "right", "95% interval")
    figure = _drawn(mean, share, (low, high), rows / rows.sum())
    return Picture("How right its probabilities are", text, figure, head, table, small=small)


def wilson(share: Floats, rows: Counts) -> tuple[Floats, Floats]:
    """95% intervals of shares of `rows` (Wilson, 1927)."""
    z = NORMAL
    middle = (share + z * z / (2 * rows)) / (1 + z * z / rows)
    half = z * np.sqrt(share * (1 - share) / rows + z * z / (4 * rows**2)) / (1 + z * z / rows)
    return np.minimum(middle - half, share), np.maximum(middle + half, share)


def _drawn(mean: Floats, share: Floats, ends: tuple[Floats, Floats], part: Floats) -> Figure:
    from plotly.graph_objects import Bar, Figure, Scatter

    bars = {"type": "data", "symmetric": False, "color": BLUE, "thickness": 1.5, "width": 4}
    bars |= {"array": _shorts(ends[1] - share), "arrayminus": _shorts(share - ends[0])}
    even = {"color": GREY, "dash": "dash", "width": 1.5}
    look = {"width": 0.03, "opacity": 0.45, "marker": {"color": VERMILION}}
    said = "%{y:.1%} of the rows<extra></extra>"
    figure = Figure(Bar(x=_shorts(mean), y=_shorts(part), name="share of rows", hovertemplate=said, **look))
    figure.add_trace(Scatter(x=[0, 1], y=[0, 1], mode="lines", line=even, name="as sure as right", hoverinfo="skip"))
    figure.add_trace(
        Scatter(
            x=_shorts(mean),
            y=_shorts(share),
            error_y=bars,
            mode="lines+markers",
            name="the model",
            marker={"color": BLUE, "size": 9},
            line={"color": BLUE},
            hovertemplate="%{x:.0%} sure, %{y:.1%} right<extra></extra>",
        )
    )
    figure.update_xaxes(title="how sure it is of what it says", range=[0, 1.03], tickformat=".0%")
    figure.update_yaxes(title="how often it is right", range=[0, 1.03], tickformat=".0%")
    return dressed(figure, 400, top=60)


def _shorts(values: Floats) -> list[float]:
    return [short(float(value)) for value in values]
