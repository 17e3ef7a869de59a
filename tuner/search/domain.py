"""What a domain is: where one hyperparameter may lie, as a pair of maps to and from the unit interval.

Samplers work in [0, 1] and never ask for the scale. To add a domain, write a frozen dataclass that keeps the
`Domain` contract and name it in `domains.py`.
"""

from __future__ import annotations

from typing import ClassVar, NoReturn, Protocol

from tuner.trial import Value


class DomainError(ValueError):
    """A domain that cannot be drawn from, or a value outside one; names the rule, the value and the next step."""


class Domain(Protocol):
    """A set of values laid out on [0, 1]; equal lengths of it are drawn equally often."""

    kind: ClassVar[str]
    """Its name in a spec."""

    def from_unit(self, u: float) -> Value:
        """The value at `u`; 0 and 1 give the two ends, anything outside [0, 1] the nearer end."""

    def to_unit(self, v: Value) -> float:
        """A point of [0, 1] with `from_unit(point) == v` (12 significant digits). Raises DomainError outside."""

    def grid(self, n: int) -> list[Value]:
        """At most `n` distinct values at equal distances, both ends included; one value is the middle.

        Domains that are written out value by value give all of them, whatever `n`.
        """

    def arguments(self) -> list[Value]:
        """What stands in the brackets in a spec."""


class Interval(Domain, Protocol):
    """A domain of all numbers of a kind between two ends, both included."""

    @property
    def low(self) -> float: ...

    @property
    def high(self) -> float: ...


def refuse(domain: Domain, rule: str) -> NoReturn:
    """Raises DomainError: `rule` is broken by `domain`."""
    raise DomainError(f"{domain.kind} {domain.arguments()}: {rule}")


def number(domain: Domain, value: object, rule: str) -> float:
    """`value` as a float. Raises DomainError with `rule` if it is no number, or not finite."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        refuse(domain, f"{rule}, got {value!r}")
    if not abs(value) <= 1e100:  # so that neither differences nor NaN need thought elsewhere
        refuse(domain, f"numbers must be finite (at most 1e100 in size), got {value!r}")
    return float(value)


def check_order(domain: Interval) -> None:
    """Raises DomainError unless low is below high."""
    if domain.low >= domain.high:
        step = "swap them" if domain.low > domain.high else "a single value is written plainly, without a domain"
        refuse(domain, f"low must be below high: {step}")


def check_width(domain: Interval, low: float, high: float) -> None:
    """Raises DomainError unless `low` and `high`, the ends on the domain's own scale, are well apart."""
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        refuse(domain, "low and high are too close to tell values between them apart: widen it, or write one value")


def inside(domain: Interval, v: Value) -> float:
    """`v`, if it is a number between the ends. Raises DomainError if not."""
    if isinstance(v, bool | str) or not domain.low <= v <= domain.high:
        refuse(domain, f"{v!r} lies outside")
    return v


def mix(low: float, high: float, u: float) -> float:
    """The point at `u` of the way from `low` to `high`."""
    u = min(max(u, 0.0), 1.0)
    return low * (1 - u) + high * u


def share(low: float, high: float, x: float) -> float:
    """How far `x` is on the way from `low` to `high`; the inverse of `mix`."""
    return min(max((x - low) / (high - low), 0.0), 1.0)


def cell(u: float, cells: int) -> int:
    """Which of `cells` equal parts of [0, 1] holds `u`, from 0."""
    return min(max(int(u * cells), 0), cells - 1)


def clip(domain: Interval, x: float) -> float:
    """The number of the domain's interval nearest to `x`."""
    return min(max(x, domain.low), domain.high)


def check_points(domain: Domain, n: int) -> None:
    """Raises DomainError unless a grid of `n` points has any."""
    if n < 1:
        refuse(domain, f"a grid needs at least one point, got {n}")


def equidistant(domain: Domain, n: int) -> list[float]:
    """`n` points of [0, 1] at equal distances, both ends included. Raises DomainError if `n` is below 1."""
    check_points(domain, n)
    return [0.5] if n == 1 else [i / (n - 1) for i in range(n)]
