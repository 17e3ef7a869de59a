"""The domains by the names they have in a spec."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from tuner.search.choices import Choice, Grid
from tuner.search.domain import Domain, DomainError
from tuner.search.integers import Int, LogInt
from tuner.search.reals import LogUniform, OneMinusLogUniform, Uniform
from tuner.trial import Value

DOMAINS: Mapping[str, type[Domain]] = MappingProxyType(
    {cls.kind: cls for cls in (Uniform, LogUniform, OneMinusLogUniform, Int, LogInt, Choice, Grid)}
)
LISTED = (Choice.kind, Grid.kind)
"""Domains written as a list of any length; all others take [low, high]."""


def domain_of(kind: str, argument: object) -> Domain:
    """The domain written `{kind: argument}`. Raises DomainError."""
    if kind not in DOMAINS:
        raise DomainError(f"unknown domain {kind!r}: use one of {', '.join(DOMAINS)}")
    if not isinstance(argument, Sequence) or isinstance(argument, str):
        raise DomainError(f"{kind} needs a list, got {argument!r}: write {kind}: [...]")
    if kind in LISTED:
        return DOMAINS[kind](tuple(argument))  # type: ignore[call-arg]
    if len(argument) != 2:
        raise DomainError(f"{kind} {list(argument)}: needs exactly two numbers: write {kind}: [low, high]")
    return DOMAINS[kind](*argument)


def written(domain: Domain) -> dict[str, list[Value]]:
    """`domain` as it is written in a spec; the inverse of `domain_of`."""
    return {domain.kind: domain.arguments()}
