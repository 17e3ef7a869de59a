"""Where one hyperparameter may lie: a domain is a pair of maps to and from the unit interval.

Samplers work in [0, 1] and never ask for the scale. To add a domain, write a class that keeps the `Domain`
contract and name it in `DOMAINS`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from types import MappingProxyType
from typing import ClassVar, NoReturn, Protocol

from tuner.trial import Value


class DomainError(ValueError):
    """A domain that cannot be drawn from, or a value outside one; names the rule, the value and the next step."""


class Domain(Protocol):
    """A set of values laid out on [0, 1]; equal lengths of it are drawn equally often."""

    kind: ClassVar[str]

    def from_unit(self, u: float) -> Value:
        """The value at `u`; 0 and 1 give the two ends, anything outside [0, 1] the nearer end."""

    def to_unit(self, v: Value) -> float:
        """A point of [0, 1] with `from_unit(point) == v` (12 significant digits). Raises DomainError outside."""

    def grid(self, n: int) -> list[Value]:
        """At most `n` distinct values at equal distances, both ends included; one value is the middle."""


@dataclass(frozen=True, slots=True)
class Uniform:
    """Real numbers of [low, high], all equally likely."""

    kind: ClassVar[str] = "uniform"
    low: float
    high: float

    def __post_init__(self) -> None:
        _set_bounds(self)
        _check_width(self, self.low, self.high)

    def from_unit(self, u: float) -> float:
        size = min(self.high - self.low, max(abs(self.low), abs(self.high)))
        return _readable(self, _mix(self.low, self.high, u), size)

    def to_unit(self, v: Value) -> float:
        return _share(self.low, self.high, _inside(self, v))

    def grid(self, n: int) -> list[Value]:
        return [self.from_unit(u) for u in _equidistant(self, n)]


@dataclass(frozen=True, slots=True)
class LogUniform:
    """Real numbers of [low, high] whose logarithm is uniform: every decade is equally likely."""

    kind: ClassVar[str] = "log_uniform"
    low: float
    high: float

    def __post_init__(self) -> None:
        _set_bounds(self)
        if self.low <= 0:
            _refuse(self, "low must be above 0, because the logarithm of 0 is not a number: try 1e-6, or uniform")
        _check_width(self, math.log(self.low), math.log(self.high))

    def from_unit(self, u: float) -> float:
        x = _clip(self, math.exp(_mix(math.log(self.low), math.log(self.high), u)))
        return self.low if u <= 0 else self.high if u >= 1 else _readable(self, x, x)

    def to_unit(self, v: Value) -> float:
        return _share(math.log(self.low), math.log(self.high), math.log(_inside(self, v)))

    def grid(self, n: int) -> list[Value]:
        return [self.from_unit(u) for u in _equidistant(self, n)]


@dataclass(frozen=True, slots=True)
class OneMinusLogUniform:
    """Real numbers x of [low, high] below 1 whose 1 - x is log-uniform: for momentum and decay rates near 1.

    Through log1p and expm1, so that neither x near 0 nor x near 1 loses digits.
    """

    kind: ClassVar[str] = "one_minus_log_uniform"
    low: float
    high: float

    def __post_init__(self) -> None:
        _set_bounds(self)
        if self.high >= 1:
            _refuse(self, "high must be below 1, because the logarithm of 1 - high is taken: try 0.999")
        _check_width(self, -math.log1p(-self.low), -math.log1p(-self.high))

    def from_unit(self, u: float) -> float:
        x = _clip(self, -math.expm1(_mix(math.log1p(-self.low), math.log1p(-self.high), u)))
        size = min(abs(x), 1 - x) or 1.0
        return self.low if u <= 0 else self.high if u >= 1 else _readable(self, x, size)

    def to_unit(self, v: Value) -> float:
        return _share(math.log1p(-self.low), math.log1p(-self.high), math.log1p(-_inside(self, v)))

    def grid(self, n: int) -> list[Value]:
        return [self.from_unit(u) for u in _equidistant(self, n)]


@dataclass(frozen=True, slots=True)
class Int:
    """Whole numbers of [low, high], both included: cells of equal width on [0, 1]."""

    kind: ClassVar[str] = "int"
    low: int
    high: int

    def __post_init__(self) -> None:
        _set_whole_bounds(self)

    def from_unit(self, u: float) -> int:
        return self.low + _cell(u, self.high - self.low + 1)

    def to_unit(self, v: Value) -> float:
        return (_inside(self, v) - self.low + 0.5) / (self.high - self.low + 1)

    def grid(self, n: int) -> list[Value]:
        return _distinct([round(_mix(self.low, self.high, u)) for u in _equidistant(self, n)])


@dataclass(frozen=True, slots=True)
class LogInt:
    """Whole numbers of [low, high], both included; v has the cell [v - 1/2, v + 1/2] of a logarithmic line."""

    kind: ClassVar[str] = "log_int"
    low: int
    high: int

    def __post_init__(self) -> None:
        _set_whole_bounds(self)
        if self.low < 1:
            _refuse(self, "low must be at least 1, because the logarithm of 0 is not a number: start at 1, or use int")

    def from_unit(self, u: float) -> int:
        line = _mix(math.log(self.low - 0.5), math.log(self.high + 0.5), u)
        return int(_clip(self, math.floor(math.exp(line) + 0.5)))

    def to_unit(self, v: Value) -> float:
        x = _inside(self, v)
        centre = (math.log(x - 0.5) + math.log(x + 0.5)) / 2
        return _share(math.log(self.low - 0.5), math.log(self.high + 0.5), centre)

    def grid(self, n: int) -> list[Value]:
        line = [_mix(math.log(self.low), math.log(self.high), u) for u in _equidistant(self, n)]
        return _distinct([int(_clip(self, round(math.exp(x)))) for x in line])


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the values, in the order given, all equally likely; a grid takes them all."""

    kind: ClassVar[str] = "choice"
    values: tuple[Value, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", tuple(self.values))
        _check_list(self, self.values)

    def from_unit(self, u: float) -> Value:
        return self.values[_cell(u, len(self.values))]

    def to_unit(self, v: Value) -> float:
        return (_position(self, self.values, v) + 0.5) / len(self.values)

    def grid(self, n: int) -> list[Value]:
        _equidistant(self, n)
        return list(self.values)


@dataclass(frozen=True, slots=True)
class Grid:
    """One of the numbers, sorted, all equally likely: an axis whose points are written out; a grid takes them all."""

    kind: ClassVar[str] = "grid"
    points: tuple[float, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "points", tuple(self.points))
        _check_list(self, self.points)
        for point in self.points:
            _number(self, point, "points must be numbers (names go into a choice)")
        object.__setattr__(self, "points", tuple(sorted(self.points)))

    def from_unit(self, u: float) -> float:
        return self.points[_cell(u, len(self.points))]

    def to_unit(self, v: Value) -> float:
        return (_position(self, self.points, v) + 0.5) / len(self.points)

    def grid(self, n: int) -> list[Value]:
        _equidistant(self, n)
        return list(self.points)


DOMAINS: Mapping[str, type[Domain]] = MappingProxyType(
    {kind.kind: kind for kind in (Uniform, LogUniform, OneMinusLogUniform, Int, LogInt, Choice, Grid)}
)
_Interval = Uniform | LogUniform | OneMinusLogUniform | Int | LogInt
_Any = _Interval | Choice | Grid


def domain_of(kind: str, argument: object) -> Domain:
    """The domain written `{kind: argument}`: [low, high], or a list of values. Raises DomainError."""
    if kind not in DOMAINS:
        raise DomainError(f"unknown domain {kind!r}: use one of {', '.join(DOMAINS)}")
    if not isinstance(argument, Sequence) or isinstance(argument, str):
        raise DomainError(f"{kind} needs a list, got {argument!r}: write {kind}: [...]")
    cls = DOMAINS[kind]
    if cls in (Choice, Grid):
        return cls(tuple(argument))  # type: ignore[call-arg]
    if len(argument) != 2:
        raise DomainError(f"{kind} {list(argument)}: needs exactly two numbers: write {kind}: [low, high]")
    return cls(*argument)


def written(domain: Domain) -> dict[str, list[Value]]:
    """`domain` as it is written in a spec; the inverse of `domain_of`."""
    arguments = astuple(domain)
    return {domain.kind: list(arguments[0]) if isinstance(arguments[0], tuple) else list(arguments)}


def _refuse(domain: _Any, rule: str) -> NoReturn:
    arguments = astuple(domain)
    shown = list(arguments[0]) if isinstance(arguments[0], tuple) else list(arguments)
    raise DomainError(f"{domain.kind} {shown}: {rule}")


def _number(domain: _Any, value: object, rule: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        _refuse(domain, f"{rule}, got {value!r}")
    if not abs(value) <= 1e100:  # also true of NaN
        _refuse(domain, f"numbers must be finite (at most 1e100 in size), got {value!r}")
    return float(value)


def _set_bounds(domain: Uniform | LogUniform | OneMinusLogUniform) -> None:
    low, high = (_number(domain, end, "low and high must be numbers") for end in (domain.low, domain.high))
    _check_order(domain)
    object.__setattr__(domain, "low", low)
    object.__setattr__(domain, "high", high)


def _set_whole_bounds(domain: Int | LogInt) -> None:
    for name, end in (("low", domain.low), ("high", domain.high)):
        number = _number(domain, end, "low and high must be whole numbers")
        if not number.is_integer() or abs(number) > 1e12:
            _refuse(domain, f"{name} must be a whole number of at most 1e12 in size, got {end!r}: round it")
        object.__setattr__(domain, name, int(end))
    _check_order(domain)


def _check_order(domain: _Interval) -> None:
    if domain.low >= domain.high:
        swap = " swap them" if domain.low > domain.high else " a single value is written plainly, without a domain"
        _refuse(domain, f"low must be below high:{swap}")


def _check_width(domain: _Interval, low: float, high: float) -> None:
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        _refuse(domain, "low and high are too close to tell values between them apart: widen it, or write one value")


def _check_list(domain: Choice | Grid, values: Sequence[object]) -> None:
    if not values:
        _refuse(domain, "needs at least one value")
    for i, value in enumerate(values):
        if not isinstance(value, bool | int | float | str):
            _refuse(domain, f"values must be numbers, names, true or false, got {value!r}")
        if isinstance(value, float) and not math.isfinite(value):
            _refuse(domain, f"numbers must be finite, got {value!r}")
        if value in values[:i]:
            _refuse(domain, f"{value!r} is named twice: name each value once")


def _inside(domain: _Interval, v: Value) -> float:
    if isinstance(v, bool | str) or not domain.low <= v <= domain.high:
        _refuse(domain, f"{v!r} lies outside")
    if isinstance(domain, Int | LogInt) and v != int(v):
        _refuse(domain, f"{v!r} is not a whole number")
    return v


def _position(domain: Choice | Grid, values: Sequence[Value], v: Value) -> int:
    if v not in values:
        _refuse(domain, f"{v!r} is not among the values")
    return values.index(v)


def _mix(low: float, high: float, u: float) -> float:
    u = min(max(u, 0.0), 1.0)
    return low * (1 - u) + high * u


def _share(low: float, high: float, x: float) -> float:
    return min(max((x - low) / (high - low), 0.0), 1.0)


def _cell(u: float, cells: int) -> int:
    return min(max(int(u * cells), 0), cells - 1)


def _clip(domain: _Interval, x: float) -> float:
    return min(max(x, domain.low), domain.high)


def _readable(domain: _Interval, x: float, size: float) -> float:
    """`x` to 12 digits of `size`, so that people read 0.001 and what they read is what was trained."""
    return _clip(domain, round(x, 12 - math.floor(math.log10(size))))


def _equidistant(domain: _Any, n: int) -> list[float]:
    if n < 1:
        _refuse(domain, f"a grid needs at least one point, got {n}")
    return [0.5] if n == 1 else [i / (n - 1) for i in range(n)]


def _distinct(values: Sequence[int]) -> list[Value]:
    return list(dict.fromkeys(values))
