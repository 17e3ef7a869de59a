"""How every section of a spec behaves: frozen, strict, closed, and checked across its fields."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from pydantic import (
    BaseModel,
    ConfigDict,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from tuner.spec.problems import ConflictError


class Section(BaseModel):
    """A part of the spec; left empty, it has its defaults.

    `alternatives` are fields of which one is given, `companions` those that only some alternative has beside it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True, serialize_by_alias=True)
    alternatives: ClassVar[tuple[str, ...]] = ()
    companions: ClassVar[tuple[str, ...]] = ()

    def conflicts(self) -> Iterator[tuple[str, str]]:
        """Pairs (key, text) for fields that are legal alone but not together."""
        given = [name for name in self.alternatives if getattr(self, name) is not None]
        if self.alternatives and len(given) != 1:
            yield "", f"takes exactly one of {', '.join(self.alternatives)}, got {' and '.join(given) or 'nothing'}"

    @classmethod
    def completed(cls, raw: dict[str, Any]) -> dict[str, Any]:
        """`raw` with the defaults that depend on other fields; called before validation."""
        return raw

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, raw: Any) -> Any:
        if raw is None:
            raw = {}
        return cls.completed(dict(raw)) if isinstance(raw, dict) else raw

    @model_validator(mode="after")
    def _agree(self) -> Section:
        found = list(self.conflicts())
        if found:
            raise ConflictError(found)
        return self

    @model_serializer(mode="wrap")
    def _without_unused_alternatives(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        data: dict[str, Any] = handler(self)
        optional = (*self.alternatives, *self.companions)
        return {key: value for key, value in data.items() if value is not None or key not in optional}
