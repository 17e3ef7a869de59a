"""What changed over a model's periods: the gains of fresh data and of tuning, and the drift of columns. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from tuner.retune.figures import LOOKS, bars
from tuner.retune.findings import columns, gains, part, shifted
from tuner.retune.sections import GAINS, between, number
from tuner.retune.states import Period
from tuner.review.measure import counted, listed, short
from tuner.review.parts import Picture, Section
from tuner.review.style import GREY, dressed, label

COLUMNS = 30  # of the drift's picture, those that shifted most
SHORT = {"fresh_data": "fresh data", "tuning": "tuning", "total": "both together"}


def gained(periods: Sequence[Period]) -> Section | None:
    """What fresh data and tuning gave in each period, with intervals."""
    from plotly.graph_objects import Figure, Scatter

    known = [one for one in periods if gains(one)]
    if not known:
        return None
    figure = Figure()
    for (name, title), (colour, symbol, _) in zip(SHORT.items(), LOOKS.values(), strict=True):
        here = [one for one in known if name in gains(one)]
        found = [gains(one)[name] for one in here]
        reach = {**bars(found), "color": colour, "thickness": 1.5, "width": 4}
        mark = {"color": colour, "symbol": symbol, "size": 10}
        means = [one["mean"] for one in found]
        x = [one.period for one in here]
        figure.add_trace(Scatter(x=x, y=means, error_y=reach, mode="markers", marker=mark, name=title))
    figure.add_hline(y=0, line={"color": GREY, "width": 1.5})
    order = [one.period for one in known]
    figure.update_xaxes(type="category", categoryorder="array", categoryarray=order, title="period")
    figure.update_yaxes(title="gain in nats (above 0 is better)")
    figure.update_layout(scattermode="group", scattergap=0.6)
    rows = [(one.period, *(gain_of(gains(one).get(name)) for name in SHORT)) for one in known]
    sure = [one.period for one in known if (gains(one).get("total", {}).get("low") or 0.0) > 0]
    text = f"In {len(sure)} of {counted(len(known), 'period')} the challenger is surely better than the champion"
    text += f": {listed(sure)}." if sure else "."
    picture = Picture("Gains with their intervals", text, dressed(figure, 420), ("period", *SHORT.values()), rows)
    return Section("What gave what", [f"Gains of {', of '.join(GAINS.values())}."], pictures=[picture])


def gain_of(found: Mapping[str, Any] | None) -> str:
    """A gain with both ends, as text; nothing where there is none."""
    if not found:
        return ""
    ends = between(found, "+")
    return number(found["mean"], "+") + (f" ({ends})" if ends else "")


def drifted(periods: Sequence[Period]) -> Section | None:
    """How far each column has moved from the champion's rows, period by period."""
    from plotly.graph_objects import Figure, Heatmap

    known = [one for one in periods if columns(one)]
    effects = {one.period: {_name(column): column for column in columns(one)} for one in known}
    if not known:
        return None
    names = list(dict.fromkeys(chain.from_iterable(effects.values())))
    names.sort(key=lambda name: -max(_effect(found.get(name)) for found in effects.values()))
    shown = names[:COLUMNS]
    cells = [[effects[one.period].get(name) for one in known] for name in shown]
    figure = Figure(
        Heatmap(
            x=[one.period for one in known],
            y=list(range(len(shown))),
            z=[[None if cell is None else short(_effect(cell)) for cell in row] for row in cells],
            text=[["shifted" if cell and cell["shifted"] else "" for cell in row] for row in cells],
            texttemplate="%{text}" if len(known) <= 8 else None,
            hovertemplate="%{x}: effect %{z:.3f} %{text}<extra></extra>",
            colorscale=[[0, "rgba(213,94,0,0.05)"], [1, "rgba(213,94,0,0.75)"]],
            zmin=0,
            showscale=False,
            xgap=1,
            ygap=1,
        )
    )
    figure.update_xaxes(type="category", title="period", showgrid=False)
    ticks = {"tickvals": list(range(len(shown))), "ticktext": [label(name, 22) for name in shown]}
    figure.update_yaxes(autorange="reversed", showgrid=False, **ticks)
    moved = Counter(chain.from_iterable(map(shifted, known)))
    most = ", ".join(f"{name} ({count})" for name, count in moved.most_common(5))
    text = "The stronger the colour, the further a column's fresh rows are from the champion's, from 0 (alike) to 1. "
    text += f"Shifted most often: {most}." if moved else "No column has shifted in any period."
    text += f" The {COLUMNS} that moved most are drawn." if len(names) > COLUMNS else ""
    picture = Picture("Drift by column", text, dressed(figure, 130 + 26 * len(shown), legend=False, top=10),
                      ("period", "columns shifted", "which", "rows told apart (AUC)"), list(_moved(known)))  # fmt: skip
    return Section("Drift", pictures=[picture])


def _name(column: Mapping[str, Any]) -> str:
    return f"{column['name']} (label)" if column["role"] == "label" else str(column["name"])


def _effect(column: Mapping[str, Any] | None) -> float:
    return float((column or {}).get("effect") or 0.0)


def _moved(known: Sequence[Period]) -> Iterator[tuple[str, ...]]:
    for one in known:
        found, auc = shifted(one), part(one, "drift").get("auc")
        told = ", ".join(found[:COLUMNS]) + (", …" if len(found) > COLUMNS else "")
        yield (one.period, f"{len(found)} of {len(columns(one))}", told, "" if auc is None else f"{auc:.3f}")
