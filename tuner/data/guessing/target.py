"""Which column is the target: by its name, or because no other could be. Where that is in doubt, a refusal says why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from models.columns import Kind, counted, kind_of, numbers_of
from models.errors import DataError
from tuner.data.guessing.names import ends_as_target, is_target

MOST_CLASSES = 50
MOST_NUMBERED = 20  # classes that are numbers: more of them are rather a quantity
SHOWN = 8  # candidates in an error


@dataclass(frozen=True, slots=True)
class Flaw:
    """Why a column cannot be guessed to be the target, and what to do if it is.

    `is_near`: it may well be the target all the same, so that no other column may be guessed in its place.
    """

    told: str
    remedy: str
    is_near: bool = False


@dataclass(frozen=True, slots=True)
class Candidate:
    """A column looked at as a target. `is_count` says that it is rather a quantity: numbers, and not two of them."""

    name: str
    classes: int
    is_count: bool
    flaw: Flaw | None

    @property
    def is_quantity(self) -> bool:
        """Whether it is a quantity beyond doubt: numbers with fractions, or too many of them."""
        return self.is_count and self.classes > 1 and self.flaw is not None and not self.flaw.is_near

    def __str__(self) -> str:
        classes = [counted(self.classes, "class", "classes")] if self.classes > 1 else []
        return f"{self.name!r} ({', but '.join([*classes, *([self.flaw.told] if self.flaw else [])])})"


def find_target(frame: pd.DataFrame) -> tuple[str, str]:
    """The column that is likely to be the target, and why. Raises DataError, which names those it could be."""
    seen = [found for name in frame if (found := _look(frame[name], is_last=name == frame.columns[-1]))]
    whole = [one for one in seen if is_target(one.name)]
    ends = [one for one in seen if ends_as_target(one.name) and not one.is_quantity]
    for named in ([one for one in whole if not one.is_quantity] or whole, ends):
        if len(named) > 1:
            raise DataError(f"several columns have a name for the target: {_ask(named)}")
        if named and (flaw := named[0].flaw):
            raise DataError(f"by its name {named[0].name!r} is the target, but it has {flaw.told}: {flaw.remedy}")
        if named:
            return named[0].name, "guessed by its name"
    return _unnamed(seen, str(frame.columns[-1]))


def _unnamed(seen: Sequence[Candidate], last: str) -> tuple[str, str]:
    able = [one for one in seen if not one.flaw]
    doubtful = [one for one in seen if one.flaw and one.flaw.is_near]
    classes = [one.name for one in able if not one.is_count]
    if not able and not doubtful:
        raise DataError(
            "no column could be a target: it takes 2 to 50 classes, none of them once only, and a label in every row; "
            "name one with --target, or cut a column of numbers into classes"
        )
    if len(able) == 1 and not doubtful:
        return able[0].name, "guessed, as the only column that could hold classes"
    if classes == [last] and not doubtful:
        return last, "guessed, as the last column, where the others are rather quantities"
    raise DataError(f"no column is obviously the target: {_ask([*able, *doubtful])}")


def _ask(candidates: Sequence[Candidate]) -> str:
    ordered = sorted(candidates, key=lambda one: (bool(one.flaw), one.is_count, one.classes))
    more = f" and {len(ordered) - SHOWN} more" if len(ordered) > SHOWN else ""
    return f"name one with --target; it could be {', '.join(map(str, ordered[:SHOWN]))}{more}"


def _look(series: pd.Series, *, is_last: bool) -> Candidate | None:
    """The column as a target; None where it holds nothing that could be classes."""
    try:
        kind = kind_of(series)
    except DataError:
        return None
    if kind is Kind.DATETIME:
        return None
    counts = series.value_counts()
    flaw = next(_flaws(series, kind, counts, is_last=is_last), None)
    return Candidate(str(series.name), len(counts), kind is Kind.NUMBER and len(counts) != 2, flaw)


def _flaws(series: pd.Series, kind: Kind, counts: pd.Series, *, is_last: bool) -> Iterator[Flaw]:
    """All that speaks against the column with `counts` rows a value, the gravest first."""
    name, elsewhere = str(series.name), "or name another column with --target"
    part = _fractional(series) if kind is Kind.NUMBER else None
    if part is not None:
        yield Flaw(f"numbers such as {part:g}", f"cut it into classes, {elsewhere}")
    if len(counts) > (MOST_NUMBERED if kind is Kind.NUMBER else MOST_CLASSES):
        cut = "cut them into classes, " if kind is Kind.NUMBER else ""
        remedy = f"{cut}say --target {name!r} if they are classes, {elsewhere}"
        is_near = is_last and kind is not Kind.NUMBER and len(counts) <= len(series) / 2
        yield Flaw(f"{len(counts):,} different {'numbers' if kind is Kind.NUMBER else 'values'}", remedy, is_near)
    once = counts.index[counts == 1]
    is_near = len(once) <= len(counts) / 2 if len(counts) else is_last  # else it rather names rows
    if missing := int(series.isna().sum()):
        told = f"no label in {missing:,} of {counted(len(series), 'row')} (empty, NA or null)"
        yield Flaw(told, f"drop or label these, {elsewhere}", is_near)
    if len(counts) == 1:
        yield Flaw("one class only", f"bring rows of another class, {elsewhere}", is_last)
    if len(once):
        told = f"class {str(once[0])!r} in one row only" if len(once) == 1 else f"{len(once)} classes in one row only"
        yield Flaw(told, f"drop or merge what is so rare, or say --target {name!r} to take it as it is", is_near)


def _fractional(series: pd.Series) -> float | None:
    """A value that is no whole number; None where there is none."""
    values = pd.Series(numbers_of(series, Kind.NUMBER)).dropna()
    return next(iter(values[values != values.round()]), None)
