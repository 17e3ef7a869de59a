"""What a table seems to hold: which column is the target, which the time, and which are better left out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.columns import DataError, Kind, counted, kind_of, numbers_of, require
from tuner.data.leaks import gives_away
from tuner.data.preparation import label
from tuner.data.request import NPZ_TARGET
from tuner.data.source import timestamps

MOST_CLASSES = 50
MOST_NUMBERED = 20  # classes that are numbers: more of them are rather a quantity
SHOWN = 8  # candidates in an error
TARGETS = re.compile(r"(.*[_ ])?(target|labels?|class|classes|outcome|y)", re.IGNORECASE)
IDENTIFIERS = re.compile(r"(.*[_ ])?(id|ids|uuid|guid|key|number|no|nr|index|row)|unnamed: \d+", re.IGNORECASE)
Reason = str


@dataclass(frozen=True, slots=True)
class Guess:
    """What was found, each with the reason in words. `classes` has (name, rows); `left_out` column: reason."""

    rows: int
    target: str
    target_reason: Reason
    classes: tuple[tuple[str, int], ...]
    time: str | None
    time_reason: Reason
    features: tuple[str, ...]
    left_out: dict[str, Reason]


def guess(frame: pd.DataFrame, target: str | None = None) -> Guess:
    """Looks at all columns of `frame`; `target` names the one with the classes. Raises DataError.

    Where no column, or more than one, is likely to be the target, the error names those that could be.
    """
    if frame.empty:
        raise DataError("data must have rows, and these have none: check the file")
    chosen, reason = _target(frame) if target is None else (target, "as you named it")
    require([chosen], frame.columns)
    codes, names = label(frame[chosen])
    others = [str(name) for name in frame if name != chosen]
    time, time_reason = _time(frame, others)
    left_out = dict(_left_out(frame, [name for name in others if name != time], codes, is_array=_is_npz(frame)))
    features = tuple(name for name in others if name != time and name not in left_out)
    if not features:
        raise DataError(f"beside the target {chosen!r} there is nothing to learn from: {_listed(left_out)}")
    classes = tuple(zip(names, np.bincount(codes).tolist(), strict=True))
    return Guess(len(frame), chosen, reason, classes, time, time_reason, features, left_out)


def _is_npz(frame: pd.DataFrame) -> bool:
    return list(frame.columns) == [*(f"x{place}" for place in range(frame.shape[1] - 1)), NPZ_TARGET]


def _target(frame: pd.DataFrame) -> tuple[str, Reason]:
    """The column that is likely to be the target, and the reason; DataError names the candidates."""
    if _is_npz(frame):
        return NPZ_TARGET, "where an NPZ file has its labels"
    able = {str(name): classes for name in frame if (classes := _classes(frame[name]))}
    named = [name for name in able if TARGETS.fullmatch(name)]
    if len(named) == 1:
        return named[0], "guessed by its name"
    texts = [name for name in able if kind_of(frame[name]) in (Kind.CATEGORY, Kind.BOOLEAN)]
    if not named and len(able) == 1:
        return next(iter(able)), "guessed, as the only column that could hold classes"
    if not named and texts == [str(frame.columns[-1])]:
        return texts[0], "guessed, as the last column and the only one with classes as texts"
    if not able:
        raise DataError(
            "no column could be a target: it takes 2 to 50 classes, none of them once only, and a label in every row; "
            "name one with --target, or cut a column of numbers into classes"
        )
    likely = sorted(named or able, key=lambda name: (name not in texts, able[name]))
    raise DataError(
        f"{'several columns have a name for' if named else 'no column is obviously'} the target: name one with "
        f"--target; it could be {_listed({name: f'{able[name]} classes' for name in likely})}"
    )


def _classes(series: pd.Series) -> int:
    """How many classes the column could be said to hold; 0 where it holds none."""
    try:
        kind = kind_of(series)
    except DataError:
        return 0
    counts = series.value_counts(dropna=False)
    most = MOST_NUMBERED if kind is Kind.NUMBER else MOST_CLASSES
    if kind is Kind.DATETIME or not 2 <= len(counts) <= most or counts.min() < 2 or series.isna().any():
        return 0
    return len(counts) if kind is not Kind.NUMBER or _is_whole(series) else 0


def _is_whole(series: pd.Series) -> bool:
    """Whether every row has a whole number."""
    values = numbers_of(series, Kind.NUMBER)
    return bool((values == values.round()).all())  # NaN equals nothing


def _time(frame: pd.DataFrame, names: list[str]) -> tuple[str | None, Reason]:
    """The first column that has a time in every row."""
    times = [name for name in names if _holds_times(frame[name])]
    if not times:
        return None, "no column has a time in every row"
    return times[0], f"guessed, as the {'only' if len(times) == 1 else 'first'} column with a time in every row"


def _holds_times(series: pd.Series) -> bool:
    try:
        if kind_of(series) is Kind.CATEGORY and not str(series.iloc[0])[:4].isdigit():
            return False
        return bool(timestamps(series).nunique() > 1)
    except DataError:
        return False


def _left_out(
    frame: pd.DataFrame, names: list[str], codes: NDArray[np.int64], *, is_array: bool
) -> Iterator[tuple[str, Reason]]:
    """What is useless or leaks, with the reason; of an array, whose places belong together, what leaks only."""
    for name in names:
        reason = "" if is_array else _useless(frame[name])
        if reason := reason or gives_away(frame[name], codes):
            yield name, reason


def _useless(series: pd.Series) -> Reason:
    """Why nothing that holds for other rows can be learned from the column; empty where something may be."""
    try:
        kind = kind_of(series)
    except DataError as error:
        return f"has no encoding ({str(error).partition(';')[0]})"
    distinct, rows = series.nunique(), int(series.notna().sum())
    if not distinct:
        return "empty"
    if distinct == 1:
        return "constant"
    if kind is Kind.DATETIME or (kind is Kind.CATEGORY and _holds_times(series)):
        return "another time, which as a number only counts on: make it a duration or a time of day"
    return _identifies(series, kind, distinct, rows)


def _identifies(series: pd.Series, kind: Kind, distinct: int, rows: int) -> Reason:
    """Why the column rather names rows than tells of them; empty where it does not."""
    if kind is Kind.CATEGORY and distinct > max(20, rows / 2):
        return f"an identifier or free text: {counted(distinct, 'value')} in {counted(rows, 'row')}"
    if kind is Kind.NUMBER and distinct == len(series) > 20 and _is_whole(series):
        counts_up = bool((np.diff(numbers_of(series, kind)) == 1).all())
        if counts_up or IDENTIFIERS.fullmatch(str(series.name)):
            return "an identifier: another number in every row"
    return ""


def _listed(reasons: dict[str, Reason]) -> str:
    told = [f"{name!r} ({reason})" for name, reason in list(reasons.items())[:SHOWN]]
    return ", ".join(told) + (f" and {len(reasons) - SHOWN} more" if len(reasons) > SHOWN else "")
