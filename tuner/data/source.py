"""Where rows come from: CSV, Parquet and Feather files, NPZ arrays, one SQL query."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import fsspec
import pandas as pd

from models.columns import ISO_8601, counted
from models.errors import DataError
from models.features import Kind, kind_of, require, times_of
from tuner.data.database import hide_secrets, query_table
from tuner.data.formats import READERS, Table
from tuner.data.request import NPZ_TARGET
from tuner.data.variables import expanded


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
    if source is not None:
        wanted = None if columns is None else {*columns, target or NPZ_TARGET, *([time] if time else [])}
        frame, names = _read_files([source] if isinstance(source, str) else source, wanted)
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


def read_rows(source: str, columns: Sequence[str], texts: Collection[str] = ()) -> pd.DataFrame:
    """The columns `columns` of the rows in `source`, in the files' order; no target is needed. Raises DataError.

    The columns `texts` are read as they are written, also where a CSV file has nothing but digits in them.
    """
    frame, names = _read_files([source], set(columns), texts)
    require(columns, pd.Index(names))
    return frame[list(columns)]


def read_all(source: str) -> pd.DataFrame:
    """All columns of all rows in `source`, a path, URI or glob. Raises DataError."""
    frame, names = _read_files([source], None)
    require(names, pd.Index(names))
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
        told = counted(missing, "row")
        raise DataError(f"every row must have a time, and {series.name!r} has none in {told}: drop or fill them")
    if kind_of(series) in (Kind.NUMBER, Kind.BOOLEAN):
        told = f"{series.dtype} such as {series.iloc[0]}"
        raise DataError(f"column {series.name!r} must hold times, not {told}: {ISO_8601}")
    times: pd.Series = times_of(series).dt.tz_convert(None).astype("datetime64[us]")
    return times


def _check_features(features: Sequence[str], target: str) -> None:
    if target in features:
        raise DataError(f"the target must not be a feature, and {target!r} is listed: take it out of `features`")
    double = [name for name, count in Counter(features).items() if count > 1]
    if double:
        raise DataError(f"features must differ, and {double[0]!r} comes twice: take one out")
    if not features:
        raise DataError("data must have at least one feature beside target and time: add a column")


def _check_values(frame: pd.DataFrame, features: Sequence[str]) -> None:
    empty = [name for name in features if frame[name].isna().all()]
    if empty:
        told = ", ".join(repr(name) for name in empty[:5])
        verb = "has" if len(empty) == 1 else "have"
        raise DataError(f"a feature must have values, and {told} {verb} none: leave out what is empty")


def _read_files(patterns: Sequence[str], wanted: set[str] | None, texts: Collection[str] = ()) -> Table:
    frames, columns = [], list[str]()
    for filesystem, path in find_files(patterns):
        frame, names = _read_file(filesystem, path, wanted, texts)
        columns = columns or names
        differing = set(names) ^ set(columns)
        lacking = sorted(differing if wanted is None else differing & wanted)
        if lacking:
            told = ", ".join(repr(name) for name in lacking[:5])
            where = hide_secrets(path)
            raise DataError(f"files of one source must have the same columns; {where} differs in {told}: align them")
        frames.append(frame)
    filled = [frame for frame in frames if len(frame)] or frames[:1]
    return pd.concat(filled, ignore_index=True), columns


def find_files(patterns: Sequence[str]) -> list[tuple[Any, str]]:
    """(file system, path) of every file that matches, by name. Raises DataError where a pattern finds none."""
    found: dict[str, Any] = {}
    for pattern in patterns:
        told, address = hide_secrets(pattern), expanded(pattern)
        try:
            filesystem, path = fsspec.core.url_to_fs(address)
            paths = [path] if filesystem.isfile(path) else filesystem.glob(path, detail=True)
            is_folder = not isinstance(paths, list) and filesystem.isdir(path)
        except Exception as error:  # every file system has errors of its own
            why = hide_secrets(repr(error))
            raise DataError(f"cannot look for {told} ({why}): check the address and the credentials") from None
        if isinstance(paths, dict):
            paths = [path for path, facts in paths.items() if facts["type"] == "file"]
        if not paths:
            step = f"write {told.rstrip('/')}/*.csv or the like" if is_folder else "check path and working directory"
            raise DataError(f"a source must name files, and none matches {told}: {step}")
        found.update(dict.fromkeys(paths, filesystem))
    return [(found[path], path) for path in sorted(found)]


def _read_file(filesystem: Any, path: str, wanted: set[str] | None, texts: Collection[str]) -> Table:
    suffix, told = Path(path.removesuffix(".gz")).suffix.lower(), hide_secrets(path)
    if suffix not in READERS:
        raise DataError(f"a file must end in one of {', '.join(READERS)}, and {told} does not: convert or rename it")
    try:
        if filesystem.size(path) == 0:
            raise DataError("a file must hold data, and this one is empty: remove it or write it again")
        with filesystem.open(path, "rb", compression="infer") as handle:
            return READERS[suffix](handle, wanted, texts)
    except DataError as error:
        raise DataError(f"{told}: {error}") from error
    except Exception as error:  # parsers and file systems have errors of their own
        why = hide_secrets(" ".join(str(error).split()))
        raise DataError(f"a file must be readable, and {told} is not ({why}): write it again") from None
