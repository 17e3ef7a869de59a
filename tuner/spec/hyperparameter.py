"""What a hyperparameter may be in a spec: a plain value, which is fixed, or a domain, which is searched."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from pydantic_core import core_schema

from tuner.search.space import (
    DOMAINS,
    LISTED,
    Choice,
    Domain,
    DomainError,
    Grid,
    LogUniform,
    OneMinusLogUniform,
    Uniform,
    domain_of,
    written,
)
from tuner.spec.problems import nearest, shown
from tuner.trial import Value

Tunable = Value | Domain
_FRACTIONAL = (Uniform, LogUniform, OneMinusLogUniform)


@dataclass(frozen=True, slots=True)
class PerLayer:
    """Widths layer by layer: one domain for every layer, or one entry for each."""

    layers: Domain | tuple[Tunable, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """The legal values of one hyperparameter; an annotation that teaches pydantic to read and check them.

    Either `options`, or numbers (`whole` ones) with bounds. `layered`: may be given per layer.
    """

    options: tuple[str | bool, ...] = ()
    whole: bool = False
    least: float = -math.inf
    above: float = -math.inf
    most: float = math.inf
    below: float = math.inf
    layered: bool = False

    def read(self, raw: object) -> Tunable | PerLayer:
        """The value or domain in `raw` (plain data, or a domain). Raises ValueError with a full sentence."""
        if isinstance(raw, PerLayer):
            raw = {"per_layer": raw.layers}
        if isinstance(raw, Mapping) and self.layered and set(raw) == {"per_layer"}:
            return self._per_layer(raw["per_layer"])
        if isinstance(raw, Mapping):
            raw = _domain(raw, ("per_layer",) if self.layered else ())
        if is_domain(raw):
            return self._checked(raw)
        return self._single(raw)

    def words(self) -> str:
        """The rule as a phrase that follows "must be"."""
        if self.options:
            names = [_plain(option) for option in self.options]
            return f"one of {', '.join(names)}" if len(names) > 2 else " or ".join(names)
        bounds = {"of at least": self.least, "above": self.above, "and at most": self.most, "and below": self.below}
        kind = "a whole number" if self.whole else "a number"
        return " ".join([kind, *(f"{word} {bound:.15g}" for word, bound in bounds.items() if math.isfinite(bound))])

    def _single(self, raw: object) -> Value:
        if self.options:
            legal = isinstance(raw, str | bool) and raw in self.options
            hint = nearest(raw, map(_plain, self.options)) if isinstance(raw, str) else ""
        else:
            legal, hint = self._is_number(raw), ""
        if not legal:
            raise ValueError(f"must be {self.words()}, got {shown(raw)}{hint}")
        return raw if self.options or self.whole else float(raw)  # type: ignore[arg-type, return-value]

    def _is_number(self, raw: object) -> bool:
        if isinstance(raw, bool) or not isinstance(raw, int if self.whole else int | float):
            return False
        return abs(raw) <= 1e100 and self.least <= raw <= self.most and self.above < raw < self.below

    def _checked(self, domain: Domain) -> Domain:
        text = shown(written(domain))
        if isinstance(domain, Choice | Grid):
            values = tuple(self._of_domain(value, text) for value in domain.grid(1))
            return Choice(values) if isinstance(domain, Choice) else Grid(values)  # type: ignore[arg-type]
        if self.options:
            raise ValueError(f"must be {self.words()}; {text} draws numbers: use choice")
        if self.whole and isinstance(domain, _FRACTIONAL):
            raise ValueError(f"must be {self.words()}; {text} draws fractions: use int or log_int")
        for end in domain.grid(2):
            self._of_domain(end, text)
        return domain

    def _of_domain(self, value: Value, text: str) -> Value:
        try:
            return self._single(value)
        except ValueError:
            raise ValueError(f"must be {self.words()}, but {text} includes {shown(value)}") from None

    def _per_layer(self, raw: object) -> PerLayer:
        if isinstance(raw, list | tuple) and raw:
            entries = [self.read(entry) for entry in raw]
            return PerLayer(tuple(entry for entry in entries if not isinstance(entry, PerLayer)))
        if isinstance(raw, Mapping) or is_domain(raw):
            entry = self.read(raw)
            if is_domain(entry):
                return PerLayer(entry)
        raise ValueError(f"per_layer takes a domain, or a list with one entry per layer, got {shown(raw)}")

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        serialize = core_schema.plain_serializer_function_ser_schema(plain)
        return core_schema.no_info_plain_validator_function(self.read, serialization=serialize)

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        return self.json_schema()

    def json_schema(self) -> dict[str, Any]:
        """The JSON Schema of what `read` accepts, for editors."""
        single: dict[str, Any] = {"type": "integer" if self.whole else "number"}
        names = {"least": "minimum", "above": "exclusiveMinimum", "most": "maximum", "below": "exclusiveMaximum"}
        single |= {key: getattr(self, name) for name, key in names.items() if math.isfinite(getattr(self, name))}
        if self.options:
            single = {"enum": list(self.options)}
        kinds = [kind for kind, cls in DOMAINS.items() if not (self.whole and cls in _FRACTIONAL)]
        searched = [_domain_schema(kind, single) for kind in (["choice"] if self.options else kinds)]
        if not self.layered:
            return {"anyOf": [single, *searched]}
        entries = {"type": "array", "items": {"anyOf": [single, *searched]}, "minItems": 1}
        return {"anyOf": [single, *searched, _one_key("per_layer", {"anyOf": [*searched, entries]})]}


def plain(value: object) -> object:
    """A value, domain or per-layer width as it is written in a spec."""
    if isinstance(value, PerLayer):
        layers = value.layers
        return {"per_layer": [plain(entry) for entry in layers] if isinstance(layers, tuple) else plain(layers)}
    return written(value) if is_domain(value) else value


def possible(value: Tunable) -> list[Value]:
    """The value; or the values of a choice, or the two ends of an interval."""
    return [value] if isinstance(value, Value) else value.grid(2)


def is_domain(value: object) -> TypeGuard[Domain]:
    """Whether `value` is searched."""
    return isinstance(value, tuple(DOMAINS.values()))


def _domain(raw: Mapping[str, object], extra: tuple[str, ...]) -> Domain:
    names = (*DOMAINS, *extra)
    if len(raw) != 1:
        raise ValueError(f"a domain has exactly one key, one of {', '.join(names)}; got {shown(dict(raw))}")
    (kind, argument), *_ = raw.items()
    if kind not in DOMAINS:
        hint = nearest(str(kind), names) or f"; there are {', '.join(names)}"
        raise ValueError(f"unknown domain {shown(kind)}{hint}")
    try:
        return domain_of(kind, argument)
    except DomainError as error:
        raise ValueError(str(error)) from None


def _plain(option: str | bool) -> str:
    return str(option).lower() if isinstance(option, bool) else option


def _domain_schema(kind: str, single: dict[str, Any]) -> dict[str, Any]:
    if kind in LISTED:
        return _one_key(kind, {"type": "array", "items": single, "minItems": 1})
    ends = {"type": "array", "items": {"type": single["type"]}, "minItems": 2, "maxItems": 2}
    return _one_key(kind, ends)


def _one_key(key: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": {key: schema}, "required": [key], "additionalProperties": False}
