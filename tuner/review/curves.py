"""Learning curves, by the rung that their trials came to."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from tuner.engine.account import Account, Told
from tuner.review.fates import best_word, drawn, left_out, searched, winner_of
from tuner.review.measure import Measure, Span, counted, decades, listed, measure_of, span_of
from tuner.review.parts import Picture, Section
from tuner.review.style import BLUE, GREY, VERMILION, dressed
from tuner.trial import Row

if TYPE_CHECKING:
    from plotly.graph_objects import Figure, Scatter

POINTS = 20_000  # of all curves together: what a phone draws at once, in less than a megabyte
FEWEST = 8  # points of a curve, whatever the number of curves
RULE = "the first, the last, the rungs', and others evenly over the logarithm of the epoch"
Groups = Sequence[tuple[int, Sequence[Told]]]


def curves(account: Account) -> Section | None:
    """All trials' validation curves, those that went no further faded; None before there is a finite loss."""
    trials = [told for told in searched(account) if told.rows]
    if not any(math.isfinite(row.val_loss) for told in trials for row in told.rows):
        return None
    measure, groups, shown = measure_of(account), _groups(trials, account), drawn(trials)
    most = max(FEWEST, POINTS // len(shown))
    rows = []
    for epochs, group in groups:
        best = min(group, key=lambda told: told.score)
        rows.append((_ended(epochs), f"{len(group):,}", best.trial.id, measure.text(best.score)))
    head = ("ended", "trials", "best of them", f"its {measure.title}")
    text = _text(trials, groups, account, most) + left_out(trials)
    figure = _drawn(groups, {told.trial.id for told in shown}, account, most)
    return Section("Learning curves", pictures=[Picture("Validation curves by rung", text, figure, head, rows)])


def _groups(trials: Sequence[Told], account: Account) -> Groups:
    """Trials by the last rung whose epochs they have, the lowest first; 0 is none of them."""
    found: dict[int, list[Told]] = {}
    for told in trials:
        last = max((epochs for epochs in account.rungs if epochs <= told.rows[-1].epoch), default=0)
        found.setdefault(last, []).append(told)
    return sorted(found.items())


def _ended(epochs: int) -> str:
    return f"at epoch {epochs}" if epochs else "before the first rung"


def _drawn(groups: Groups, shown: Collection[str], account: Account, most: int) -> Figure:
    """The curves of the trials `shown`, a trace a group."""
    from plotly.graph_objects import Figure

    figure, best, measure = Figure(), winner_of(account), measure_of(account)
    span = span_of((_score(row, measure) for _, group in groups for told in group for row in told.rows), measure)
    for place, (epochs, group) in enumerate(groups, 1):
        share = place / len(groups)
        line = {"color": BLUE if epochs == account.rungs[-1] else GREY, "width": 0.8 + 0.7 * share}
        some = [told for told in group if told.trial.id in shown]
        trace = _lines(some, span, most, account.rungs, line)
        figure.add_trace(trace.update(name=f"{_ended(epochs)} ({len(group):,})", opacity=0.3 + 0.5 * share))
    if best:
        trace = _lines([best], span, 10 * FEWEST, account.rungs, {"color": VERMILION, "width": 3})
        figure.add_trace(trace.update(name=f"the {best_word(account)}, {best.trial.id}"))
    for epochs in account.rungs[:-1]:
        figure.add_vline(x=epochs, line={"color": GREY, "width": 1, "dash": "dot"})
    longest = max(told.rows[-1].epoch for _, group in groups for told in group)
    figure.update_xaxes(type="log" if longest > 9 else "linear", title="epoch", **_epochs(longest, account.rungs))
    figure.update_yaxes(**span.axis)
    return dressed(figure, 460, top=70)


def _lines(group: Iterable[Told], span: Span, most: int, rungs: Sequence[int], line: dict[str, Any]) -> Scatter:
    """The curves of a group as one trace, with gaps between them; where each has one point only, as marks."""
    from plotly.graph_objects import Scatter

    x: list[int | None] = []
    y: list[float | None] = []
    names: list[str] = []
    longest = 0
    for told in group:
        rows = thinned(told.rows, most, rungs)
        longest = max(longest, len(rows))
        x += [*(row.epoch for row in rows), None]
        y += [*(span.place(score) if math.isfinite(score := _score(row, span.measure)) else None for row in rows), None]
        names += [told.trial.id] * (len(rows) + 1)
    mark = {"color": line["color"], "size": 6}
    hover = f"%{{text}}, epoch %{{x}}: %{{y:{span.measure.digits}}}<extra></extra>"
    mode = "lines" if longest > 1 else "markers"
    return Scatter(x=x, y=y, text=names, mode=mode, line=line, marker=mark, hovertemplate=hover)


def thinned(rows: Sequence[Row], most: int, rungs: Sequence[int]) -> list[Row]:
    """At most about `most` of the rows: the first, the last, those at rungs, and others evenly over log epochs."""
    if len(rows) <= most:
        return list(rows)
    last = math.log(len(rows))
    kept = {round(math.exp(last * step / (most - 1))) - 1 for step in range(most)}
    kept |= {place for place, row in enumerate(rows) if row.epoch in rungs}
    return [rows[place] for place in sorted(kept | {len(rows) - 1})]


def _epochs(longest: int, rungs: Sequence[int]) -> dict[str, Any]:
    """The rungs as marks of the axis, where they fit."""
    shown = [epochs for epochs in rungs if epochs <= longest]
    if not 2 < len(shown) < 9:
        shown = [int(mark) for mark in decades(1, longest)] if longest > 9 else []
    return {"tickvals": shown, "ticktext": [str(epochs) for epochs in shown]} if shown else {}


def _score(row: Row, measure: Measure) -> float:
    return row.val_loss if measure.name == "val_loss" else -row.val_accuracy


def _text(trials: Sequence[Told], groups: Groups, account: Account, most: int) -> str:
    ended = listed([f"{len(group):,} {_ended(epochs)}" for epochs, group in groups])
    told, best = f"{counted(len(trials), 'trial')}; their training ended: {ended}.", winner_of(account)
    if best:
        row = min(best.rows, key=lambda row: _score(row, measure_of(account)))
        told += f" The {best_word(account)} was at its best at epoch {row.epoch} of {best.rows[-1].epoch}."
    if any(len(one.rows) > most for one in trials):
        told += f" Of each curve at most about {most} epochs are drawn: {RULE}."
    return told
