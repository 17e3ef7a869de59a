"""What a user should know of a table before the first sweep, though it is no reason to refuse it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np
import pandas as pd

from models.columns import Kind, counted, kind_of, numbers_of
from tuner.data.guessing.names import CODES, TIMES, ends_as_target, is_target, noun

FEW = 20  # rows of a class: 15% of them are three, which are no test
SHOWN = 4


def remarks(
    frame: pd.DataFrame, target: str, classes: Sequence[tuple[str, int]], features: Sequence[str]
) -> Iterator[str]:
    """A sentence each: of the classes (name, rows), and of `features` that are perhaps not what they seem."""
    rare = [(name, rows) for name, rows in classes if rows < FEW]
    if rare:
        told = ", ".join(f"{name!r} ({counted(rows, 'row')})" for name, rows in rare[:SHOWN])
        more = f" and {len(rare) - SHOWN} more" if len(rare) > SHOWN else ""
        yield f"too few rows to test on: {told}{more}; bring more rows, or merge or drop the class"
    for alike in _alike([name for name, _ in classes]):
        yield f"classes that differ in case or spaces only: {', '.join(map(repr, alike))}; make them one if they are"
    others = [name for name in features if name != target and (is_target(name) or ends_as_target(name))]
    if others:
        yield f"has a name for a target, too, and is a feature: {_listed(others)}; take it out if it is another answer"
    codes = [name for name in features if noun(name) in CODES and _is_whole(frame[name])]
    if codes:
        yield f"by its name a code, but read as a quantity: {_listed(codes)}; take it out, or write it with letters"
    ordering = [name for name in features if noun(name) in TIMES and _is_in_order(frame[name])]
    if ordering:
        yield f"a number that rows stand in the order of: {_listed(ordering)}; to split by it, write it as ISO 8601"


def _alike(names: Sequence[str]) -> Iterator[list[str]]:
    def plain(name: str) -> str:
        return " ".join(name.casefold().split())

    for _, group in groupby(sorted(names, key=plain), key=plain):
        alike = list(group)
        if len(alike) > 1:
            yield alike


def _is_whole(series: pd.Series) -> bool:
    if kind_of(series) is not Kind.NUMBER:
        return False
    values = numbers_of(series, Kind.NUMBER)
    values = values[~np.isnan(values)]
    return bool((values == values.round()).all())


def _is_in_order(series: pd.Series) -> bool:
    return kind_of(series) is Kind.NUMBER and series.is_monotonic_increasing and series.nunique() > 2


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:SHOWN])) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
