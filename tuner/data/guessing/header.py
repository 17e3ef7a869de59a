"""Whether a table has the names of its columns, or its first row in place of them."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pandas as pd

from models.columns import Kind, kind_of
from models.errors import DataError


def require_header(frame: pd.DataFrame) -> None:
    """Raises DataError where every name could as well be a value of its column: then it is one."""
    names = [str(name) for name in frame]
    if names == [str(place) for place in range(len(names))]:  # as pandas names them
        return
    fitting = list(_fitting(frame))
    if fitting and all(fitting):
        told = ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
        raise DataError(
            f"the first line must name the columns, and this one ({told}) looks like a row of data: "
            f"put a line of names before it"
        )


def _fitting(frame: pd.DataFrame) -> Iterator[bool]:
    """Of each column whether its name could be one of its values; of those that do not repeat values, nothing."""
    for name in frame:
        series = frame[name]
        try:
            kind = kind_of(series)
        except DataError:
            continue
        text = re.sub(r"\.\d+$", "", str(name)) if str(name).count(".") > 1 else str(name)  # pandas: the second 5.1
        if kind is Kind.NUMBER:
            yield bool(re.fullmatch(r"\s*[-+]?\d*\.?\d+(e[-+]?\d+)?\s*", text, re.IGNORECASE))
        elif kind is Kind.CATEGORY and series.nunique() <= len(series) / 2:
            yield text in {str(value) for value in series.dropna().unique()}
        elif kind is Kind.BOOLEAN:
            yield text.casefold() in ("true", "false")
