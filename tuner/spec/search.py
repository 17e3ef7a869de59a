"""The search section: how trials are drawn, and from which configurations the search starts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from tuner.spec.axes import CONDITIONS, rule_of
from tuner.spec.names import NAME, NAME_RULE
from tuner.spec.problems import ConflictError, nearest, shown
from tuner.spec.section import Section
from tuner.trial import Value


def _configuration(raw: object) -> dict[str, Value]:
    """A configuration by plain values, each legal for its hyperparameter (though perhaps outside its axis here)."""
    if not isinstance(raw, Mapping) or not raw:
        raise ValueError(f"must be a mapping of hyperparameter to value, such as {_EXAMPLE}, got {shown(raw)}")
    problems, values = list(_unknown(raw)), {}
    for name, value in raw.items():
        rule = rule_of(str(name))
        try:
            if rule and not isinstance(value, Value):
                raise ValueError(f"must be {rule.words()}, got {shown(value)}")
            values[str(name)] = rule.read(value) if rule else value
        except ValueError as error:
            problems.append((str(name), str(error)))
    if problems:
        raise ConflictError(problems)
    return values  # type: ignore[return-value]  # plain values are read as such


def _configurations(raw: object) -> object:
    if not isinstance(raw, list | tuple | None):
        raise ValueError(f"must be a list of configurations, such as [{_EXAMPLE}], got {shown(raw)}")
    return tuple(raw) if raw else None


def _sweeps(raw: object) -> object:
    """The names of sweeps: ids, or paths or URIs of their folders; one may stand without a list."""
    names = [raw] if isinstance(raw, str) else ([] if raw is None else raw)
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"must be a list of sweeps, such as [flights-20130401-0330-1a2b], got {shown(raw)}")
    for name in names:
        if "/" not in name and not re.fullmatch(NAME, name):
            raise ValueError(f"{shown(name)} is neither a sweep's id ({NAME_RULE}) nor the path or URI of one")
        if names.count(name) > 1:
            raise ValueError(f"{name} is given twice: keep one")
    return tuple(names) if names else None


def _half_widths(raw: object) -> object:
    if not isinstance(raw, Mapping):
        raise ValueError(f"must be a mapping of hyperparameter to half-width, such as {_WIDTHS}, got {shown(raw)}")
    problems = list(_unknown(raw))
    if problems:
        raise ConflictError(problems)
    return dict(raw)


def _unknown(names: Iterable[object]) -> Iterator[tuple[str, str]]:
    for name in map(str, names):
        if rule_of(name) is None:
            hint = nearest(name, CONDITIONS) or f"; there are {', '.join(CONDITIONS)}"
            yield name, f"unknown hyperparameter{hint}"


_OF_COARSE_TO_FINE = {"rounds": 6, "outside": 0.2, "expand": False}
_EXAMPLE = "{learning_rate: 0.01}"
_WIDTHS = "{learning_rate: 0.4}"
Configuration = Annotated[dict[str, Value], BeforeValidator(_configuration)]
Configurations = Annotated[tuple[Configuration, ...] | None, BeforeValidator(_configurations)]
_ONE_OR_MANY = {"anyOf": [{"type": "null"}, {"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
Sweeps = Annotated[tuple[str, ...] | None, BeforeValidator(_sweeps), WithJsonSchema(_ONE_OR_MANY)]
HalfWidth = Annotated[float, Field(gt=0, le=0.5)]
HalfWidths = Annotated[dict[str, HalfWidth], BeforeValidator(_half_widths)]


class Focus(Section):
    """A share of the trials is drawn in boxes around what is tried first; an axis has length 1 on its own scale."""

    share: float = Field(default=0.5, ge=0, le=1, description="This part of the trials that follow the start.")
    width: float = Field(
        default=0.2,
        gt=0,
        le=0.5,
        description="Half-width of a box; a choice leaves its value with this probability. 0.5 is the whole axis.",
    )
    widths: HalfWidths = Field(
        default_factory=dict, description="Half-widths along single axes, such as {learning_rate: 0.4}."
    )


class Search(Section):
    """What is tried, and in which order."""

    companions = tuple(_OF_COARSE_TO_FINE)
    sampler: Literal["random", "grid", "sobol", "coarse_to_fine", "tpe"] = Field(
        default="sobol",  # by what `benchmarks regret` measures: at least as good as random draws, and as free
        description="How trials are drawn: independently, all combinations, evenly, in ever smaller boxes around the "
        "good ones, or where good ones are dense (tpe, which needs Optuna).",
    )
    trials: int = Field(default=64, ge=1, le=1_000_000, description="At most this many trials.")
    seed: int = Field(default=0, ge=0, lt=2**63, description="Equal seeds draw equal trials.")
    points: int | None = Field(
        default=None, ge=2, le=1_000_000, description="Grid only: points per axis; default: what `trials` has room for."
    )
    rounds: int | None = Field(
        default=None,
        ge=1,
        le=1000,
        description="Coarse to fine only: after each of so many rounds, the next box is drawn; default: 6.",
    )
    outside: float | None = Field(
        default=None,
        ge=0,
        lt=1,
        description="Coarse to fine only: this part of a round is drawn outside of its box; default: 0.2.",
    )
    expand: bool | None = Field(
        default=None,
        description="Coarse to fine only: boxes may grow beyond the bounds of uniform, log_uniform and "
        "one_minus_log_uniform, by half of the axis at either end, where the best trial lies at the edge; "
        "default: false.",
    )
    start: Configurations = Field(
        default=None,
        description="Configurations that are tried first, in this order, such as the best of earlier searches: a list "
        "of mappings of hyperparameter to plain value. What is left out stands in the middle of its axis, what lies "
        "outside its axis at the nearest end; what is not searched is ignored.",
    )
    earlier: Sweeps = Field(
        default=None,
        alias="from",
        description="Sweeps to learn from: ids, or paths or URIs of their folders. Samplers that learn are told the "
        "losses of those on the same data; of the others, and for samplers that do not learn, the best configurations "
        "are tried first, after `start`. Trials that are no configurations of this space are left out.",
    )
    focus: Focus | None = Field(
        default=None,
        description="How much of the search is drawn around `start` and the best of `from`, and how near; the rest "
        "anywhere. Default: half, or nothing if the sampler is told what these are worth.",
    )

    @classmethod
    def completed(cls, raw: dict[str, Any]) -> dict[str, Any]:
        if raw.get("start") and raw.get("focus") is None:
            raw["focus"] = {}
        if raw.get("sampler") == "coarse_to_fine":
            raw |= {name: default for name, default in _OF_COARSE_TO_FINE.items() if raw.get(name) is None}
        return raw

    def conflicts(self) -> Iterator[tuple[str, str]]:
        if self.points is not None and self.sampler != "grid":
            yield "points", f"is for sampler: grid, but the sampler is {self.sampler}: leave one of them out"
        for name in self.companions if self.sampler != "coarse_to_fine" else ():
            if getattr(self, name) is not None:
                text = f"is for sampler: coarse_to_fine, but the sampler is {self.sampler}: leave one of them out"
                yield name, text
        if self.focus is not None and not self.start and not self.earlier:
            yield "focus", "draws around search.start, which has no configuration: give some there, or leave focus out"
