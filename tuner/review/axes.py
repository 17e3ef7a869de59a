"""Loss over each hyperparameter, on the hyperparameter's own scale."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tuner.engine.account import Account, Told
from tuner.review import scales
from tuner.review.comparison import HEAD, after, five, rows, scores_with, sentence
from tuner.review.fates import drawn, jitter, left_out, scatter, searched
from tuner.review.measure import Span, counted, measure_of, number, span_of
from tuner.review.parts import Picture, Section, View
from tuner.review.style import GREY, dressed
from tuner.search.space import Axis

if TYPE_CHECKING:
    from plotly.graph_objects import Box, Figure, Scatter

    Traces = Mapping[int, Sequence[Box | Scatter]]  # by the epochs of their view

FEWEST = 3  # trials at a rung that make a view of it
FIVE = ("lowerfence", "q1", "median", "q3", "upperfence")
EDGE = "Trials at the edge of a picture diverged, or lie beyond it."


def axes(account: Account) -> Section | None:
    """A picture of each searched hyperparameter, the most important first; None where nothing is searched yet.

    Trials are compared after equally many epochs: a view a rung.
    """
    trials = [told for told in searched(account) if told.after]
    shown = [axis for axis in ordered(account) if any(axis.name in told.trial.params for told in trials)]
    views = _views(trials, account)
    if not shown or not views:
        return None
    pictures = [_picture(axis, trials, views[0], account) for axis in shown]
    lead = "Trials are comparable after equally many epochs only: the buttons choose after how many."
    same = f"All trials are shown as they were after {after(views[0])}."
    told = lead if any(picture.views for picture in pictures) else same
    measured = measure_of(account).title.removeprefix("validation ").capitalize()
    return Section(
        f"{measured} over each hyperparameter",
        [f"{told} {EDGE}{left_out(trials)}"],
        pictures=pictures,
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


def _picture(axis: Axis, trials: Sequence[Told], first: int, account: Account) -> Picture:
    """One view a rung, of which one is seen at a time; that after `first` epochs where there is little to compare."""
    found, measure = [told for told in trials if axis.name in told.trial.params], measure_of(account)
    rungs = _views(found, account) or [first]
    spans = {epochs: span_of((t.after[epochs] for t in found if epochs in t.after), measure) for epochs in rungs}
    traces = {epochs: _traces(axis, found, epochs, account, spans[epochs]) for epochs in rungs}
    views = [
        View(after(epochs), sentence(axis, found, epochs, measure), _shown(traces, epochs), _changes(spans[epochs]))
        for epochs in rungs
    ]
    missing = len(trials) - len(found)
    rest = f"{counted(missing, 'trial')} did not have it." if missing else ""
    figure, numbers = _drawn(axis, traces, views[0], spans[rungs[0]]), rows(axis, found, rungs, measure)
    shown = Picture(axis.name.replace("_", " "), rest, figure, HEAD, numbers, small=True, views=views, chosen="after")
    return shown if len(views) > 1 else replace(shown, text=f"{views[0].text} {rest}".strip(), views=())


def _drawn(axis: Axis, traces: Traces, first: View, span: Span) -> Figure:
    from plotly.graph_objects import Figure

    figure = Figure([trace for group in traces.values() for trace in group])
    for trace, seen in zip(figure.data, first.shown, strict=True):
        trace.visible = seen
    figure.update_xaxes(**scales.layout(axis))
    figure.update_yaxes(**span.axis)
    return dressed(figure, 350, top=50)


def _traces(axis: Axis, trials: Sequence[Told], epochs: int, account: Account, span: Span) -> list[Box | Scatter]:
    marks = scatter(drawn(trials), epochs, account, span, across=_across(axis), said=_said(axis))
    return [*_boxes(axis, trials, epochs, span), *marks]


def _across(axis: Axis) -> Callable[[Told], float]:
    """Where a trial stands on the axis; beside each other on one that has few values."""
    listed = scales.values(axis)
    wide = 0.5 / len(listed) if listed else 0.0
    return lambda told: round(scales.place(axis, told.trial.params[axis.name]) + jitter(told, wide), 4)


def _said(axis: Axis) -> Callable[[Told], str]:
    return lambda told: f"{axis.name.replace('_', ' ')} {number(told.trial.params[axis.name])}"


def _shown(traces: Traces, chosen: int) -> list[bool]:
    """Which traces are those of the view after `chosen` epochs."""
    return [epochs == chosen for epochs, group in traces.items() for _ in group]


def _changes(span: Span) -> dict[str, Any]:
    """The axis that suits a view."""
    look = span.axis
    marks = {"yaxis.tickvals": look.get("tickvals"), "yaxis.ticktext": look.get("ticktext")}
    return {"yaxis.type": look["type"], "yaxis.autorange": True, **marks}


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
            ends = sorted(span.place(end) for end in five(scores))  # of accuracies the best is the highest
            quartiles = {name: [end] for name, end in zip(FIVE, ends, strict=True)}
            made.append(Box(x=[round(scales.place(axis, value), 4)], **quartiles, **look))
    return made
