"""Lengths of time as people write them. Standard library only, so that a spec check stays quick."""

from __future__ import annotations

import re
from datetime import timedelta

UNITS = {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(weeks=1)}


def parse_span(text: str) -> timedelta:
    """`"90 days"`, `"12 hours"`, `"1 week"`: a positive number and a unit. Raises ValueError."""
    rule = f"a span is a positive number and a unit ({', '.join(f'{unit}s' for unit in UNITS)})"
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+?)s?\s*", str(text).lower())
    if not match or match[2] not in UNITS:
        raise ValueError(f'{rule}, not {text!r}: write it like "90 days"')
    try:
        span = float(match[1]) * UNITS[match[2]]
    except OverflowError as error:
        raise ValueError(f"{rule}, and {text!r} is longer than time: write a shorter one") from error
    if span <= timedelta(0):
        raise ValueError(f'{rule}, not {text!r}: write it like "90 days"')
    return span
