"""Configurations from elsewhere as points of a space, which may have changed since they were found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tuner.search.space import Choice, Domain, DomainError, Space
from tuner.trial import Value


@dataclass(frozen=True, slots=True)
class Start:
    """A point of the space, which of its axes the configuration told (`known`), and what of it did not fit."""

    point: tuple[float, ...]
    known: tuple[bool, ...]
    notes: tuple[str, ...]


def start_of(space: Space, params: Mapping[str, Value]) -> Start:
    """The point of `space` nearest to `params`.

    A number outside its axis goes to the nearest end; a name that its axis has not, and an axis that `params`
    leaves out, as inactive ones are, stand in the middle. What is not searched is ignored. The notes say so, but
    for axes that are inactive at the point and fixed values that are the same here.
    """
    told = {axis.name: _placed(axis.domain, params[axis.name]) for axis in space.axes if axis.name in params}
    point = tuple(0.5 if (u := told.get(axis.name)) is None else u for axis in space.axes)
    known = tuple(told.get(axis.name) is not None for axis in space.axes)
    return Start(point, known, tuple(_notes(space, params, point)))


def misfits(space: Space, params: Mapping[str, Value]) -> list[str]:
    """The hyperparameters for which `params` is no configuration of `space`; none if it is one.

    Either a value is not on its axis, or not the one that is fixed, or one is active there and not here, or not there.
    """
    off = [axis.name for axis in space.axes if axis.name in params and not _lies_on(axis.domain, params[axis.name])]
    if off:
        return off
    active = space.decode(start_of(space, params).point)
    return [
        name
        for name in {**active, **params}
        if name not in active or name not in params or (name in space.fixed and active[name] != params[name])
    ]


def _placed(domain: Domain, value: Value) -> float | None:
    """Where `value`, or else the nearest number, lies on the axis; None if it is nowhere near."""
    if _lies_on(domain, value):
        return domain.to_unit(value)
    if isinstance(domain, Choice) or isinstance(value, bool | str):
        return None
    # The two ends of an interval; a grid gives all of its numbers.
    numbers = [number for number in domain.grid(2) if not isinstance(number, str)]
    return domain.to_unit(min(numbers, key=lambda number: abs(number - value)))


def _lies_on(domain: Domain, value: Value) -> bool:
    try:
        domain.to_unit(value)
    except DomainError:
        return False
    return True


def _notes(space: Space, params: Mapping[str, Value], point: tuple[float, ...]) -> Iterator[str]:
    """What of `params` is not at `point`, one phrase each."""
    active = space.decode(point)
    for axis, u in zip(space.axes, point, strict=True):
        if axis.name in params and not _lies_on(axis.domain, params[axis.name]):
            instead = axis.domain.from_unit(u)
            yield f"{axis.name} {params[axis.name]!r} is not on its axis: {instead!r} instead"
    left_out = [axis.name for axis in space.axes if axis.name not in params and axis.name in active]
    if left_out:
        yield f"left out, so in the middle: {', '.join(left_out)}"
    axes = {axis.name for axis in space.axes}
    ignored = [name for name, value in params.items() if name not in axes and space.fixed.get(name) != value]
    if ignored:
        yield f"not searched, so ignored: {', '.join(ignored)}"
