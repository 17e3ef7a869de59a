"""Columns from which nothing can be learned that holds for other rows, and why."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pandas as pd

from models.columns import Kind, counted, kind_of, numbers_of
from models.errors import DataError
from tuner.data.guessing.names import IDENTIFIERS, NUMBERS, is_index, noun
from tuner.data.guessing.times import holds_times, unread_times

MANY = 20  # values: fewer may be kinds of something
MOSTLY = 0.8  # of a column's texts are numbers: then it is one of numbers
SIGNS = re.compile(r"[\s,_%$€£¥]")  # in what people write for a number
EXAMPLE = 30  # letters of a value


def useless(series: pd.Series) -> str:
    """Why nothing that holds for other rows can be learned from the column; empty where something may be."""
    try:
        kind = kind_of(series)
    except DataError:
        return f"neither numbers, texts, booleans nor times, such as {str(series.dropna().iloc[0])[:EXAMPLE]}"
    return next(filter(None, _reasons(series, kind)), "")


def _reasons(series: pd.Series, kind: Kind) -> Iterator[str]:
    """What may speak against the column, the plainest first; empty where it does not."""
    distinct, rows = series.nunique(), int(series.notna().sum())
    if not distinct:
        yield "empty"
    if distinct == 1 and rows == len(series):  # else that a value is missing may tell something
        yield "constant"
    if kind is Kind.DATETIME or (kind is Kind.CATEGORY and holds_times(series)):
        yield "another time, which as a number only counts on: make it a duration, an age or a time of day"
    yield unread_times(series)
    if kind is Kind.CATEGORY:
        yield _numbers_as_texts(series)
        yield _free(distinct, rows)
    if kind is Kind.NUMBER:
        yield _identifies(series, distinct)


def _free(distinct: int, rows: int) -> str:
    if distinct <= max(MANY, rows / 2):
        return ""
    return f"an identifier or free text: {counted(distinct, 'value')} in {counted(rows, 'row')}"


def _numbers_as_texts(series: pd.Series) -> str:
    """Why the column should rather be one of numbers; texts of nothing but digits are taken for codes."""
    texts = series.dropna().astype(str).drop_duplicates()
    if len(texts) <= MANY or texts.str.isdigit().all():
        return ""
    plain = pd.to_numeric(texts, errors="coerce")
    loose = plain.fillna(pd.to_numeric(texts.str.replace(SIGNS, "", regex=True), errors="coerce"))
    if loose.notna().mean() < MOSTLY:
        return ""
    odd = next(iter([*texts[loose.isna()], *texts[plain.isna()]]), "")
    told = f"such as {odd[:EXAMPLE]!r}" if odd else "in a column of texts"
    return f"numbers, but with texts {told}: write plain numbers, and nothing where one is missing"


def _identifies(series: pd.Series, distinct: int) -> str:
    """Why a column of numbers rather names rows than tells of them; empty where it does not."""
    values, name = numbers_of(series, Kind.NUMBER), str(series.name)
    known = values[~np.isnan(values)]
    if distinct <= MANY or (known != known.round()).any():
        return ""
    counts_up = bool((np.diff(values) == 1).all())
    if distinct == len(series) and (counts_up or noun(name) in NUMBERS or is_index(name)):
        return "an identifier: another number in every row"
    if noun(name) in IDENTIFIERS:
        return f"an identifier by its name: {counted(distinct, 'number')} in {counted(len(series), 'row')}"
    return ""
