"""Loss over each hyperparameter, on the hyperparameter's own scale."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tuner.engine.account import Account, Told
from tuner.review import scales
from tuner.review.comparison import after, compared, five, scores_with
from tuner.review.fates import drawn, jitter, left_out, scatter, searched
from tuner.review.measure import Span, counted, measure_of, number, span_of
from tuner.review.parts import Picture, Section
from tuner.review.style import GREY, dressed
from tuner.search.space import Axis

if TYPE_CHECKING:
    from plotly.graph_objects import Box, Figure

FEWEST = 3  # trials at a rung that make a view of it
EDGE = "Trials at the edge of a picture diverged, or lie beyond it."


def axes(account: Account) -> Section | None:
    """A picture of each searched hyperparameter, the most important first; None where nothing is searched yet.

    Trials are compared after equally many epochs: a button a rung.
    """
    trials = [told for told in searched(account) if told.after]
    shown = [axis for axis in ordered(account) if any(axis.name in told.trial.params for told in trials)]
    views = _views(trials, account)
    if not shown or not views:
        return None
    lead = "Losses are comparable after equally many epochs only: the buttons choose after how many."
    told = lead if len(views) > 1 else f"All losses are those after {after(views[0])}."
    return Section(
        "Loss over each hyperparameter",
        [f"{told} {EDGE}{left_out(trials)}"],
        pictures=[_picture(a, trials, views, account) for a in shown],
    )


def ordered(account: Account) -> list[Axis]:
    """The axes of the space, the most important first where that is known."""
    known = (account.figures.get("importance") or {}).get("axes") or ()
    order = [row["name"] for row in known]
    return sorted(account.space.axes, key=lambda axis: order.index(axis.name) if axis.name in order else len(order))


def _views(trials: Sequence[Told], account: Account) -> list[int]:
    """The rungs, in epochs, at which there is something to compare."""
    counts = {epochs: sum(epochs in told.after for told in trials) for epochs in account.rungs}
    finite = {epochs for told in trials for epochs, score in told.after.items() if math.isfinite(score)}
    reached = [epochs for epochs, count in counts.items() if count and epochs in finite]
    return [epochs for epochs in reached if counts[epochs] >= FEWEST] or reached[:1]


def _picture(axis: Axis, trials: Sequence[Told], views: Sequence[int], account: Account) -> Picture:
    found = [told for told in trials if axis.name in told.trial.params]
    text, head, rows = compared(axis, found, views, measure_of(account))
    missing = len(trials) - len(found)
    text += f" {counted(missing, 'trial')} did not have it." if missing else ""
    return Picture(axis.name.replace("_", " "), text, _drawn(axis, found, views, account), head, rows, small=True)


def _drawn(axis: Axis, trials: Sequence[Told], views: Sequence[int], account: Account) -> Figure:
    """One view a rung, of which one is seen at a time."""
    from plotly.graph_objects import Figure

    figure, owners, measure = Figure(), list[int](), measure_of(account)
    spans = {epochs: span_of((t.after[epochs] for t in trials if epochs in t.after), measure) for epochs in views}
    for epochs in views:
        made = [*_boxes(axis, trials, epochs, spans[epochs])]
        made += scatter(drawn(trials), epochs, account, spans[epochs], across=_across(axis), said=_said(axis))
        figure.add_traces(made)
        owners += [epochs] * len(made)
    for trace, epochs in zip(figure.data, owners, strict=True):
        trace.visible = epochs == views[0]
    figure.update_xaxes(**scales.layout(axis))
    figure.update_yaxes(**spans[views[0]].axis)
    if len(views) > 1:
        figure.update_layout(updatemenus=[_buttons(owners, spans)])
    return dressed(figure, 350 + 40 * (len(views) > 1), top=100 if len(views) > 1 else 50)


def _across(axis: Axis) -> Callable[[Told], float]:
    """Where a trial stands on the axis; beside each other on one that has few values."""
    listed = scales.values(axis)
    wide = 0.5 / len(listed) if listed else 0.0
    return lambda told: round(scales.place(axis, told.trial.params[axis.name]) + jitter(told, wide), 4)


def _said(axis: Axis) -> Callable[[Told], str]:
    return lambda told: f"{axis.name.replace('_', ' ')} {number(told.trial.params[axis.name])}"


def _buttons(owners: Sequence[int], spans: Mapping[int, Span]) -> dict[str, Any]:
    """A button a view, which shows the traces that it owns and the axis that suits them."""
    made = []
    for place, (epochs, span) in enumerate(spans.items()):
        shown = {"visible": [owner == epochs for owner in owners]}
        look = span.axis
        marks = {"yaxis.tickvals": look.get("tickvals"), "yaxis.ticktext": look.get("ticktext")}
        changed = {"yaxis.type": look["type"], "yaxis.autorange": True, **marks}
        told = str(epochs) if place else f"after {after(epochs)}"
        made.append({"label": told, "method": "update", "args": [shown, changed]})
    where = {"x": 0, "xanchor": "left", "y": 1.16, "yanchor": "bottom"}
    return {"type": "buttons", "direction": "right", "buttons": made, "font": {"size": 12}, **where}


def _boxes(axis: Axis, trials: Sequence[Told], epochs: int, span: Span) -> list[Box]:
    """Of an axis with few values a box a value, behind its trials: quartiles, median and extremes."""
    from plotly.graph_objects import Box

    made, listed = [], scales.values(axis)
    for value in listed:
        scores = scores_with(axis, value, trials, epochs)
        look: dict[str, Any] = {
            "line": {"color": GREY, "width": 1.5},
            "fillcolor": "rgba(138,138,138,0.14)",
            "hoverinfo": "skip",
        }
        look |= {"width": 0.7 / len(listed), "showlegend": False, "name": number(value)}
        if len(scores) >= FEWEST:
            ends = dict(zip(("lowerfence", "q1", "median", "q3", "upperfence"), five(scores), strict=True))
            quartiles = {name: [span.place(end)] for name, end in ends.items()}
            made.append(Box(x=[round(scales.place(axis, value), 4)], **quartiles, **look))
    return made
