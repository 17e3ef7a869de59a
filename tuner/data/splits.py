"""Which rows: the window, and the three-way split, by time or by stratified fractions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.features import DataError

PARTS = ("train", "validation", "holdout")
Indices = NDArray[np.intp]
Times = NDArray[np.datetime64]


@dataclass(frozen=True, slots=True)
class Split:
    """Row numbers of training, validation and holdout rows, disjoint and together all rows."""

    train: Indices
    validation: Indices
    holdout: Indices
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in PARTS:
            if not len(getattr(self, name)):
                sizes = ", ".join(f"{part} {len(getattr(self, part)):,}" for part in PARTS)
                raise DataError(
                    f"every part must have rows, and {name} has none ({sizes}): "
                    f"change `window`, `validation` or `holdout`, or bring more rows"
                )


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
        told = f"the last {window} " if window else ""
        raise DataError(f"the window must hold rows, and {told}before {now} holds none: check `window` and `time`")
    return frame.reset_index(drop=True)


def by_time(
    times: Times, validation: timedelta | float, holdout: timedelta | float, now: datetime | None = None
) -> Split:
    """The newest rows for the holdout, those just before for validation, the rest for training.

    `times` [N] is sorted. A part is a span of time (as in `cut`) or a fraction of all N rows; rows of
    equal time are never parted, those on a border go to the newer part.
    """
    upper = naive(now) if now is not None else times[-1] + np.timedelta64(1, "us")
    cuts = [len(times)]
    for part in (holdout, validation):
        if isinstance(part, timedelta):
            # (newest - span, newest] as a half-open interval of microseconds
            upper = upper - np.timedelta64(part)
        else:
            place = max(0, cuts[-1] - round(_fraction(part) * len(times)))
            upper = times[place] if place < len(times) else upper
        cuts.append(min(cuts[-1], int(np.searchsorted(times, upper, side="left"))))
    rows = np.arange(len(times))
    return Split(rows[: cuts[2]], rows[cuts[2] : cuts[1]], rows[cuts[1] :])


def by_fraction(y: NDArray[np.int64], validation: timedelta | float, holdout: timedelta | float, seed: int) -> Split:
    """A random split by fractions of all rows, stratified by `y` [N], the same for the same seed.

    Rows of a class with fewer than three rows all go to training.
    """
    from sklearn.model_selection import train_test_split

    if isinstance(validation, timedelta) or isinstance(holdout, timedelta):
        raise DataError("a part in units of time needs a time-ordered split: name `time`, or give a `fraction`")
    sizes = [round(_fraction(part) * len(y)) for part in (holdout, validation)]
    scarce = np.bincount(y)[y] < 3
    rest, parts = np.flatnonzero(~scarce), []
    for size in sizes:
        try:
            rest, part = train_test_split(rest, test_size=size, stratify=y[rest], random_state=seed % 2**32)
        except ValueError as error:
            raise DataError(
                f"a stratified split needs rows of every class in every part, and {len(y):,} rows of "
                f"{len(np.unique(y))} classes are too few ({error}): bring more rows or change the fractions"
            ) from error
        parts.append(np.sort(part))
    warnings = (
        (f"{int(scarce.sum())} rows of classes with fewer than 3 rows are all in training",) if any(scarce) else ()
    )
    return Split(np.sort(np.concatenate([rest, np.flatnonzero(scarce)])), parts[1], parts[0], warnings)


def _fraction(part: float | timedelta) -> float:
    if isinstance(part, timedelta) or not 0 < part < 1:
        raise DataError(f"a fraction must lie between 0 and 1, not {part}: write it like 0.2")
    return part
