"""The losses along one hyperparameter in words and as a table: value by value, or quarter by quarter. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

from tuner.engine.account import Told
from tuner.review import scales
from tuner.review.fates import diverged
from tuner.review.measure import Measure, counted, listed, number
from tuner.search.space import Axis
from tuner.trial import Value

QUARTERS = 4
MOST = 20  # trials that are called the best
Compared = tuple[str, Sequence[str], Sequence[Sequence[str]]]


def compared(axis: Axis, trials: Sequence[Told], views: Sequence[int], measure: Measure) -> Compared:
    """A sentence, and a table's head and rows, of `trials` that have the axis, at the rungs of `views` (epochs).

    A trial that diverged counts as the worst.
    """
    if scales.values(axis):
        return (_medians(axis, trials, views[0], measure), *_by_value(axis, trials, views, measure))
    return (_best(axis, trials, views[0], measure), *_by_quarter(axis, trials, views[0], measure))


def scores_with(axis: Axis, value: Value, trials: Sequence[Told], epochs: int) -> list[float]:
    """Scores after `epochs` of the trials with this value; infinity for one that diverged."""
    return [t.after[epochs] for t in trials if epochs in t.after and t.trial.params[axis.name] == value]


def five(scores: Sequence[float]) -> tuple[float, float, float, float, float]:
    """Minimum, quartiles and maximum of at least two scores; one that diverged is infinity."""
    ordered = sorted(scores)
    last = len(ordered) - 1
    low, high = (
        ordered[-(-last * part // 4)] for part in (1, 3)
    )  # of two neighbours the worse: half to infinity is none
    return ordered[0], low, median(ordered), high, ordered[-1]


def after(epochs: int) -> str:
    """`epochs` in words."""
    return counted(epochs, "epoch")


def _medians(axis: Axis, trials: Sequence[Told], epochs: int, measure: Measure) -> str:
    found = {value: scores_with(axis, value, trials, epochs) for value in scales.values(axis)}
    known = sorted((median(scores), number(value), len(scores)) for value, scores in found.items() if scores)
    parts = [f"{measure.text(middle)} with {value} ({counted(count, 'trial')})" for middle, value, count in known]
    lead = f"Medians after {after(epochs)}, the best first: " if len(known) > 1 else f"After {after(epochs)}: "
    return f"{lead}{listed(parts)}.{_lost(trials, epochs)}"


def _best(axis: Axis, trials: Sequence[Told], epochs: int, measure: Measure) -> str:
    """Where the best tenth lies."""
    scored = sorted(
        (t.after[epochs], t.trial.number, t) for t in trials if math.isfinite(t.after.get(epochs, math.inf))
    )
    fell = _lost(trials, epochs)
    if not scored:
        return f"No trial has a finite loss after {after(epochs)}.{fell}"
    best = scored[: max(1, min(round(len(scored) / 10), MOST))]
    values = sorted(float(told.trial.params[axis.name]) for _, _, told in best)
    if len(best) == 1:
        told = f"The best of {len(scored)} after {after(epochs)} has {number(values[0])}: {measure.text(best[0][0])}"
    else:
        told = f"The best {len(best)} of {len(scored)} after {after(epochs)} lie from {number(values[0])}"
        told += f" to {number(values[-1])}"
    return f"{told}.{fell}"


def _lost(trials: Sequence[Told], epochs: int) -> str:
    lost = diverged(trials, epochs)
    return f" {counted(lost, 'trial')} diverged." if lost else ""


def _by_value(
    axis: Axis, trials: Sequence[Told], views: Sequence[int], measure: Measure
) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """Each value at each rung."""
    head = ["value"]
    for epochs in views:
        head += [f"trials after {after(epochs)}", "median", "best", "diverged"]
    rows = [
        [number(value), *(c for epochs in views for c in _cells(scores_with(axis, value, trials, epochs), measure))]
        for value in scales.values(axis)
    ]
    return head, rows


def _by_quarter(
    axis: Axis, trials: Sequence[Told], epochs: int, measure: Measure
) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """Each quarter of the axis."""
    found: list[list[float]] = [[] for _ in range(QUARTERS)]
    for told in trials:
        if epochs in told.after:
            quarter = int(scales.place(axis, told.trial.params[axis.name]) * QUARTERS)
            found[min(quarter, QUARTERS - 1)].append(told.after[epochs])
    ends = [number(axis.domain.from_unit(end / QUARTERS)) for end in range(QUARTERS + 1)]
    rows = [[f"{ends[place]} to {ends[place + 1]}", *_cells(scores, measure)] for place, scores in enumerate(found)]
    return ("range", f"trials after {after(epochs)}", "median", "best", "diverged"), rows


def _cells(scores: Sequence[float], measure: Measure) -> list[str]:
    if not scores:
        return ["0", "", "", ""]
    lost = sum(math.isinf(score) for score in scores)
    return [f"{len(scores):,}", measure.text(median(scores)), measure.text(min(scores)), str(lost or "")]
