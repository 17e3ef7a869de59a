"""The pictures of a period: the contenders' losses, what has shifted, and how the losses went over the periods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from tuner.retune.findings import columns, losses, promoted, shifted
from tuner.retune.judgement import Figures
from tuner.retune.sections import number
from tuner.retune.states import Period
from tuner.review.parts import Picture
from tuner.review.style import BLUE, GREEN, GREY, VERMILION, dressed, label

COLUMNS = 30  # of the drift's picture; the table has all of them
# marks and dashes say the same without colour
LOOKS: Mapping[str, tuple[str, str, str]] = MappingProxyType(
    {
        "champion": (BLUE, "circle", "solid"),
        "retrained": (VERMILION, "square", "dash"),
        "challenger": (GREEN, "diamond", "dot"),
    }
)


def contenders(period: Period) -> list[Picture]:
    """Their losses with intervals, if there are any."""
    found = losses(period)
    return [_contenders(found)] if found else []


def drift(period: Period) -> list[Picture]:
    """What has shifted, if that was tested."""
    return [_drift(period)] if columns(period) else []


def over_periods(periods: Sequence[Period]) -> list[Picture]:
    """The losses of a model's periods, the oldest first, if there are several that have any."""
    known = [one for one in periods if losses(one)]
    return [_over_periods(known)] if len(known) > 1 else []


def _contenders(found: Mapping[str, Figures]) -> Picture:
    from plotly.graph_objects import Figure, Scatter

    figure = Figure()
    for name, one in found.items():
        colour, symbol, _ = LOOKS[name]
        mark = {"color": colour, "symbol": symbol, "size": 14}
        reach = {**bars([one]), "color": colour, "thickness": 2, "width": 8}
        figure.add_trace(Scatter(x=[one["mean"]], y=[name], error_x=reach, marker=mark, mode="markers", name=name))
    figure.update_xaxes(title="loss in nats (less is better)")
    figure.update_yaxes(autorange="reversed")
    parts = [f"{name} {one['mean']:.4f}{_ends(one)}" for name, one in found.items() if one["mean"] is not None]
    text = f"Mean loss on the holdout, with its interval: {'; '.join(parts)} nats."
    return Picture("The contenders", text, dressed(figure, 90 + 50 * len(found), legend=False, top=10))


def _drift(period: Period) -> Picture:
    from plotly.graph_objects import Bar, Figure

    every, moved = columns(period), shifted(period)
    shown = [one for one in every if one["effect"] is not None][:COLUMNS]
    figure = Figure()
    for name, colour, pattern, flag in (("shifted", VERMILION, "/", True), ("not shifted", BLUE, "", False)):
        places = [place for place, one in enumerate(shown) if one["shifted"] is flag]
        fill = {"color": colour, "pattern": {"shape": pattern, "fillmode": "overlay"}}
        effects = [shown[place]["effect"] for place in places]
        figure.add_trace(Bar(x=effects, y=places, orientation="h", marker=fill, name=name))
    labels = [_label(one) for one in shown]  # cut, two may be the same: places are not
    figure.update_yaxes(tickvals=list(range(len(shown))), ticktext=labels, autorange="reversed")
    figure.update_xaxes(
        title="effect (a share of rows)", range=[0, max([0.1, *(one["effect"] * 1.05 for one in shown)])]
    )
    names = f": {', '.join(moved[:COLUMNS])}{', …' if len(moved) > COLUMNS else ''}" if moved else ""
    cut = f" The {COLUMNS} largest are shown." if len(every) > COLUMNS else ""
    lead = "How far each column of the fresh rows is from the champion's, from 0 (alike) to 1."
    text = f"{lead} {len(moved)} of {len(every)} have shifted{names}.{cut}"
    return Picture("Drift by column", text, dressed(figure, 130 + 26 * len(shown)))


def _over_periods(known: Sequence[Period]) -> Picture:
    from plotly.graph_objects import Figure, Scatter

    figure = Figure()
    for name, (colour, symbol, dash) in LOOKS.items():
        places = [one.period for one in known if name in losses(one)]
        found = [losses(one)[name] for one in known if name in losses(one)]
        marks = {"color": colour, "symbol": symbol, "size": 10}
        reach = {**bars(found), "color": colour, "thickness": 1.5, "width": 4}
        means, line = [one["mean"] for one in found], {"color": colour, "dash": dash}
        trace = Scatter(x=places, y=means, error_y=reach, mode="lines+markers", marker=marks, line=line, name=name)
        figure.add_trace(trace)
    done = [one.period for one in known if promoted(one)]
    for place in done:
        figure.add_vline(x=place, line={"color": GREY, "width": 1, "dash": "dash"})
    order = [one.period for one in known]
    figure.update_xaxes(type="category", categoryorder="array", categoryarray=order, title="period")
    figure.update_yaxes(title="loss in nats (less is better)")
    told = f"a model was promoted in {', '.join(done)} (dashed)" if done else "none promoted a model"
    text = f"Losses on the holdout of each period, {order[0]} to {order[-1]}; {told}."
    text += " Holdouts differ: compare the lines within a period."
    head, rows = ("period", *LOOKS), [_row(one) for one in known]
    return Picture("Losses over the periods", text, dressed(figure, 420), head, rows)


def _row(period: Period) -> tuple[str, ...]:
    """The period's losses with both ends, by contender."""
    found = losses(period)
    told = {name: f"{number(one['mean']) or 'not finite'}{_ends(one)}" for name, one in found.items()}
    return (period.period, *(told.get(name, "") for name in LOOKS))


def bars(found: Sequence[Figures]) -> dict[str, Any]:
    """Error bars from mean to both ends; an end that is not known has none."""
    ends = {"array": ("high", 1), "arrayminus": ("low", -1)}
    return {
        "type": "data",
        "symmetric": False,
        **{name: [_reach(one, end) * sign for one in found] for name, (end, sign) in ends.items()},
    }


def _reach(one: Figures, end: str) -> float:
    mean, there = one["mean"], one.get(end)
    return 0.0 if mean is None or there is None else there - mean


def _ends(one: Figures) -> str:
    low, high = one.get("low"), one.get("high")
    return "" if low is None or high is None else f" ({low:.4f} to {high:.4f})"


def _label(column: Mapping[str, Any]) -> str:
    return label(f"{column['name']} (label)" if column["role"] == "label" else column["name"])
