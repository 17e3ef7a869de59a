"""The data section: where rows come from, what they predict, and which of them the search may see."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WithJsonSchema

from tuner.spec.problems import shown
from tuner.spec.section import Section
from tuner.spec.times import Moment, Span, moment, seconds


def _sources(raw: object) -> object:
    return tuple(raw) if isinstance(raw, list) else (raw,) if isinstance(raw, str) else raw


def _one_or_many(sources: tuple[str, ...] | None) -> object:
    return sources[0] if sources and len(sources) == 1 else sources and list(sources)


def _filled(names: tuple[str, ...]) -> tuple[str, ...]:
    if not names or not all(names):
        raise ValueError(f"needs at least one name and no empty ones, got {shown(names)}")
    if len(set(names)) < len(names):
        raise ValueError(f"names one twice: {shown(names)}")
    return names


Names = Annotated[tuple[str, ...], BeforeValidator(_sources), AfterValidator(_filled)]
Sources = Annotated[
    Names,
    PlainSerializer(_one_or_many),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}),
]


class Sql(Section):
    """A query to a database."""

    url: str = Field(
        min_length=1,
        description="SQLAlchemy URL. Passwords belong in the environment: ${NAME} is replaced when connecting, "
        "so that none is stored with the sweep.",
    )
    query: str = Field(min_length=1, description="A SELECT statement; its columns are the columns of the data.")


class Window(Section):
    """The newest part of the data, by its time column."""

    last: Span = Field(description="How far back from data.before, else from the newest row, such as 90 days.")

    @property
    def seconds(self) -> float:
        return seconds(self.last)


class Split(Section):
    """Rows set aside: the newest ones by time, or a stratified random part."""

    alternatives = ("last", "fraction")
    last: Span | None = Field(default=None, description="The newest rows, such as 7 days. Needs data.time.")
    fraction: float | None = Field(default=None, gt=0, lt=1, description="This part of the rows.")
    by: Literal["time", "random"] | None = Field(
        default=None,
        description="time: the newest rows (default where data.time is named); random: stratified.",
    )

    @property
    def seconds(self) -> float | None:
        return None if self.last is None else seconds(self.last)

    def conflicts(self) -> Iterator[tuple[str, str]]:
        yield from super().conflicts()
        if self.last is not None and self.by == "random":
            yield "by", f"must be time with last: {self.last}, got 'random'; for random rows give a fraction"


class Data(Section):
    """Where the rows come from and how they are split. Exactly one of source and sql."""

    alternatives = ("source", "sql")
    source: Sources | None = Field(
        default=None,
        description="Files: csv, parquet, feather or npz (X, y); a path or URI, globs allowed, or a list of them. "
        "Relative paths start at the directory in which the command runs; ${NAME} is replaced when reading.",
    )
    sql: Sql | None = Field(default=None, description="A database query instead of files.")
    target: str | None = Field(
        default=None, min_length=1, description="The column that holds the class (for npz files: the array, default y)."
    )
    features: Names | None = Field(default=None, description="Columns to learn from; default: all but target and time.")
    time: str | None = Field(
        default=None,
        min_length=1,
        description="The column that says when a row was made.",
    )
    before: Moment | None = Field(
        default=None,
        description="Rows at or after this time are left out, and spans count back from it: an ISO date or time, "
        "such as 2013-04-01 or 2013-04-01T03:30+02:00 (UTC without a zone). Needs data.time.",
    )
    window: Window | None = Field(default=None, description="Use only the newest rows, such as {last: 90 days}.")
    validation: Split = Field(
        default_factory=lambda: Split(fraction=0.15),
        description="The rows on which the search compares trials: {last: 7 days} or {fraction: 0.2}.",
    )
    holdout: Split = Field(
        default_factory=lambda: Split(fraction=0.15),
        description="The newest rows, which the search never sees: {last: 14 days} or {fraction: 0.2}.",
    )

    @classmethod
    def completed(cls, raw: dict[str, Any]) -> dict[str, Any]:
        sources = [raw["source"]] if isinstance(raw.get("source"), str) else raw.get("source")
        npz = isinstance(sources, list | tuple) and all(str(source).lower().endswith(".npz") for source in sources)
        if npz and sources and raw.get("target") is None:
            raw["target"] = "y"
        for name in ("validation", "holdout"):
            split = {"fraction": 0.15} if raw.get(name) is None else raw[name]
            if isinstance(split, dict) and split.get("by") is None:
                split = {**split, "by": "random" if raw.get("time") is None and "last" not in split else "time"}
            raw[name] = split
        return raw

    @property
    def now(self) -> datetime | None:
        """The time at which the rows end, with its zone; None: as new as they come."""
        return None if self.before is None else moment(self.before)

    def conflicts(self) -> Iterator[tuple[str, str]]:
        yield from super().conflicts()
        if self.target is None:
            yield "target", "missing: name the column that holds the class"
        if self.target is not None and self.target == self.time:
            yield "time", f"{shown(self.time)} is the target, too: name two different columns"
        if self.features and self.target in self.features:
            yield "features", f"includes the target {shown(self.target)}, which would give the answer away: take it out"
        if self.time is None:
            yield from self._without_time()
        kept = [split.fraction or 0 for split in (self.validation, self.holdout)]
        if sum(kept) >= 1:
            yield "holdout", f"the two together take {sum(kept):g} of the rows; leave some for training"
        spans = [split.seconds or 0 for split in (self.validation, self.holdout)]
        if self.window and sum(spans) >= self.window.seconds:
            yield "window", f"validation and holdout take all of the last {self.window.last}: leave some for training"

    def _without_time(self) -> Iterator[tuple[str, str]]:
        for name in ("before", "window"):
            if getattr(self, name) is not None:
                yield name, "needs data.time: name the column that says when a row was made"
        for name in ("validation", "holdout"):
            if getattr(self, name).by == "time":
                yield name, "the newest rows need data.time: name the time column, or give a fraction"
