"""Which rows: the window, and the three-way split, by time or by stratified fractions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.columns import counted
from models.errors import DataError
from tuner.data.request import By, Size

PARTS = ("train", "validation", "holdout")
Indices = NDArray[np.intp]
Times = NDArray[np.datetime64]


@dataclass(frozen=True, slots=True)
class Split:
    """Row numbers of training, validation and holdout rows, disjoint and together all rows, none of them empty."""

    train: Indices
    validation: Indices
    holdout: Indices
    warnings: tuple[str, ...] = ()

    @property
    def parts(self) -> dict[str, Indices]:
        """By name, in the order of PARTS."""
        return {part: getattr(self, part) for part in PARTS}


def naive(now: datetime) -> np.datetime64:
    """`now` in UTC without a zone (without a zone it is taken as UTC)."""
    return np.datetime64(now.astimezone(UTC).replace(tzinfo=None) if now.tzinfo else now, "us")


def cut(frame: pd.DataFrame, time: str | None, window: timedelta | None, now: datetime | None) -> pd.DataFrame:
    """The rows of the window, oldest first (rows of equal time stay in their order).

    With `now`, rows at or after it are dropped and the window is [now - window, now); without, it is
    (newest - window, newest]. `frame[time]` holds datetime64 in UTC. Raises DataError where none is left.
    """
    if time is None:
        if window is not None or now is not None:
            raise DataError("a window needs a time column: name it in `time`, or leave `window` out")
        return frame
    frame = frame.sort_values(time, kind="stable", ignore_index=True)
    times = frame[time].to_numpy()
    if now is not None:
        frame = frame[times < naive(now)]
        times = frame[time].to_numpy()
    if window is not None and len(times):
        frame = frame[
            times >= naive(now) - np.timedelta64(window)
            if now is not None
            else times > times[-1] - np.timedelta64(window)
        ]
    if frame.empty:
        days = f" in the last {window / timedelta(days=1):g} days" if window else ""
        when = f" before {now.isoformat()}" if now else ""
        raise DataError(f"the window must hold rows, and there are none{days}{when}: check `window` and `time`")
    return frame.reset_index(drop=True)


def three_ways(
    y: NDArray[np.int64],
    times: Times | None,
    validation: Size,
    holdout: Size,
    *,
    validation_by: By,
    holdout_by: By,
    now: datetime | None = None,
    seed: int = 0,
) -> Split:
    """Parts rows with classes `y` [N] and sorted `times` [N]: first the holdout, then validation from the rest.

    By time: the newest rows, so that validation comes just before the holdout. A span counts back from `now`
    or from the newest row (as in `cut`), a fraction means that part of all N rows; rows of equal time are
    never parted, those on a border go to the newer part. At random: stratified by class and the same for the
    same seed; rows of a class with fewer than three all stay in training.
    """
    rows = np.arange(len(y))
    border: np.datetime64 | None = None if now is None else naive(now)
    parts, warnings = [], list[str]()
    for size, by in ((holdout, holdout_by), (validation, validation_by)):
        if by == "time":
            if times is None:
                raise DataError("a split by time needs a time column: name it in `time`, or split at random")
            place, border = _newest(times[rows], size, len(y), border)
            rows, part = rows[:place], rows[place:]
        else:
            rows, part, scarce = _drawn(rows, y, size, seed)
            if scarce:
                warnings.append(f"only in training: {counted(scarce, 'row')} of classes with fewer than 3 rows")
        parts.append(part)
    split = Split(rows, parts[1], parts[0], tuple(dict.fromkeys(warnings)))
    if not all(len(part) for part in split.parts.values()):
        sizes = ", ".join(f"{name} {len(part):,}" for name, part in split.parts.items())
        newest = "" if times is None else f"; the newest row is of {times[-1].astype('datetime64[s]')}"
        raise DataError(
            f"every part must have rows, and they have: {sizes}{newest}: "
            f"change `window`, `validation` or `holdout`, or bring more rows"
        )
    return split


def _newest(times: Times, size: Size, total: int, border: np.datetime64 | None) -> tuple[int, np.datetime64]:
    """Where the newest part of `times` begins, and the time that parts it from older rows (itself in the part)."""
    if border is None:  # so that [border - span, border) in whole microseconds is (newest - span, newest]
        border = times[-1] + np.timedelta64(1, "us")
    if isinstance(size, timedelta):
        border = border - np.timedelta64(size)
    else:
        place = max(0, len(times) - round(_fraction(size) * total))
        border = times[place] if place < len(times) else border
    return int(np.searchsorted(times, border, side="left")), border


def _drawn(rows: Indices, y: NDArray[np.int64], size: Size, seed: int) -> tuple[Indices, Indices, int]:
    """The rows that stay, those drawn, both sorted, and how many were too few of their class to be drawn from."""
    if isinstance(size, timedelta):
        raise DataError(f"a part in units of time ({size}) needs a split by time: name `time`, or give a `fraction`")
    labels = y[rows]
    number = round(_fraction(size) * len(y))
    scarce = np.bincount(labels)[labels] < 3
    drawn = np.zeros(len(rows), dtype=bool)
    drawn[~scarce] = _stratified(labels[~scarce], number, np.random.default_rng(seed))
    classes = len(np.unique(labels))
    if not classes <= number <= (~drawn).sum() + number - classes:
        raise DataError(
            f"a stratified split needs rows of every class in every part, and {len(rows):,} rows of {classes} classes "
            f"are too few for parts of {number:,} and {len(rows) - number:,}: bring more rows or change the fractions"
        )
    return rows[~drawn], rows[drawn], int(scarce.sum())


def _stratified(labels: NDArray[np.int64], number: int, random: np.random.Generator) -> NDArray[np.bool_]:
    """Which rows are drawn: `number` of them, of each class its share; what rounding leaves, by largest remainder."""
    counts = np.bincount(labels)
    shares = counts * (number / max(len(labels), 1))
    quota = np.floor(shares).astype(np.int64)
    quota[np.argsort(quota - shares, kind="stable")[: max(number - quota.sum(), 0)]] += 1
    order = random.permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]  # class after class, shuffled within
    place = np.arange(len(labels)) - np.repeat(np.cumsum(counts) - counts, counts)
    drawn = np.zeros(len(labels), dtype=bool)
    drawn[order] = place < np.minimum(quota, counts)[labels[order]]
    return drawn


def _fraction(size: float) -> float:
    if not 0 < size < 1:
        raise DataError(f"a fraction must lie between 0 and 1, not {size}: write it like 0.2")
    return size
