"""Lengths and points of time as people write them."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Annotated, Any

from pydantic import BeforeValidator

from tuner.spec.problems import shown

_UNITS = {"minute": 60, "hour": 3600, "day": 86400, "week": 604800}
_SPAN = re.compile(r"(\d+(?:\.\d+)?) *(minute|hour|day|week)s?")


def seconds(span: str) -> float:
    """The length of a span such as "90 days" or "1 week". Raises ValueError."""
    match = _SPAN.fullmatch(str(span).strip())
    if not match or not float(match[1]):
        raise ValueError(f"must be a number of minutes, hours, days or weeks, such as 90 days, got {shown(span)}")
    return float(match[1]) * _UNITS[match[2]]


def moment(written: object) -> datetime:
    """The point of time in ISO 8601 text, or that a date (its midnight) or datetime is; UTC where it has no zone.

    Raises ValueError.
    """
    try:
        if isinstance(written, date):  # every datetime is one, too
            written = written.isoformat()
        if not isinstance(written, str):
            raise TypeError
        found = datetime.fromisoformat(written.strip())
        found = found if found.tzinfo else found.replace(tzinfo=UTC)
        found.astimezone(UTC)  # OverflowError within hours of the years 1 and 9999
    except (ValueError, TypeError, OverflowError):
        form = "an ISO date or time, such as 2013-04-01 or 2013-04-01T03:30+02:00"
        raise ValueError(f"must be {form} (UTC without a zone), got {shown(written)}") from None
    return found


def _span(raw: Any) -> str:
    seconds(raw)
    return str(raw)


def _moment(raw: Any) -> str:
    """One text for one way to say it: a date for a midnight of UTC, else date and time with the zone."""
    found = moment(raw)
    utc_midnight = found.utcoffset() == UTC.utcoffset(None) and found.time() == datetime.min.time()
    return (found.date() if utc_midnight else found).isoformat()


Span = Annotated[str, BeforeValidator(_span)]
Moment = Annotated[str, BeforeValidator(_moment)]
