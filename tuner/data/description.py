"""What snapshot.json tells of the rows, and what a user should know of them before trusting a result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.columns import counted
from models.features import Encoder, Kind
from tuner.data.request import Request
from tuner.data.source import describe_source
from tuner.data.splits import PARTS, Indices, Split


def describe(
    request: Request, frame: pd.DataFrame, split: Split, y: NDArray[np.int64], classes: tuple[str, ...]
) -> dict[str, Any]:
    """What snapshot.json tells, but for the encoding."""
    rows = split.parts
    borders = np.cumsum([0, *(len(part) for part in rows.values())]).tolist()
    described = describe_source(request.source, request.sql_url)
    return {
        "classes": list(classes),
        "splits": {part: [borders[place], borders[place + 1]] for place, part in enumerate(PARTS)},
        "ranges": {part: _range(frame, request.time, numbers) for part, numbers in rows.items()},
        "rows": {part: len(numbers) for part, numbers in rows.items()},
        "class_counts": {
            part: np.bincount(y[numbers], minlength=len(classes)).tolist() for part, numbers in rows.items()
        },
        "source": {"data": described} | ({"query": request.sql_query} if request.sql_url else {}),
        "target": request.label,
        "time": request.time,
        "window": str(request.window) if request.window else None,
        "validation": str(request.validation),
        "holdout": str(request.holdout),
        "validation_by": request.order(request.validation_by),
        "holdout_by": request.order(request.holdout_by),
        "now": request.now.isoformat() if request.now else None,
        "seed": request.seed,
    }


def _range(frame: pd.DataFrame, time: str | None, rows: Indices) -> list[str] | None:
    """The oldest and the newest time of `rows`, in UTC."""
    if time is None:
        return None
    times = frame[time].iloc[rows]
    return [f"{times.min().isoformat()}Z", f"{times.max().isoformat()}Z"]


def absences(description: Mapping[str, Any]) -> Iterator[str]:
    """The classes without a row in validation or holdout, which is then no test of them."""
    for part, counts in description["class_counts"].items():
        absent = [repr(name) for name, count in zip(description["classes"], counts, strict=True) if not count]
        if absent:
            told = ", ".join(absent[:5]) + (", ..." if len(absent) > 5 else "")
            number = counted(len(absent), "class", "classes")
            yield f"no rows in {part} of {number}, whose errors go unseen there: {told}"


def warnings_of(request: Request, encoder: Encoder, X: NDArray[np.float32]) -> list[str]:
    """What a user should know of the training rows `X` before trusting a result."""
    found = []
    if request.time is not None and "random" in (request.validation_by, request.holdout_by):
        found.append("the split is random although there is a time column: losses on future rows may well be higher")
    stop = 0
    constant = []
    for column in encoder.columns:
        part = X[:, stop : stop + len(column.names)]
        stop += len(column.names)
        rare = float(part[:, len(column.levels)].mean()) if column.kind is Kind.CATEGORY else 0.0
        if rare > 0.5:
            found.append(f"{rare:.0%} of the values of {column.name!r} are rare and encoded alike: is it an id?")
        if not np.ptp(part, axis=0).any():
            constant.append(column.name)
    if constant:
        told = ", ".join(repr(name) for name in constant[:5]) + (", ..." if len(constant) > 5 else "")
        number = counted(len(constant), "feature")
        found.append(f"constant in the training rows, so nothing is learned from {number}: {told}")
    return found
