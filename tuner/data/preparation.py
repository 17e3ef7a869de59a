"""From a request to arrays in memory: read, cut, split, label, encode, check."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.features import DataError, Encoder, Kind, kind_of
from tuner.data import source
from tuner.data.formats import NPZ_TARGET
from tuner.data.splits import PARTS, Indices, Split, by_fraction, by_time, cut

SAMPLE_ROWS = 5


@dataclass(frozen=True, slots=True)
class Request:
    """What a snapshot is made from. Times are timedelta; a float is a fraction of all rows of the window.

    `order` None means by time where `time` is named, else random (stratified by class, seeded). Rows at
    or after `now` are dropped. Training needs at least `min_rows` rows: the largest batch.
    """

    target: str | None = None  # may be left out for NPZ: y
    source: str | tuple[str, ...] | None = None
    sql_url: str | None = None
    sql_query: str | None = None
    features: tuple[str, ...] | None = None  # None: all but target and time
    time: str | None = None
    window: timedelta | None = None
    validation: timedelta | float = 0.2
    holdout: timedelta | float = 0.2
    order: Literal["time", "random"] | None = None
    now: datetime | None = None
    seed: int = 0
    min_rows: int = 1


@dataclass(frozen=True, slots=True)
class Prepared:
    """Arrays in the order train | validation | holdout, what is to be told of them, and sample rows."""

    X: NDArray[np.float32]
    y: NDArray[np.int64]
    about: dict[str, Any]
    sample: dict[str, Any]


def prepare(request: Request) -> Prepared:
    """Everything between source and storage. Encoding and checks see training rows only. Raises DataError."""
    frame = source.read(
        request.source,
        sql_url=request.sql_url,
        sql_query=request.sql_query,
        columns=request.features,
        target=request.target,
        time=request.time,
    )
    target = request.target or NPZ_TARGET
    features = [str(name) for name in frame if name not in (target, request.time)]
    features = features if request.features is None else list(request.features)
    frame = cut(frame, request.time, request.window, request.now)
    y, classes = label(frame[target])
    split = _split(request, frame, y)
    _check_training(y[split.train], y, classes, request.min_rows)
    train = frame.iloc[split.train]
    encoder = Encoder.fit(train, features)
    rows = np.concatenate(list(_rows(split).values()))
    X = encoder.transform(frame.iloc[rows])
    about = _about(request, frame, split, y, classes) | {"encoder": encoder.to_json()}
    about["features"] = {column.name: column.kind for column in encoder.columns}
    about["warnings"] = [*split.warnings, *_warnings(request, encoder, X[: len(train)])]
    sample = json.loads(train[features].head(SAMPLE_ROWS).to_json(orient="split", date_format="iso", index=False))
    return Prepared(X, y[rows], about, sample)


def label(series: pd.Series) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Codes [N] and the sorted class names: numbers by value, all else by text.

    Raises DataError for labels that are missing, infinite, or no classes at all, and for one class only.
    """
    name, kind = series.name, kind_of(series)
    missing = int(series.isna().sum())
    if missing:
        raise DataError(f"every row must have a label, and {missing:,} have no {name!r}: drop or label them")
    codes, values = pd.factorize(series, sort=False)
    keys: list[Any] = [str(value) for value in values]
    if kind is Kind.NUMBER:
        infinite = int((~np.isfinite(series.astype(np.float64))).sum())
        if infinite:
            raise DataError(f"labels must be finite, and {infinite:,} of {name!r} are not: drop or label those rows")
        odd = next((value for value in values if value != int(value)), None)
        if odd is not None:
            raise DataError(f"a target must hold classes, and {name!r} holds {odd}: cut the numbers into classes")
        keys = [int(value) for value in values]
    if kind is Kind.DATETIME:
        raise DataError(f"a target must hold classes, and {name!r} holds times: name another column")
    order = sorted(range(len(keys)), key=keys.__getitem__)
    classes = tuple(str(keys[place]) for place in order)
    if len(classes) < 2:
        raise DataError(
            f"a target must have two classes or more, and {name!r} has only {classes[0]!r}: widen the window"
        )
    return np.argsort(np.array(order, dtype=np.int64))[codes], classes


def _split(request: Request, frame: pd.DataFrame, y: NDArray[np.int64]) -> Split:
    order = request.order or ("random" if request.time is None else "time")
    if order == "random":
        return by_fraction(y, request.validation, request.holdout, request.seed)
    if request.time is None:
        raise DataError("a split by time needs a time column: name it in `time`")
    return by_time(frame[request.time].to_numpy(), request.validation, request.holdout, request.now)


def _check_training(train: NDArray[np.int64], y: NDArray[np.int64], classes: tuple[str, ...], min_rows: int) -> None:
    if len(train) < min_rows:
        raise DataError(
            f"training needs at least as many rows as a batch ({min_rows:,}), and has {len(train):,}: "
            f"widen the window or choose smaller batches"
        )
    absent = np.flatnonzero(np.bincount(train, minlength=len(classes)) == 0)
    if len(absent):
        told = ", ".join(f"{classes[place]!r} ({int((y == place).sum()):,} rows)" for place in absent[:5])
        raise DataError(
            f"every class must occur in the training rows, and {told} occurs only in newer or other rows: "
            f"widen the window, or merge or drop the class"
        )


def _rows(split: Split) -> dict[str, Indices]:
    return {part: getattr(split, part) for part in PARTS}


def _about(
    request: Request, frame: pd.DataFrame, split: Split, y: NDArray[np.int64], classes: tuple[str, ...]
) -> dict[str, Any]:
    """What snapshot.json tells, but for the encoding."""
    rows = _rows(split)
    borders = np.cumsum([0, *(len(part) for part in rows.values())]).tolist()
    described = source.describe(request.source, request.sql_url)
    return {
        "classes": list(classes),
        "splits": {part: [borders[place], borders[place + 1]] for place, part in enumerate(PARTS)},
        "ranges": {part: _range(frame, request.time, numbers) for part, numbers in rows.items()},
        "counts": {part: np.bincount(y[numbers], minlength=len(classes)).tolist() for part, numbers in rows.items()},
        "source": {"data": described} | ({"query": request.sql_query} if request.sql_url else {}),
        "target": request.target or NPZ_TARGET,
        "time": request.time,
        "window": str(request.window) if request.window else None,
        "validation": str(request.validation),
        "holdout": str(request.holdout),
        "order": request.order or ("random" if request.time is None else "time"),
        "now": request.now.isoformat() if request.now else None,
        "seed": request.seed,
    }


def _range(frame: pd.DataFrame, time: str | None, rows: Indices) -> list[str] | None:
    if time is None:
        return None
    times = frame[time].iloc[rows]
    return [times.min().isoformat(), times.max().isoformat()]


def _warnings(request: Request, encoder: Encoder, X: NDArray[np.float32]) -> list[str]:
    """What a user should know of the training rows `X` before trusting a result."""
    found = []
    if request.order == "random" and request.time is not None:
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
        found.append(f"{len(constant)} features are constant in the training rows and teach nothing: {told}")
    return found
