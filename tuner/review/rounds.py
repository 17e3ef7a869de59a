"""Coarse to fine: the box of each round drawn over the points, and why it is where it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

from tuner.engine.account import Account, Told
from tuner.review import scales
from tuner.review.axes import ordered
from tuner.review.fates import drawn, jitter, left_out, searched
from tuner.review.measure import Measure, counted, measure_of, number
from tuner.review.parts import Picture, Section
from tuner.review.style import DASHES, PALETTE, SYMBOLS, dressed
from tuner.search.space import LISTED, Axis

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

AXES = 3  # of which each pair is drawn


def rounds(account: Account) -> Section | None:
    """The rounds of a search from coarse to fine; None of another search."""
    found = [one for one in account.rounds if one.get("box")]
    if not found or not account.space.axes:
        return None
    trials = {told.trial.number: told for told in drawn(searched(account))}
    # an axis whose values are written out has no box, but shares: it comes last
    chosen = sorted(ordered(account), key=lambda axis: axis.domain.kind in LISTED)[:AXES]
    pictures = [_pair(a, b, found, trials, account) for a, b in combinations(chosen, 2)]
    rows = [row for one in found for row in _rows(one)]
    lead = f"{counted(len(found), 'round')}, each from a box around what was good in the ones before."
    told = [lead + left_out(searched(account))]
    told += [f"Round {one['round']}: {counted(len(one['trials']), 'trial')}; {one['reason']}." for one in found]
    head = ("round", "hyperparameter", "box", "why")
    return Section("From coarse to fine", told, head, rows, pictures=pictures, folded="all boxes, and why")


def _pair(
    a: Axis, b: Axis, found: Sequence[Mapping[str, Any]], trials: Mapping[int, Told], account: Account
) -> Picture:
    names = [axis.name.replace("_", " ") for axis in (a, b)]
    last, measure = found[-1], measure_of(account)
    ends = [f"{name} {_ends(last['box'][axis.name])}" for name, axis in zip(names, (a, b), strict=True)]
    text = f"Marks are trials, in the colour and shape of their round, lines the boxes. The last: {', '.join(ends)}."
    head = ("round", *names)
    rows = [(str(one["round"]), *(_ends(one["box"][axis.name]) for axis in (a, b))) for one in found]
    return Picture(f"{names[0]} and {names[1]}", text, _drawn(a, b, found, trials, measure), head, rows, small=True)


def _drawn(
    a: Axis, b: Axis, found: Sequence[Mapping[str, Any]], trials: Mapping[int, Told], measure: Measure
) -> Figure:
    from plotly.graph_objects import Figure, Scatter

    figure = Figure()
    for place, one in enumerate(found):
        colour, name = PALETTE[place % len(PALETTE)], f"round {one['round']}"
        drawn = [trials[number] for number in one["trials"] if number in trials]
        drawn = [told for told in drawn if a.name in told.trial.params and b.name in told.trial.params]
        figure.add_trace(
            Scatter(
                x=[_at(a, told) for told in drawn], y=[_at(b, told) for told in drawn], mode="markers", name=name,
                marker={"color": colour, "symbol": SYMBOLS[place % len(SYMBOLS)], "size": 7, "opacity": 0.75},
                text=[_hover(told, a, b, measure) for told in drawn], hovertemplate="%{text}<extra></extra>",
                legendgroup=name,
            )
        )  # fmt: skip
        (left, right), (low, high) = _side(one["box"][a.name]), _side(one["box"][b.name])
        line = {"color": colour, "width": 2, "dash": DASHES[place % len(DASHES)]}
        edge = {"x": [left, right, right, left, left], "y": [low, low, high, high, low]}
        figure.add_trace(Scatter(**edge, mode="lines", line=line, hoverinfo="skip", legendgroup=name, showlegend=False))
    figure.update_xaxes(**scales.layout(a))
    figure.update_yaxes(**scales.layout(b))
    return dressed(figure, 420, top=70)


def _at(axis: Axis, told: Told) -> float:
    listed = scales.values(axis)
    wide = 0.5 / len(listed) if listed else 0.0
    return scales.place(axis, told.trial.params[axis.name]) + jitter(told, wide)


def _side(part: Mapping[str, Any]) -> tuple[float, float]:
    """The box along an axis; an axis with shares of its values is in it as a whole."""
    return (round(part.get("low", 0.0), 4), round(part.get("high", 1.0), 4))


def _ends(part: Mapping[str, Any]) -> str:
    if "shares" in part:
        return "mostly " + number(max(part["shares"], key=lambda one: one[1])[0])
    return f"{number(part['from'])} to {number(part['to'])}"


def _rows(one: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    for name, part in one["box"].items():
        box = _ends(part)
        if "shares" in part:
            box = ", ".join(f"{number(value)} {share:.0%}" for value, share in part["shares"])
        yield (str(one["round"]), name.replace("_", " "), box, part["reason"])


def _hover(told: Told, a: Axis, b: Axis, measure: Measure) -> str:
    values = ", ".join(f"{axis.name.replace('_', ' ')} {number(told.trial.params[axis.name])}" for axis in (a, b))
    return f"<b>{told.trial.id}</b> {measure.text(told.score)}<br>{values}"
