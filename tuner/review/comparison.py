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
HEAD = ("after", "value", "trials", "median", "best", "diverged")
Groups = Sequence[tuple[str, list[float]]]


def sentence(axis: Axis, trials: Sequence[Told], epochs: int, measure: Measure) -> str:
    """The comparison after `epochs` epochs of the `trials` that have the axis, in a sentence."""
    if scales.values(axis):
        return _medians(axis, trials, epochs, measure)
    return _best(axis, trials, epochs, measure)


def rows(axis: Axis, trials: Sequence[Told], views: Sequence[int], measure: Measure) -> list[list[str]]:
    """The rows under HEAD: each value, or each quarter of the axis, at each rung of `views` (epochs).

    A trial that diverged counts as the worst.
    """
    found = []
    for epochs in views:
        groups = _by_value(axis, trials, epochs) if scales.values(axis) else _by_quarter(axis, trials, epochs)
        found += [[after(epochs), name, *_cells(scores, measure)] for name, scores in groups]
    return found


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
    if not known:
        return f"No trial has come to epoch {epochs}."
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


def _by_value(axis: Axis, trials: Sequence[Told], epochs: int) -> Groups:
    return [(number(value), scores_with(axis, value, trials, epochs)) for value in scales.values(axis)]


def _by_quarter(axis: Axis, trials: Sequence[Told], epochs: int) -> Groups:
    """The scores in each quarter of the axis."""
    found: list[list[float]] = [[] for _ in range(QUARTERS)]
    for told in trials:
        if epochs in told.after:
            quarter = int(scales.place(axis, told.trial.params[axis.name]) * QUARTERS)
            found[min(quarter, QUARTERS - 1)].append(told.after[epochs])
    ends = [number(axis.domain.from_unit(end / QUARTERS)) for end in range(QUARTERS + 1)]
    return [(f"{ends[place]} to {ends[place + 1]}", scores) for place, scores in enumerate(found)]


def _cells(scores: Sequence[float], measure: Measure) -> list[str]:
    if not scores:
        return ["0", "", "", ""]
    lost = sum(math.isinf(score) for score in scores)
    return [f"{len(scores):,}", measure.text(median(scores)), measure.text(min(scores)), str(lost or "")]
