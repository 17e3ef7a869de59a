"""Raw columns as they come: what they hold, and their values as numbers or texts."""

from __future__ import annotations

import difflib
import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from decimal import Decimal
from enum import StrEnum

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api import types

from models.errors import DataError

SHOWN = 5  # of many columns that are lacking
ISO_8601 = "write them as ISO 8601, e.g. 2013-01-31 or 2013-01-31T12:00"
OBJECT_KINDS = {
    "string": "category",
    "empty": "category",
    "boolean": "boolean",
    "date": "datetime",
    "datetime": "datetime",
    "datetime64": "datetime",
    "integer": "number",
    "integer-na": "number",
    "floating": "number",
    "mixed-integer-float": "number",
    "decimal": "number",
}


class Kind(StrEnum):
    """What a raw column holds."""

    NUMBER = "number"
    BOOLEAN = "boolean"
    DATETIME = "datetime"
    CATEGORY = "category"


def nearest(name: str, names: Iterable[object]) -> str:
    """` (nearest: 'x')`, or nothing where no name comes near: the end of an error message."""
    # x1 is another column than x16, not a misspelt one
    others = [str(other) for other in names if re.sub(r"\d", "", str(other)) != re.sub(r"\d", "", name)]
    near = difflib.get_close_matches(name, others, n=1)
    return f" (nearest: {near[0]!r})" if near else ""


def counted(number: int, noun: str, plural: str = "") -> str:
    """`1 row`, `2 rows`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def require(names: Sequence[str], present: pd.Index) -> None:
    """Raises DataError unless each of `names` is exactly one of the columns `present`."""
    absent = [name for name in names if name not in present]
    if absent:
        told = ", ".join(f"{name!r}{nearest(name, present)}" for name in absent[:SHOWN])
        told += f" and {len(absent) - SHOWN:,} more" if len(absent) > SHOWN else ""
        raise DataError(f"the data must have every column named, and lack {told}: add or rename")
    wanted = set(names)
    require_unique([name for name in present if name in wanted])


def require_unique(names: Sequence[str]) -> None:
    """Raises DataError where two of the columns `names` have one name."""
    double = [name for name, count in Counter(names).items() if count > 1]
    if double:
        raise DataError(f"column names must be unique, and {double[0]!r} comes more than once: rename one")


def kind_of(series: pd.Series) -> Kind:
    """What `series` holds. Raises DataError where that is none of the kinds, or several of them."""
    dtype = series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return Kind.CATEGORY
    if types.is_bool_dtype(dtype):
        return Kind.BOOLEAN
    if types.is_numeric_dtype(dtype) and not types.is_complex_dtype(dtype):
        return Kind.NUMBER
    if types.is_datetime64_any_dtype(dtype):
        return Kind.DATETIME
    if types.is_object_dtype(dtype):
        inferred = types.infer_dtype(series, skipna=True)
        if inferred in OBJECT_KINDS:
            return Kind(OBJECT_KINDS[inferred])
        raise DataError(
            f"a column must hold numbers, texts, booleans or times, one of these; {series.name!r} holds "
            f"{inferred} values: convert it or leave it out of the features"
        )
    if types.is_string_dtype(dtype):
        return Kind.CATEGORY
    raise DataError(f"column {series.name!r} is of type {dtype}, which has no encoding: convert it or leave it out")


def texts_of(series: pd.Series) -> tuple[NDArray[np.intp], list[str]]:
    """Codes [N] (-1 is missing) into the list of the texts that occur."""
    codes, values = pd.factorize(series)
    return codes, [str(value) for value in values]


def spellings(value: object) -> list[str]:
    """How a text column may have spelt `value`: 2.0 is a 2 beside a missing value, and true a True elsewhere."""
    text = str(value)
    if text in ("True", "False"):
        return [text, text.lower()]
    whole = isinstance(value, int | float | Decimal | np.number) and math.isfinite(value) and value == int(value)
    return [text, str(int(value))] if whole else [text]  # type: ignore[call-overload]


def numbers_of(series: pd.Series, kind: Kind) -> NDArray[np.float64]:
    """float64 [N]; times as seconds since 1970 (UTC); missing and infinite values as NaN."""
    if series.isna().all():
        return np.full(len(series), np.nan)
    if kind is Kind.DATETIME:
        series = (times_of(series) - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(seconds=1)
    elif types.is_object_dtype(series.dtype):
        series = series.where(series.notna(), np.nan).astype(np.float64)
    values: NDArray[np.float64] = series.to_numpy(dtype=np.float64, na_value=np.nan, copy=True)
    values[np.isinf(values)] = np.nan
    return values


def times_of(series: pd.Series) -> pd.Series:
    """`series` as times in UTC (those without a zone are taken as UTC). Texts must be ISO 8601: else DataError."""
    form = "ISO8601" if kind_of(series) is Kind.CATEGORY else None
    try:
        return pd.to_datetime(series, utc=True, format=form)
    except (ValueError, TypeError) as error:  # whose own words are of options that no spec has
        wrong = series[pd.to_datetime(series, utc=True, format=form, errors="coerce").isna() & series.notna()]
        told = next(iter(wrong), error)
        raise DataError(f"column {series.name!r} must hold times, not {told!r}: {ISO_8601}") from error
