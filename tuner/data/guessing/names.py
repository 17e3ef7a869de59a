"""What the name of a column says of it: its words, and the last of them, which is the noun."""

from __future__ import annotations

import re

WHOLE_TARGETS = {"target", "targets", "label", "labels", "class", "classes", "outcome", "y"}
TARGETS = WHOLE_TARGETS - {"y"}  # the end of a longer name: position_y is a place
IDENTIFIERS = {"id", "ids", "uuid", "guid"}
NUMBERS = {*IDENTIFIERS, "key", "number", "no", "nr", "index", "row"}  # of an identifier, or of anything else
CODES = {*IDENTIFIERS, "zip", "zipcode", "postcode", "plz", "code"}
TIMES = {"date", "datetime", "time", "timestamp", "ts", "when", "at", "epoch", "year", "month", "day", "hour"}
BIRTHS = {"birth", "birthday", "birthdate", "dob", "born"}


def words(name: str) -> tuple[str, ...]:
    """The words of `name` in lower case: those of `customer_id`, `Customer ID` and `CustomerId` are the same."""
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return tuple(re.findall(r"[^\W_]+", parted.casefold()))


def noun(name: str) -> str:
    """The last word of `name`, which says what it names; empty where it has none."""
    return (words(name) or ("",))[-1]


def is_target(name: str) -> bool:
    """Whether the whole name is one for a target."""
    return len(words(name)) == 1 and noun(name) in WHOLE_TARGETS


def ends_as_target(name: str) -> bool:
    """Whether a longer name ends like one for a target: `churn_label`."""
    return len(words(name)) > 1 and noun(name) in TARGETS


def is_index(name: str) -> bool:
    """Whether pandas wrote the column, which only counts the rows of another table."""
    return words(name)[:1] == ("unnamed",)


def is_birth(name: str) -> bool:
    """Whether a time by this name is that of somebody's birth, and not of the row."""
    return bool(BIRTHS & {*words(name)})
