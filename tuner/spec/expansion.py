"""How far an axis reaches where `search.expand` lets boxes grow beyond the bounds that the spec names."""

from __future__ import annotations

import math
from dataclasses import replace

from tuner.search.space import Axis, Domain, LogUniform, OneMinusLogUniform, Space, Uniform
from tuner.spec.hyperparameter import Rule

EXPANDABLE = (Uniform, LogUniform, OneMinusLogUniform)
"""Whole numbers are no guesses at a scale, but the size of a network or a step, and lists name all that there is."""
Bounds = tuple[float, float]


def expanded(space: Space, rules: dict[str, Rule]) -> Space:
    """`space` with longer axes of real numbers: by half of their length at either end, as far as `rules` allow it."""
    axes = [replace(axis, domain=_longer(axis.domain, rules.get(axis.name, Rule()))) for axis in space.axes]
    return replace(space, axes=tuple(axes))


def bounds(named: Space, longer: Space) -> dict[str, Bounds]:
    """The part of each axis of `longer`, on [0, 1], that `named` has; axes that are the same are left out."""
    return {
        new.name: (new.domain.to_unit(old.domain.low), new.domain.to_unit(old.domain.high))
        for old, new in zip(named.axes, longer.axes, strict=True)
        if isinstance(old.domain, EXPANDABLE) and old.domain != new.domain
    }


def expandable(space: Space) -> list[Axis]:
    """The axes that may become longer."""
    return [axis for axis in space.axes if isinstance(axis.domain, EXPANDABLE)]


def _longer(domain: Domain, rule: Rule) -> Domain:
    """By half of its length, on its own scale, at either end."""
    if isinstance(domain, Uniform):
        half = (domain.high - domain.low) / 2
        low, high = domain.low - half, domain.high + half
    elif isinstance(domain, LogUniform):
        factor = math.sqrt(domain.high / domain.low)
        low, high = domain.low / factor, domain.high * factor
    elif isinstance(domain, OneMinusLogUniform):
        factor = math.sqrt((1 - domain.low) / (1 - domain.high))
        low, high = 1 - (1 - domain.low) * factor, 1 - (1 - domain.high) / factor
    else:
        return domain
    return type(domain)(_at_least(low, domain.low, rule), _at_most(high, domain.high, rule))


def _at_least(low: float, named: float, rule: Rule) -> float:
    """`low`, but legal: half of the way from `named` to a bound that is not legal itself."""
    low = max(low, rule.least)
    return _plain(low if low > rule.above else (named + rule.above) / 2)


def _at_most(high: float, named: float, rule: Rule) -> float:
    high = min(high, rule.most)
    return _plain(high if high < rule.below else (named + rule.below) / 2)


def _plain(x: float) -> float:
    """`x` to 12 digits, as people read it; what rounding left of 0 is 0."""
    return 0.0 if abs(x) < 1e-15 else float(f"{x:.12g}")
