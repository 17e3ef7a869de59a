"""Whether a contender is worse than the champion in some slice: a class, or the rows of one label of a column. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from tuner.retune.bootstrap import Floats, Ints
from tuner.retune.comparison import FEWEST_BLOCKS, Comparison
from tuner.retune.judgement import Contenders, Slice


def compare(case: Comparison, name: str, regression: Floats) -> tuple[Slice, ...]:
    """How `name` compares with the champion in every slice, worst first; `regression` [N] is its loss - the champion's.

    A slice has regressed if its mean regression exceeds the rule's tolerance and is surely above zero. All judged
    slices share the chance 1 - confidence of a false alarm equally (Bonferroni).
    """
    rule, every = case.rule, []
    columns = [(*column, np.bincount(column[2], minlength=len(column[1]))) for column in _columns(case.contenders)]
    judged = sum(int((rows >= rule.min_slice_rows).sum()) for *_, rows in columns)
    for column, labels, places, rows in columns:
        large = np.flatnonzero(rows >= rule.min_slice_rows)
        order = np.full(len(labels), -1)
        order[large] = np.arange(len(large))
        found = case.bootstrap.intervals(regression, order[places], len(large), (1 - rule.confidence) / max(judged, 1))
        sums = np.bincount(places, regression, minlength=len(labels))
        for place in np.flatnonzero(rows).tolist():
            mean, number, i = float(sums[place] / rows[place]), int(rows[place]), int(order[place])
            if i < 0:
                why = f"fewer than {rule.min_slice_rows} rows"
            elif found.blocks[i] < FEWEST_BLOCKS:
                why = f"rows in fewer than {FEWEST_BLOCKS} blocks"
            else:
                why = ""
            low = None if why else float(found.low[i])
            regressed = low is not None and low > 0 and mean > rule.tolerance
            every.append(Slice(name, column, labels[place], number, mean, low, regressed, why))
    return tuple(sorted(every, key=lambda one: (not one.regressed, bool(one.why), -one.regression)))


def _columns(contenders: Contenders) -> Iterator[tuple[str, Sequence[str], Ints]]:
    """Name, labels, and the place of each row's label among them: of the classes, then of every column."""
    yield "class", contenders.classes, contenders.y
    for column, labels in contenders.slices.items():
        known: dict[str, int] = {}
        places = np.fromiter((known.setdefault(label, len(known)) for label in labels), np.int64, len(labels))
        yield column, list(known), places
