"""Raw columns to numbers: an encoding fitted on training rows, whose whole state is JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.columns import Kind, kind_of, nearest, numbers_of, require, spellings, texts_of, times_of
from models.errors import DataError

__all__ = ["Column", "Encoder", "Kind", "kind_of", "nearest", "require", "times_of"]

# Among N training rows no z-score exceeds sqrt(N - 1), so for fewer than 1e8 rows this bound only
# touches unseen outliers: it keeps a broken sensor from overflowing float32 further on.
LARGEST_SCORE = 1e4


@dataclass(frozen=True, slots=True)
class Column:
    """How one raw column is encoded.

    All kinds but categories become one standardised number, `(value - mean) / std`. A category becomes
    one 0/1 column a level and one for every other level. `missing` adds a 0/1 column for missing values;
    it is set where training rows had some. Without it a missing value counts as the mean, or as 'other'.
    """

    name: str
    kind: Kind
    missing: bool = False
    mean: float = 0.0
    std: float = 1.0
    levels: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the encoded columns, in order."""
        indicator = (f"{self.name}:missing",) if self.missing else ()
        if self.kind is Kind.CATEGORY:
            return (*(f"{self.name}={level}" for level in self.levels), f"{self.name}:other", *indicator)
        return (self.name, *indicator)


@dataclass(frozen=True, slots=True)
class Encoder:
    """Turns raw frames into float32 [N, width]; row by row, so neither order nor chunking matters."""

    columns: tuple[Column, ...]

    @classmethod
    def fit(cls, frame: pd.DataFrame, columns: Sequence[str], *, min_count: int = 10, max_levels: int = 200) -> Encoder:
        """Learns the encoding of `columns` from the training rows `frame`.

        A level of a category needs `min_count` rows (1% of the rows where that is fewer); the
        `max_levels` most frequent are kept. Raises DataError for a column that is not there, holds
        nothing, or holds what cannot be encoded.
        """
        require(columns, frame.columns)
        enough = min(min_count, -(-len(frame) // 100))
        return cls(tuple(_fit(frame[name], str(name), enough, max_levels) for name in columns))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the encoded columns, in order."""
        return tuple(name for column in self.columns for name in column.names)

    @property
    def width(self) -> int:
        """The number of encoded columns."""
        return sum(len(column.names) for column in self.columns)

    def transform(self, frame: pd.DataFrame) -> NDArray[np.float32]:
        """Encodes `frame` (other columns are ignored) as finite float32 [N, width].

        Raises DataError for a column that is not there or not of the kind it had in training.
        """
        require([column.name for column in self.columns], frame.columns)
        encoded = np.zeros((len(frame), self.width), dtype=np.float32)
        start = 0
        for column in self.columns:
            stop = start + len(column.names)
            _write(column, frame[column.name], encoded[:, start:stop])
            start = stop
        return encoded

    def to_json(self) -> dict[str, Any]:
        """The whole state as plain JSON values; floats survive `json.dumps` exactly."""
        return {
            "columns": [
                {**asdict(column), "kind": column.kind.value, "levels": list(column.levels)} for column in self.columns
            ]
        }

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> Encoder:
        """The inverse of `to_json`. Raises DataError for a state it did not write."""
        try:
            return cls(
                tuple(
                    Column(**{**column, "kind": Kind(column["kind"]), "levels": tuple(column["levels"])})
                    for column in state["columns"]
                )
            )
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"not the JSON of an encoding ({error!r}): write it with Encoder.to_json") from error


def _fit(series: pd.Series, name: str, enough: int, max_levels: int) -> Column:
    kind = kind_of(series)
    if kind is Kind.CATEGORY:
        codes, texts = texts_of(series)
        missing, empty = bool((codes < 0).any()), not len(texts)
        counts = np.bincount(codes[codes >= 0], minlength=len(texts))
        ranked = sorted(zip(-counts, texts, strict=True))
        levels = tuple(text for count, text in ranked[:max_levels] if -count >= enough)
        mean, std = 0.0, 1.0
    else:
        values = numbers_of(series, kind)
        seen = values[~np.isnan(values)]
        missing, empty = seen.size < values.size, not seen.size
        levels = ()
        mean, std = (0.0, 1.0) if empty else _moments(seen)
    if empty:
        raise DataError(f"a feature must have values in the training rows, and {name!r} has none: leave it out")
    return Column(name, kind, missing, mean, std, levels)


def _moments(values: NDArray[np.float64]) -> tuple[float, float]:
    """Mean and population standard deviation; 1 for a constant, and no overflow for huge values."""
    low, high = float(values.min()), float(values.max())
    if low == high:
        return low, 1.0
    scale = max(abs(low), abs(high))
    scaled = values / scale
    return float(scaled.mean()) * scale, (float(scaled.std()) * scale) or 1.0


def _write(column: Column, series: pd.Series, out: NDArray[np.float32]) -> None:
    """Fills `out` [N, columns of `column`], which holds zeros."""
    series = _checked(column, series)
    if column.kind is Kind.CATEGORY:
        codes, found = pd.factorize(series)
        other = len(column.levels)
        places = {level: place for place, level in enumerate(column.levels)}
        spelt = (next((places[text] for text in spellings(value) if text in places), other) for value in found)
        table = np.array([*spelt, other + column.missing])
        out[np.arange(len(out)), table[codes]] = 1.0  # code -1, missing, is the last of the table
        return
    values = numbers_of(series, column.kind)
    missing = np.isnan(values)
    with np.errstate(over="ignore"):
        scores = np.clip((values - column.mean) / column.std, -LARGEST_SCORE, LARGEST_SCORE)
    out[:, 0] = np.where(missing, 0.0, scores)
    if column.missing:
        out[:, 1] = missing


def _checked(column: Column, series: pd.Series) -> pd.Series:
    """`series`, unwrapped if pandas stored it as categories. Raises DataError where it does not fit `column`."""
    if column.kind is not Kind.CATEGORY and isinstance(series.dtype, pd.CategoricalDtype):
        series = series.astype(object)
    given = kind_of(series)
    if given is not column.kind and not _fits(column, given, series) and not series.isna().all():
        raise DataError(
            f"column {column.name!r} was a {column.kind} in training and is a {given} here "
            f"(type {series.dtype}): convert it"
        )
    return series


def _fits(column: Column, given: Kind, series: pd.Series) -> bool:
    """Whether values of another kind have one meaning: 0/1 and booleans, text for a time, numbers as their digits.

    Numbers never stand for levels such as '05', whose zeros they have lost.
    """
    match column.kind, given:
        case (Kind.NUMBER, Kind.BOOLEAN) | (Kind.DATETIME, Kind.CATEGORY) | (Kind.CATEGORY, Kind.BOOLEAN):
            return True
        case (Kind.BOOLEAN, Kind.NUMBER):
            return bool(series.dropna().isin([0, 1]).all())
        case (Kind.CATEGORY, Kind.NUMBER):
            return not any(level.isdecimal() and level != str(int(level)) for level in column.levels)
    return False
