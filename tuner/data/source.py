"""Where rows come from: CSV, Parquet and Feather files, NPZ arrays, one SQL query."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import fsspec
import pandas as pd
import pyarrow as pa
from pandas.api import types

from models.features import DataError, require
from tuner.data.database import hide_secrets, query_table
from tuner.data.formats import READERS, Table
from tuner.data.request import NPZ_TARGET


def read(
    source: str | Sequence[str] | None,
    *,
    sql_url: str | None = None,
    sql_query: str | None = None,
    columns: Sequence[str] | None = None,
    target: str | None = None,
    time: str | None = None,
) -> pd.DataFrame:
    """The columns `columns` (None: all), `target` and `time` of all rows, in an order that is always the same.

    `source` is a path or URI, a glob, or several of them; files are read in the order of their names. An
    NPZ file has X (flattened into x0, x1, ...) and y. Instead of it, `sql_url` and `sql_query` name one
    query. `time` comes back as datetime64 in UTC without a zone. Raises DataError.
    """
    if (source is None) == (sql_url is None or sql_query is None):
        raise DataError("data come either from `source` or from `sql` (url and query): give one of them")
    wanted = None if columns is None else [*dict.fromkeys([*columns, *filter(None, (target, time))])]
    if source is not None:
        frame, names = _read_files(source, wanted)
        target = NPZ_TARGET if target is None and NPZ_TARGET in names else target
    else:
        frame, names = query_table(str(sql_url), str(sql_query))
    if target is None:
        raise DataError("a target column must be named: set `target` to the column that holds the classes")
    features = [name for name in names if name not in (target, time)] if columns is None else list(columns)
    _check_features(features, target)
    kept = [*dict.fromkeys([*features, target, *([time] if time else [])])]
    require(kept, pd.Index(names))
    frame = frame[kept].reset_index(drop=True)
    if frame.empty:
        raise DataError(f"data must have rows, and {describe_source(source, sql_url)} has none: check the source")
    _check_values(frame, features)
    if time:
        frame[time] = timestamps(frame[time])
    return frame


def describe_source(source: str | Sequence[str] | None, sql_url: str | None) -> str:
    """The source in words, without any password."""
    if source is None:
        return hide_secrets(str(sql_url))
    return ", ".join(hide_secrets(one) for one in ([source] if isinstance(source, str) else source))


def timestamps(series: pd.Series) -> pd.Series:
    """`series` as datetime64[us] in UTC without a zone (times without a zone are taken as UTC).

    Raises DataError where a row has no time, or where texts are not ISO 8601.
    """
    missing = int(series.isna().sum())
    if missing:
        raise DataError(f"every row must have a time, and {missing:,} have no {series.name!r}: drop or fill them")
    if types.is_numeric_dtype(series.dtype):
        raise DataError(f"column {series.name!r} must hold times, not {series.dtype}: write them as ISO 8601")
    try:
        text = types.is_string_dtype(series.dtype)
        times = pd.to_datetime(series, utc=True, format="ISO8601" if text else None)
    except (ValueError, TypeError) as error:
        raise DataError(f"column {series.name!r} must hold times ({error}): write them as ISO 8601") from error
    return times.dt.tz_convert(None).astype("datetime64[us]")


def _check_features(features: Sequence[str], target: str) -> None:
    if target in features:
        raise DataError(f"the target must not be a feature, and {target!r} is listed: take it out of `features`")
    double = {name for name in features if list(features).count(name) > 1} if len(set(features)) < len(features) else ()
    if double:
        raise DataError(f"features must differ, and {sorted(double)[0]!r} is listed twice: take one out")
    if not features:
        raise DataError("data must have at least one feature beside target and time: add a column")


def _check_values(frame: pd.DataFrame, features: Sequence[str]) -> None:
    empty = [name for name in features if frame[name].isna().all()]
    if empty:
        told = ", ".join(repr(name) for name in empty[:5])
        raise DataError(f"a feature must have values, and {told} has none: leave it out of the features")


def _read_files(source: str | Sequence[str], wanted: list[str] | None) -> Table:
    frames, columns = [], list[str]()
    for filesystem, path in find_files([source] if isinstance(source, str) else source):
        frame, names = _read_file(filesystem, path, wanted)
        if columns and set(names) != set(columns):
            told = ", ".join(repr(name) for name in sorted(set(names) ^ set(columns))[:5])
            lacking = set(columns) ^ set(names) if wanted is None else (set(columns) ^ set(names)) & set(wanted)
            if lacking:
                raise DataError(f"files of one source must have the same columns; {path} differs in {told}: align them")
        columns = columns or names
        frames.append(frame)
    filled = [frame for frame in frames if len(frame)] or frames[:1]
    return pd.concat(filled, ignore_index=True), columns


def find_files(patterns: Sequence[str]) -> list[tuple[Any, str]]:
    """(file system, path) of every file that matches, by name. Raises DataError where a pattern finds none."""
    found: dict[str, Any] = {}
    for pattern in patterns:
        told = hide_secrets(pattern)
        try:
            filesystem, path = fsspec.core.url_to_fs(pattern)
            globbed = any(mark in path for mark in "*?[")
            paths = filesystem.glob(path) if globbed else [path] if filesystem.isfile(path) else []
        except (ImportError, OSError, ValueError) as error:
            raise DataError(f"cannot look for {told} ({error}): check the address and the credentials") from error
        if not paths:
            raise DataError(f"a source must name files, and none matches {told}: check path and working directory")
        found.update(dict.fromkeys(paths, filesystem))
    return [(found[path], path) for path in sorted(found)]


def _read_file(filesystem: Any, path: str, wanted: list[str] | None) -> Table:
    suffix = Path(path.removesuffix(".gz")).suffix.lower()
    if suffix not in READERS:
        raise DataError(f"a file must end in one of {', '.join(READERS)}, and {path} does not: convert or rename it")
    try:
        if not filesystem.size(path):
            raise DataError(f"a file must hold data, and {path} is empty: remove it or write it again")
        with filesystem.open(path, "rb", compression="infer") as handle:
            return READERS[suffix](handle, wanted)
    except DataError as error:
        raise error if path in str(error) else DataError(f"{path}: {error}") from error
    except (OSError, ValueError, KeyError, EOFError, pa.ArrowException, zipfile.BadZipFile) as error:
        raise DataError(f"cannot read {path} ({error}): write the file again") from error
