"""What is asked of the data, in plain values. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

Size = timedelta | float  # of a part: a span of time, or a fraction of all rows
By = Literal["time", "random"]
NPZ_TARGET = "y"


@dataclass(frozen=True, slots=True)
class Request:
    """What a snapshot is made from. Times are timedelta; a float is a fraction of all rows of the window.

    `validation_by` and `holdout_by` None mean by time where `time` is named, else random (stratified by
    class, seeded). Rows at or after `now` are dropped. Training needs at least `min_rows` rows, the largest batch.
    """

    target: str | None = None  # may be left out for NPZ: y
    source: str | tuple[str, ...] | None = None
    sql_url: str | None = None
    sql_query: str | None = None
    features: tuple[str, ...] | None = None  # None: all but target and time
    time: str | None = None
    window: timedelta | None = None
    validation: Size = 0.2
    holdout: Size = 0.2
    validation_by: By | None = None
    holdout_by: By | None = None
    now: datetime | None = None
    seed: int = 0
    min_rows: int = 1

    def order(self, by: By | None) -> By:
        """How a part that asks for `by` is chosen."""
        return by or ("random" if self.time is None else "time")

    @property
    def label(self) -> str:
        """The target column."""
        return self.target or NPZ_TARGET
