"""What a table seems to hold: which column is the target, which the time, and which are better left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.columns import require
from models.errors import DataError
from tuner.data.guessing.header import require_header
from tuner.data.guessing.leaks import gives_away
from tuner.data.guessing.remarks import remarks
from tuner.data.guessing.target import find_target
from tuner.data.guessing.times import find_time
from tuner.data.guessing.useless import useless
from tuner.data.preparation import label
from tuner.data.request import NPZ_TARGET
from tuner.data.source import timestamps

NAMED = "as you named it"
NO_TIME = "none"  # how a user says that there is no time
SHOWN = 8  # columns in an error


@dataclass(frozen=True, slots=True)
class Guess:
    """What was found, each with the reason in words. `classes` has (name, rows); `left_out` column: reason.

    `remarks` are what to know of the classes and features before the first sweep.
    """

    rows: int
    target: str
    target_reason: str
    classes: tuple[tuple[str, int], ...]
    time: str | None
    time_reason: str
    features: tuple[str, ...]
    left_out: dict[str, str]
    remarks: tuple[str, ...]


def guess(frame: pd.DataFrame, target: str | None = None, time: str | None = None) -> Guess:
    """Looks at all columns of `frame`. Raises DataError.

    `target` names the column with the classes, `time` the one that says when a row was made ("none": there is
    none). Where no column, or more than one, is likely to be the target, the error names those that could be.
    """
    if frame.empty:
        raise DataError("data must have rows, and these have none: check the file")
    is_array = list(frame.columns) == [*(f"x{place}" for place in range(frame.shape[1] - 1)), NPZ_TARGET]
    require([name for name in (target, time) if name not in (None, NO_TIME)], frame.columns)
    require_header(frame)
    chosen, reason = _target(frame, target, is_array=is_array)
    codes, names = label(frame[chosen])
    others = [str(name) for name in frame if name != chosen]
    time, time_reason = _time(frame, others, time)
    others = [name for name in others if name != time]
    left_out = dict(_left_out(frame, others, codes, is_array=is_array))
    features = tuple(name for name in others if name not in left_out)
    if not features:
        told = _listed(left_out) or "there is no other column"
        raise DataError(
            f"beside the target {chosen!r} a table must have something to learn from, and has not: {told}; "
            f"add a column of numbers or categories"
        )
    classes = tuple(zip(names, np.bincount(codes).tolist(), strict=True))
    noted = () if is_array else tuple(remarks(frame, chosen, classes, features))
    return Guess(len(frame), chosen, reason, classes, time, time_reason, features, left_out, noted)


def _target(frame: pd.DataFrame, named: str | None, *, is_array: bool) -> tuple[str, str]:
    if named is not None:
        return named, NAMED
    if is_array:
        return NPZ_TARGET, "where an NPZ file has its labels"
    found, reason = find_target(frame)
    return found, f"{reason}; --target names another"


def _time(frame: pd.DataFrame, others: Sequence[str], named: str | None) -> tuple[str | None, str]:
    if named is None:
        found, reason = find_time(frame, others)
        return found, f"{reason}; --time names another, or none" if found else reason
    if named == NO_TIME and NO_TIME not in others:
        return None, "as you said"
    if named not in others:
        raise DataError(f"target and time must be two columns, and {named!r} is both: name another with --time")
    timestamps(frame[named])
    return named, NAMED


def _left_out(
    frame: pd.DataFrame, names: Sequence[str], codes: NDArray[np.int64], *, is_array: bool
) -> Iterator[tuple[str, str]]:
    """What is useless or leaks, with the reason; of an array, whose places belong together, what leaks only."""
    for name in names:
        reason = "" if is_array else useless(frame[name])
        if reason := reason or gives_away(frame[name], codes):
            yield name, reason


def _listed(reasons: dict[str, str]) -> str:
    told = [f"{name!r} ({reason})" for name, reason in list(reasons.items())[:SHOWN]]
    return ", ".join(told) + (f" and {len(reasons) - SHOWN} more" if len(reasons) > SHOWN else "")
