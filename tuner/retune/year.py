"""The year of a model: one HTML file about all its periods. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from tuner.retune.figures import LOOKS, PROMOTED, bars, over_periods
from tuner.retune.findings import columns, gains, losses, part, shifted, verdict
from tuner.retune.history import shortened
from tuner.retune.sections import GAINS, between, number
from tuner.retune.states import Period, State, words
from tuner.review.measure import counted, listed, short
from tuner.review.page import page
from tuner.review.parts import Picture, Section
from tuner.review.style import GREY, dressed, label

COLUMNS = 30  # of the drift's picture, those that shifted most; the table has all
SHORT = {"fresh_data": "fresh data", "tuning": "tuning", "total": "both together"}


def year(model: str, periods: Sequence[Period]) -> str:
    """The file's text. `periods` are all that the model has, the oldest first; there must be one."""
    made = (_losses(periods), _verdicts(periods), _gains(periods), _drift(periods), _promotions(periods))
    return page(f"{model}, period by period", [section for section in made if section], _lead(periods), _facts(periods))


def _lead(periods: Sequence[Period]) -> list[str]:
    known = Counter(words(one.state) for one in periods)
    states = listed([f"{count} {state}" for state, count in known.most_common()])
    told = [f"{counted(len(periods), 'period')}, {periods[0].period} to {periods[-1].period}: {states}."]
    newest = periods[-1]
    return [*told, f"The newest, {newest.period}: {words(newest.state)}. {newest.reason}".strip()]


def _facts(periods: Sequence[Period]) -> list[tuple[str, str]]:
    measured = [one for one in periods if losses(one)]
    facts = [("periods", str(len(periods))), ("promotions", str(sum(one.state in PROMOTED for one in periods)))]
    if version := _champion(periods):
        facts.append(("champion", f"version {version}"))
    if measured:
        last = losses(measured[-1])
        name = next(name for name in reversed(list(LOOKS)) if name in last)
        facts.append((f"{name}'s loss, {measured[-1].period}", number(last[name]["mean"]) or "not finite"))
    moved = sum(bool(shifted(one)) for one in periods)
    tested = sum(bool(columns(one)) for one in periods)
    return [*facts, ("periods with drift", f"{moved} of {tested}")] if tested else facts


def _champion(periods: Sequence[Period]) -> str:
    """The champion's version after the newest period that says so."""
    for one in reversed(periods):
        moved = part(one, "promotion")
        if moved and one.state is not State.ROLLED_BACK:
            return str(moved["to"])
        known = moved.get("from") or part(one, "champion").get("version")
        if known:
            return str(known)
    return ""


def _losses(periods: Sequence[Period]) -> Section | None:
    pictures = over_periods(periods)
    lead = "Each period has its own holdout, its newest rows: compare the models within a period, not across them."
    return Section("Losses", [lead], pictures=pictures) if pictures else None


def _verdicts(periods: Sequence[Period]) -> Section:
    rows = [
        (one.period, words(one.state), verdict(one).replace("_", " "), shortened(_why(one), 400))
        for one in reversed(periods)
    ]
    return Section("Verdicts", ["The newest first."], ("period", "state", "verdict", "why"), rows)


def _why(period: Period) -> str:
    trouble = period.data.get("trouble")
    return f"Trouble: {trouble}" if trouble else period.reason


def _gains(periods: Sequence[Period]) -> Section | None:
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
    rows = [(one.period, *(_gain(gains(one).get(name)) for name in SHORT)) for one in known]
    sure = [one.period for one in known if (gains(one).get("total", {}).get("low") or 0.0) > 0]
    text = f"In {len(sure)} of {counted(len(known), 'period')} the challenger is surely better than the champion"
    text += f": {listed(sure)}." if sure else "."
    picture = Picture("Gains with their intervals", text, dressed(figure, 420), ("period", *SHORT.values()), rows)
    told = [f"{title[0].upper()}{title[1:]}: {GAINS[name]}." for name, title in (("fresh_data", "of fresh data"),)]
    return Section("What fresh data gave, and what tuning", told, pictures=[picture])


def _gain(found: Mapping[str, Any] | None) -> str:
    if not found:
        return ""
    ends = between(found, "+")
    return number(found["mean"], "+") + (f" ({ends})" if ends else "")


def _drift(periods: Sequence[Period]) -> Section | None:
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
    text = "The darker, the further a column's fresh rows are from the champion's, from 0 (alike) to 1. "
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


def _promotions(periods: Sequence[Period]) -> Section:
    done = [one for one in periods if part(one, "promotion")]
    rows = [
        (
            one.period,
            words(one.state),
            str(part(one, "promotion")["from"] or "none"),
            str(part(one, "promotion")["to"]),
            _gain(gains(one).get("total")),
        )
        for one in done
    ]
    told = [] if rows else ["No model was promoted."]
    return Section("Promotions", told, ("period", "state", "version before", "version after", "gain in nats"), rows)
