"""From a request to arrays in memory: read, cut, split, label, encode, check."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.columns import counted
from models.errors import DataError
from models.features import Encoder, Kind, kind_of
from tuner.data.description import absences, describe, warnings_of
from tuner.data.request import Request
from tuner.data.source import read
from tuner.data.splits import Split, cut, three_ways

SAMPLE_ROWS = 5

__all__ = ["Gathered", "Prepared", "Request", "encode", "gather", "label", "prepare"]


@dataclass(frozen=True, slots=True)
class Prepared:
    """Arrays in the order train | validation | holdout, what is to be told of them, and sample rows."""

    X: NDArray[np.float32]
    y: NDArray[np.int64]
    description: dict[str, Any]
    sample: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Gathered:
    """Raw rows of the window (the features, target and time), their classes, and which part each row belongs to."""

    frame: pd.DataFrame
    features: list[str]
    y: NDArray[np.int64]
    classes: tuple[str, ...]
    split: Split

    def part(self, *parts: str) -> pd.DataFrame:
        """The raw rows of `parts` (train, validation, holdout), oldest first where there are times."""
        return self.frame.iloc[np.sort(np.concatenate([self.split.parts[part] for part in parts]))]


def prepare(request: Request) -> Prepared:
    """Everything between source and storage. Raises DataError."""
    return encode(request, gather(request))


def gather(request: Request) -> Gathered:
    """Reads, cuts, labels and splits. Raises DataError."""
    frame = read(
        request.source,
        sql_url=request.sql_url,
        sql_query=request.sql_query,
        columns=request.features,
        target=request.target,
        time=request.time,
    )
    features = [str(name) for name in frame if name not in (request.label, request.time)]
    features = features if request.features is None else list(request.features)
    frame = cut(frame, request.time, request.window, request.now)
    y, classes = label(frame[request.label])
    return Gathered(frame, features, y, classes, _split(request, frame, y))


def encode(request: Request, found: Gathered) -> Prepared:
    """Arrays from raw rows. Encoding and checks see training rows only. Raises DataError."""
    frame, split, y = found.frame, found.split, found.y
    _check_training(y[split.train], y, found.classes, request.min_rows)
    train = frame.iloc[split.train]
    encoder = Encoder.fit(train, found.features)
    rows = np.concatenate(list(split.parts.values()))
    X = encoder.transform(frame.iloc[rows])
    description = describe(request, frame, split, y, found.classes) | {"encoder": encoder.to_json()}
    description["features"] = {column.name: column.kind.value for column in encoder.columns}
    description["warnings"] = [*split.warnings, *absences(description), *warnings_of(request, encoder, X[: len(train)])]
    sample = train[found.features].head(SAMPLE_ROWS).to_json(orient="split", date_format="iso", index=False)
    return Prepared(X, y[rows], description, json.loads(sample))


def label(series: pd.Series) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Codes [N] and the sorted class names: numbers by value, all else by text.

    Raises DataError for labels that are missing, infinite, or no classes at all, and for one class only.
    """
    name, kind = series.name, kind_of(series)
    missing = int(series.isna().sum())
    if missing:
        told = counted(missing, "row")
        raise DataError(f"every row must have a label, and {name!r} has none in {told}: drop or label them")
    codes, values = pd.factorize(series, sort=False)
    keys: list[Any] = [str(value) for value in values]
    if kind is Kind.NUMBER:
        infinite = int((~np.isfinite(series.astype(np.float64))).sum())
        if infinite:
            told = counted(infinite, "row")
            raise DataError(f"labels must be finite, and {name!r} is not in {told}: drop or label them")
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
    return three_ways(
        y,
        None if request.time is None else frame[request.time].to_numpy(),
        request.validation,
        request.holdout,
        validation_by=request.order(request.validation_by),
        holdout_by=request.order(request.holdout_by),
        now=request.now,
        seed=request.seed,
    )


def _check_training(train: NDArray[np.int64], y: NDArray[np.int64], classes: tuple[str, ...], min_rows: int) -> None:
    if len(train) < min_rows:
        smaller = min(32, 1 << (len(train).bit_length() - 1))
        raise DataError(
            f"training needs at least as many rows as the largest train.batch_size ({min_rows:,}), and has "
            f"{len(train):,}: bring more rows or choose smaller batches, e.g. --set train.batch_size={max(smaller, 2)}"
        )
    absent = np.flatnonzero(np.bincount(train, minlength=len(classes)) == 0)
    if len(absent):
        told = ", ".join(f"{classes[place]!r} ({counted(int((y == place).sum()), 'row')})" for place in absent[:5])
        raise DataError(
            f"every class must occur in the training rows, and only newer or other rows have {told}: "
            f"widen the window, or merge or drop the class"
        )
