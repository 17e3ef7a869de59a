"""Where the model decides for which class, on the plane of the inputs' first two principal components."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from tuner.engine.account import Account, Plane
from tuner.review.measure import listed, short
from tuner.review.parts import Picture, Section
from tuner.review.polygons import Corner, region
from tuner.review.style import GREY, SYMBOLS, dressed, label

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from plotly.graph_objects import Figure, Heatmap, Scatter

# Paul Tol's muted scheme, for ten classes, its darkest colour lighter; names stand in the regions, for who does not
# see colours, and marks differ
COLOURS = ("#5a4fb0", "#88ccee", "#44aa99", "#117733", "#999933", "#ddcc77", "#cc6677", "#882255", "#aa4499", "#888888")
LEAST = 0.004  # of the plane: a smaller region has no name written in it
LEAD = (
    "A plane through the data: it goes through the mean of the standardised inputs, along their first two principal "
    "components; the other coordinates stay at their mean. Off this plane the model may decide otherwise."
)
STRAIGHT = "The model is softmax regression: its boundaries are straight lines."


def plane(account: Account) -> Section | None:
    """The regions, with rows of the split put down on them; None where there is no plane."""
    examined = account.examined
    if examined is None or examined.plane is None:
        return None
    found, names = examined.plane, [str(name) for name in account.data["classes"]]
    text = _text(found, names, examined.part) + (f" {STRAIGHT}" if found.lines is not None else "")
    rows = []
    for place, name in enumerate(names):
        here = found.labels == place
        wrong = int((here & (found.predicted != place)).sum())
        rows.append((name, f"{float((found.regions == place).mean()):.1%}", f"{int(here.sum())}", str(wrong)))
    head = ("class", "of the plane", "rows drawn", "of them wrong")
    picture = Picture("Decision regions", text, _drawn(found, names), head, rows)
    return Section("Where it decides for which class", [LEAD], pictures=[picture])


def _text(found: Plane, names: Sequence[str], part: str) -> str:
    shares = sorted(((float((found.regions == at).mean()), at) for at in range(len(names))), reverse=True)
    seen = [f"{names[at]} {share:.0%}" for share, at in shares if share]
    wrong = int((found.labels != found.predicted).sum())
    first, second = (listed([name for name, _ in loaded]) for loaded in found.loadings)
    return (
        f"{len(seen)} of {len(names)} classes have a region here; the largest: {', '.join(seen[:4])}. "
        f"The plane holds {sum(found.shares):.0%} of the inputs' variance; component 1 is mostly {first}, component 2 "
        f"{second}. Marks are {len(found.labels):,} rows of the {part}, put down on it in the colour of their class; "
        f"crosses, {wrong} of them, the model gets wrong."
    )


def _drawn(found: Plane, names: Sequence[str]) -> Figure:
    from plotly.graph_objects import Figure

    figure = Figure(_regions(found, len(names)))
    if found.lines is not None:
        figure.add_trace(_boundaries(found, found.lines))
    figure.add_traces(list(_points(found, names)))
    for place, name in enumerate(names):
        if spot := _middle(found, place):
            figure.add_annotation(x=spot[0], y=spot[1], text=f"<b>{label(name, 14)}</b>", showarrow=False)
    for axis, update in enumerate((figure.update_xaxes, figure.update_yaxes)):
        grid = found.y if axis else found.x
        update(
            title=f"component {axis + 1} ({found.shares[axis]:.0%} of variance)",
            showgrid=False,
            range=[short(float(grid[0])), short(float(grid[-1]))],
        )
    return dressed(figure, 520, legend=False, top=10)


def _regions(found: Plane, count: int) -> Heatmap:
    from plotly.graph_objects import Heatmap

    scale = []
    for place in range(count):
        colour = COLOURS[place % len(COLOURS)]
        scale += [[place / count, colour], [(place + 1) / count, colour]]
    x, y = ([short(float(at)) for at in grid] for grid in (found.x, found.y))
    look = {"zmin": -0.5, "zmax": count - 0.5, "colorscale": scale, "showscale": False, "opacity": 0.3}
    return Heatmap(x=x, y=y, z=found.regions.tolist(), hoverinfo="skip", **look)


def _points(found: Plane, names: Sequence[str]) -> Iterator[Scatter]:
    """A trace a class for rows that the model gets right, and another for the others."""
    from plotly.graph_objects import Scatter

    for place, name in enumerate(names):
        colour, symbol = COLOURS[place % len(COLOURS)], SYMBOLS[place % len(SYMBOLS)]
        for right in (True, False):
            here = (found.labels == place) & ((found.predicted == place) == right)
            mark: dict[str, Any] = {"color": colour, "line": {"width": 1, "color": "#ffffff"}}
            mark |= {"symbol": symbol, "size": 8} if right else {"symbol": "x", "size": 10}
            told = [f"is {label(name)}, said {label(names[other])}" for other in found.predicted[here].tolist()]
            x, y = ([short(float(at)) for at in found.points[here, axis]] for axis in (0, 1))
            if told:
                yield Scatter(x=x, y=y, mode="markers", text=told, hovertemplate="%{text}<extra></extra>", marker=mark)


def _middle(found: Plane, place: int) -> Corner | None:
    """The point of a class's region that is farthest from its edge; None of a tiny region."""
    from scipy.ndimage import distance_transform_edt

    inside = np.pad(found.regions == place, 1)
    if inside.mean() < LEAST:
        return None
    row, column = np.unravel_index(int(np.argmax(distance_transform_edt(inside))), inside.shape)
    return short(float(found.x[int(column) - 1])), short(float(found.y[int(row) - 1]))


def _boundaries(found: Plane, lines: NDArray[np.float64]) -> Scatter:
    """The straight edges between the regions of a linear model."""
    from plotly.graph_objects import Scatter

    scores = [(float(a), float(b), float(c)) for a, b, c in lines]
    left, right, low, high = (float(end) for grid in (found.x, found.y) for end in (grid[0], grid[-1]))
    x: list[float | None] = []
    y: list[float | None] = []
    box = [(left, low), (right, low), (right, high), (left, high)]
    for place in range(len(scores)):
        corners = region(scores, place, box)
        for (x0, y0), (x1, y1) in pairwise([*corners, *corners[:1]]):
            x += [short(x0), short(x1), None]
            y += [short(y0), short(y1), None]
    return Scatter(x=x, y=y, mode="lines", line={"color": GREY, "width": 1.5}, hoverinfo="skip")
