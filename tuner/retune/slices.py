"""Whether a contender is worse than the champion in some slice: a class, or the rows of one label of a column. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from tuner.retune.bootstrap import Floats, Ints
from tuner.retune.comparison import FEWEST_BLOCKS, Comparison
from tuner.retune.judgement import Slice


def compare(case: Comparison, name: str, regression: Floats) -> tuple[Slice, ...]:
    """How `name` compares with the champion in every slice, worst first; `regression` [N] is its loss - the champion's.

    A slice has regressed if its mean regression exceeds the rule's tolerance and is surely above zero. Where nothing
    has changed, some slice is found regressed with chance 1 - confidence at most, however many there are.
    """
    every: list[Slice] = []
    rows: list[Floats] = []
    sums: list[Floats] = []
    tolerances: list[float] = []
    for column, labels, places, tolerance in _columns(case):
        counts = np.bincount(places, minlength=len(labels))
        means = np.bincount(places, regression, minlength=len(labels)) / np.maximum(counts, 1)
        large = counts >= case.rule.min_slice_rows
        order = np.where(large, np.cumsum(large) - 1, -1)
        for found, part in zip(
            (rows, sums), case.bootstrap.totals(regression, order[places], large.sum()), strict=True
        ):
            found.append(part)
        small = f"fewer than {case.rule.min_slice_rows} rows"
        every += [
            Slice(name, column, labels[i], int(counts[i]), float(means[i]), why="" if large[i] else small)
            for i in np.flatnonzero(counts).tolist()
        ]
        tolerances += [tolerance] * (len(every) - len(tolerances))
    lows = iter(_lows(case, np.hstack(rows), np.hstack(sums)))
    told = [
        one if one.why else _judged(one, next(lows), tolerance)
        for one, tolerance in zip(every, tolerances, strict=True)
    ]
    return tuple(sorted(told, key=lambda one: (not one.regressed, bool(one.why), -one.regression)))


def _lows(case: Comparison, rows: Floats, sums: Floats) -> list[float | None]:
    """What the mean regression of each slice surely exceeds; None where too few blocks have a row of it."""
    enough = (rows > 0).sum(0) >= FEWEST_BLOCKS
    bounds = iter(case.bootstrap.bounds(rows[:, enough], sums[:, enough], 1 - case.rule.confidence).tolist())
    return [next(bounds) if judged else None for judged in enough]


def _judged(one: Slice, low: float | None, tolerance: float) -> Slice:
    if low is None:
        return replace(one, why=f"rows in fewer than {FEWEST_BLOCKS} blocks")
    return replace(one, low=low, regressed=low > 0 and one.regression > tolerance)


def _columns(case: Comparison) -> Iterator[tuple[str, Sequence[str], Ints, float]]:
    """Name, labels, the place of each row's label among them, and the tolerance: the classes, then every column."""
    contenders = case.contenders
    yield "class", contenders.classes, contenders.y, case.rule.class_tolerance
    for column, labels in contenders.slices.items():
        known: dict[str, int] = {}
        places = np.fromiter((known.setdefault(label, len(known)) for label in labels), np.int64, len(labels))
        yield column, list(known), places, case.rule.tolerance
