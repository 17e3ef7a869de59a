"""A hyperparameter's own scale as an axis of a picture: the unit interval of its domain, with values written at it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from tuner.review.measure import MARKS, decades, number
from tuner.review.style import label
from tuner.search.space import LISTED, Axis, Domain
from tuner.trial import Value

FEW = 8  # whole numbers that are shown one by one
Candidates = Callable[[float, float], list[float]]


def values(axis: Axis) -> list[Value]:
    """The values of an axis that are shown one by one: those written out, and a few whole numbers; else none."""
    ends = axis.domain.arguments()
    if axis.domain.kind in LISTED:
        return ends
    low, high = ends
    whole = isinstance(low, int) and isinstance(high, int)
    return list(range(int(low), int(high) + 1)) if whole and int(high) - int(low) < FEW else []


def described(axis: Axis) -> str:
    """What the axis of a picture is called: the name, and the scale where it is not an even one."""
    scales = {"log_uniform": "log scale", "log_int": "log scale", "one_minus_log_uniform": "log scale of 1 - x"}
    name = label(axis.name.replace("_", " "))
    return f"{name} ({scales[axis.domain.kind]})" if axis.domain.kind in scales else name


def place(axis: Axis, value: Value) -> float:
    """Where a value lies on the axis, from 0 to 1."""
    return round(axis.domain.to_unit(value), 4)


def layout(axis: Axis) -> dict[str, Any]:
    """The axis as Plotly wants it."""
    marks = ticks(axis.domain)
    return {
        "range": [-0.04, 1.04],
        "tickvals": [at for at, _ in marks],
        "ticktext": [label(told, 16) for _, told in marks],
        "title": {"text": described(axis)},
    }


def ticks(domain: Domain) -> list[tuple[float, str]]:
    """At most a few places on the unit interval, with the values there; of a domain that is written out, all."""
    ends = domain.arguments()
    if listed := values(Axis("", domain)):
        return [(domain.to_unit(value), number(value)) for value in listed]
    low, high = (float(end) for end in ends)
    whole = isinstance(ends[0], int)
    found = [value for value in SCALES.get(domain.kind, _even)(low, high) if not whole or value == int(value)]
    if len(found) < 2:
        found = [low, high]
    marks: list[Value] = [int(value) if whole else min(max(value, low), high) for value in found]
    return [(domain.to_unit(value), number(value)) for value in marks]


def _nines(low: float, high: float) -> list[float]:
    """0.9, 0.99 and the like: 1 less round numbers."""
    return [round(1 - value, 12) for value in reversed(decades(1 - high, 1 - low))]


def _even(low: float, high: float) -> list[float]:
    """Round numbers at equal distances."""
    exponent = math.floor(math.log10(high - low)) - 1
    steps = [factor * 10.0**power for power in (exponent, exponent + 1) for factor in (1, 2, 5)]
    step = next(step for step in [*steps, 10.0 ** (exponent + 2)] if (high - low) / step < MARKS)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(at * step, 12) for at in range(first, last + 1)]


SCALES: Mapping[str, Candidates] = MappingProxyType(
    {"log_uniform": decades, "log_int": decades, "one_minus_log_uniform": _nines}
)
