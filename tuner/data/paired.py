"""One raw column of two frames as numbers that compare: whatever it holds, and whatever types the two gave it."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api import types

from models.columns import Kind, spellings

Values = NDArray[np.float64]


def paired(reference: pd.DataFrame, fresh: pd.DataFrame, name: str, kind: Kind) -> tuple[Values, Values]:
    """Column `name` of either frame as float64 [m] and [n], NaN where a value is missing or the column is.

    Numbers and booleans are themselves (infinities, and what is no number, count as missing). Levels of a category
    are numbered by how often they come on both sides together, 0 the most frequent; 2, 2.0 and "2" are one level,
    and so are all that come but once: ids differ on both sides, and that tells nothing.
    """
    sides = [frame.reindex(columns=[name])[name] for frame in (reference, fresh)]
    old, new = [_numbers(side) for side in sides] if kind is not Kind.CATEGORY else _ranked(sides)
    return old, new


def _numbers(series: pd.Series) -> Values:
    if not types.is_numeric_dtype(series.dtype):
        series = pd.to_numeric(series.astype(object), errors="coerce")
    values: Values = series.to_numpy(dtype=np.float64, na_value=np.nan, copy=True)
    values[np.isinf(values)] = np.nan
    return values


def _ranked(sides: list[pd.Series]) -> list[Values]:
    factorized = [pd.factorize(side) for side in sides]  # code -1 is missing
    coded = [(codes, [spellings(value)[-1] for value in values]) for codes, values in factorized]
    often = Counter[str]()
    for codes, texts in coded:
        for text, count in zip(texts, np.bincount(codes[codes >= 0], minlength=len(texts)).tolist(), strict=True):
            often[text] += count
    ordered = sorted((text for text in often if often[text] > 1), key=lambda text: (-often[text], text))
    place = {text: rank for rank, text in enumerate(ordered)}
    last = len(place)
    return [np.array([*(place.get(text, last) for text in texts), np.nan])[codes] for codes, texts in coded]
