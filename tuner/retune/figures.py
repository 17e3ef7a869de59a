"""The pictures of a period: the contenders' losses, what has shifted, and how the losses went over the periods."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tuner.retune.findings import columns, losses, shifted
from tuner.retune.judgement import Figures
from tuner.retune.states import Period, State

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

COLUMNS = 30  # of the drift's picture; the table has all of them
LABEL = 30  # characters
# Okabe and Ito's colours, which people with any colour vision tell apart; marks and dashes say the same without colour
LOOKS: Mapping[str, tuple[str, str, str]] = MappingProxyType(
    {
        "champion": ("#0072B2", "circle", "solid"),
        "retrained": ("#D55E00", "square", "dash"),
        "challenger": ("#009E73", "diamond", "dot"),
    }
)
SHIFTED, SAME = "#D55E00", "#56B4E9"
PROMOTED = frozenset({State.PROMOTED, State.ROLLED_BACK})


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure, its title, and what it shows in words: who cannot see it misses nothing."""

    title: str
    text: str
    figure: Figure


def pictures(period: Period, earlier: Sequence[Period]) -> list[Picture]:
    """Those that there is something to show in. `earlier` are the model's other periods, the oldest first."""
    found = losses(period)
    known = [one for one in (*earlier, period) if losses(one)]
    made = [_contenders(found)] if found else []
    made += [_drift(period)] if columns(period) else []
    return made + ([_over_periods(known)] if len(known) > 1 else [])


def _contenders(found: Mapping[str, Figures]) -> Picture:
    from plotly.graph_objects import Figure, Scatter

    figure = Figure()
    for name, one in found.items():
        colour, symbol, _ = LOOKS[name]
        mark = {"color": colour, "symbol": symbol, "size": 14}
        bars = {**_bars([one]), "color": colour, "thickness": 2, "width": 8}
        figure.add_trace(Scatter(x=[one["mean"]], y=[name], error_x=bars, marker=mark, mode="markers", name=name))
    figure.update_layout(height=120 + 60 * len(found), xaxis_title="loss in nats (less is better)")
    figure.update_yaxes(autorange="reversed")
    parts = [f"{name} {one['mean']:.4f}{_ends(one)}" for name, one in found.items() if one["mean"] is not None]
    text = f"Mean loss on the holdout, with its interval: {'; '.join(parts)} nats."
    return Picture("The contenders", text, _dressed(figure, legend=False))


def _drift(period: Period) -> Picture:
    from plotly.graph_objects import Bar, Figure

    every, moved = columns(period), shifted(period)
    shown = [one for one in every if one["effect"] is not None][:COLUMNS]
    figure = Figure()
    for name, colour, pattern, flag in (("shifted", SHIFTED, "/", True), ("not shifted", SAME, "", False)):
        places = [place for place, one in enumerate(shown) if one["shifted"] is flag]
        fill = {"color": colour, "pattern_shape": pattern}
        effects = [shown[place]["effect"] for place in places]
        figure.add_trace(Bar(x=effects, y=places, orientation="h", marker=fill, name=name))
    figure.update_layout(height=140 + 26 * len(shown), xaxis_title="effect (a share of rows)")
    labels = [_label(one) for one in shown]  # cut, two may be the same: places are not
    figure.update_yaxes(tickvals=list(range(len(shown))), ticktext=labels, autorange="reversed")
    figure.update_xaxes(range=[0, max([0.1, *(one["effect"] * 1.05 for one in shown)])])
    names = f": {', '.join(moved[:COLUMNS])}{', …' if len(moved) > COLUMNS else ''}" if moved else ""
    cut = f" The {COLUMNS} largest are shown." if len(every) > COLUMNS else ""
    lead = "How far each column of the fresh rows is from the champion's, from 0 (alike) to 1."
    text = f"{lead} {len(moved)} of {len(every)} have shifted{names}.{cut}"
    return Picture("Drift by column", text, _dressed(figure))


def _over_periods(known: Sequence[Period]) -> Picture:
    from plotly.graph_objects import Figure, Scatter

    figure = Figure()
    for name, (colour, symbol, dash) in LOOKS.items():
        places = [one.period for one in known if name in losses(one)]
        found = [losses(one)[name] for one in known if name in losses(one)]
        marks = {"color": colour, "symbol": symbol, "size": 10}
        bars = {**_bars(found), "color": colour, "thickness": 1.5, "width": 4}
        means, line = [one["mean"] for one in found], {"color": colour, "dash": dash}
        trace = Scatter(x=places, y=means, error_y=bars, mode="lines+markers", marker=marks, line=line, name=name)
        figure.add_trace(trace)
    done = [one.period for one in known if one.state in PROMOTED]
    for place in done:
        figure.add_vline(x=place, line={"color": "#999999", "width": 1, "dash": "dash"})
    order = [one.period for one in known]
    figure.update_xaxes(type="category", categoryorder="array", categoryarray=order, title="period")
    figure.update_layout(height=420, yaxis_title="loss in nats (less is better)")
    promoted = f"a model was promoted in {', '.join(done)} (dashed)" if done else "none promoted a model"
    text = f"Losses on the holdout of each period, {order[0]} to {order[-1]}; {promoted}."
    text += " Holdouts differ: compare the lines within a period."
    return Picture("Losses over the periods", text, _dressed(figure))


def _bars(found: Sequence[Figures]) -> dict[str, Any]:
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
    """The column's name; Plotly would take its angle brackets for HTML."""
    name = column["name"] if len(column["name"]) <= LABEL else column["name"][: LABEL - 1] + "…"
    return html.escape(f"{name} (label)" if column["role"] == "label" else name, quote=False)


def _dressed(figure: Figure, *, legend: bool = True) -> Figure:
    figure.update_layout(
        template="plotly_white",
        font={"size": 14, "family": "system-ui, sans-serif", "color": "#222222"},
        margin={"l": 20, "r": 20, "t": 40, "b": 60},
        showlegend=legend,
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom"},
    )
    figure.update_yaxes(automargin=True)
    return figure
