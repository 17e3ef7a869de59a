"""What a search takes over from earlier ones: configurations to begin with, and results to learn from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite, nan
from typing import Any

from tuner.trial import Value


@dataclass(frozen=True, slots=True)
class Lesson:
    """A trial of another search: its `name`, its active hyperparameters, and its `losses` by epochs (NaN: diverged).

    The losses are those that this search's own may be compared with: none where the two mean different things.
    """

    name: str
    params: Mapping[str, Value]
    losses: Mapping[int, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As plain data; JSON has no NaN."""
        losses = [[epochs, loss if isfinite(loss) else None] for epochs, loss in self.losses.items()]
        return {"name": self.name, "params": dict(self.params), "losses": losses}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Lesson:
        losses = {epochs: nan if loss is None else loss for epochs, loss in value["losses"]}
        return cls(value["name"], value["params"], losses)


@dataclass(frozen=True, slots=True)
class Lessons:
    """`starts` are tried first, in this order; `told` are results that the sampler knows before its first draw."""

    starts: tuple[Lesson, ...] = ()
    told: tuple[Lesson, ...] = ()

    @property
    def suffice(self) -> bool:
        """Whether the sampler knows the losses of all that it starts from, so that it needs no boxes around them."""
        names = {lesson.name for lesson in self.told}
        return bool(self.told) and all(start.name in names for start in self.starts)
