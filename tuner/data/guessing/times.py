"""Which column says when a row was made, and which hold times that cannot be read as such."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pandas as pd

from models.columns import ISO_8601, Kind, counted, kind_of, numbers_of
from models.errors import DataError
from tuner.data.guessing.names import TIMES, is_birth, noun
from tuner.data.source import timestamps

LOOKED_AT = 50  # texts of a column, to tell whether they look like dates
MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
DATE = re.compile(
    r"(\d{1,2}[/.-]\d{1,2}[/.-]\d{4}|\d\d?[/-]\d\d?[/-]\d\d|\d\d\.\d\d\.\d\d|\d{4}[/.-]\d{1,2}[/.-]\d{1,2}"
    rf"|(\w+,? )?((\d{{1,2}}\.?[ -])({MONTHS})[a-z]*|({MONTHS})[a-z]*\.? \d{{1,2}}),?[ -](\d{{4}}|\d{{2}}))(\D.*)?",
    re.IGNORECASE,
)
SINCE_1970 = (3e8, 4.1e9)  # seconds: from 1979 to 2099


def find_time(frame: pd.DataFrame, names: Sequence[str]) -> tuple[str | None, str]:
    """The column among `names` that says when a row was made, and why it, or why none.

    Of several, the first in whose order the rows stand, else the first. The day of somebody's birth is none.
    """
    timed = [name for name in names if holds_times(frame[name])]
    times = [name for name in timed if not is_birth(name)]
    if not times:
        return None, f"no column has a time in every row{_instead(frame, names, timed)}"
    in_order = next((name for name in times if timestamps(frame[name]).is_monotonic_increasing), None)
    if len(times) == 1:
        return times[0], "guessed, as the only column with a time in every row"
    if in_order is not None:
        return in_order, "guessed, as the first column with a time in every row, in whose order they stand"
    return times[0], "guessed, as the first column with a time in every row"


def _instead(frame: pd.DataFrame, names: Sequence[str], births: Sequence[str]) -> str:
    """What comes near to a time column, as the end of a sentence."""
    if births:
        return f" but {births[0]!r}, which by its name is not when the row was made; --time says otherwise"
    near = next((name for name in names if unread_times(frame[name])), None)
    return "" if near is None else f"; {near!r} comes near: see why it is left out"


def holds_times(series: pd.Series) -> bool:
    """Whether every row has a time that a spec can name, and not all the same one."""
    try:
        if kind_of(series) is Kind.CATEGORY and not _may_be_iso(series):
            return False
        return bool(timestamps(series).nunique() > 1)
    except DataError:
        return False


def unread_times(series: pd.Series) -> str:
    """Which times the column has that no spec can name, and what to do; empty where there seem to be none."""
    try:
        kind = kind_of(series)
    except DataError:
        return ""
    known = series.dropna()
    if known.nunique() < 2:
        return ""
    if len(known) < len(series) and holds_times(known):
        return (
            f"times, but in {len(known):,} of {counted(len(series), 'row')} only: to split by time, all must have one"
        )
    unread = {Kind.CATEGORY: _are_dates, Kind.NUMBER: _count_time}.get(kind)
    if unread is None or not unread(known):
        return ""
    return f"values such as {str(known.iloc[0])!r}, which cannot be read as times: {ISO_8601}, to split by time"


def _may_be_iso(series: pd.Series) -> bool:
    """Whether texts begin with a year; fewer digits than 20130131 may be a code, unless the name says time."""
    texts = series.dropna().astype(str).head(LOOKED_AT)
    if texts.empty or not texts.iloc[0][:4].isdigit():
        return False
    return noun(str(series.name)) in TIMES or not texts.str.fullmatch(r"\d{1,7}").all()


def _are_dates(known: pd.Series) -> bool:
    """Whether texts look like 03/14/2024 or Mar 14, 2024."""
    texts = known.astype(str).drop_duplicates().head(LOOKED_AT).str.strip()
    if not all(DATE.fullmatch(text) for text in texts):
        return False
    days_first = pd.to_datetime(texts, format="mixed", dayfirst=True, errors="coerce", utc=True)
    return bool(days_first.notna().all())


def _count_time(known: pd.Series) -> bool:
    """Whether numbers are dates such as 20240314, or by their name seconds or their parts since 1970."""
    values = pd.Series(numbers_of(known, Kind.NUMBER))
    if values.isna().any():
        return False
    if values.between(19000101, 21001231).all() and (values == values.round()).all():
        return bool(pd.to_datetime(values.astype(int).astype(str), format="%Y%m%d", errors="coerce").notna().all())
    scales = (1.0, 1e3, 1e6, 1e9)
    return noun(str(known.name)) in TIMES and any((values / scale).between(*SINCE_1970).all() for scale in scales)
