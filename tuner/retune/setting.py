"""What every step of a period is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from tuner.engine.place import Place
from tuner.engine.storage import Storage
from tuner.engine.tracking.champions import Champions
from tuner.retune.periods import Claim, Periods
from tuner.retune.policy import Policy, slug
from tuner.retune.states import Period, State
from tuner.spec import Spec


class Runner(Protocol):
    """Runs a sweep to its end, or goes on with it, wherever the policy wants it to run."""

    def __call__(self, spec: Spec, sweep_id: str, /) -> None:
        """Returns when the sweep has ended. DataError where its data cannot be used, OSError where it cannot be run."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One driver's hold on a model, and the systems around it."""

    policy: Policy
    spec: Spec
    place: Place
    periods: Periods
    champions: Champions
    run: Runner
    clock: Callable[[], datetime]
    claim: Claim
    tell: Callable[[str], None] = lambda _: None

    def folder(self, period: str) -> Storage:
        """Where a period's raw rows lie."""
        return self.place.storage.child(f"retune/{slug(self.policy.model)}/{period.replace(':', '')}")


@dataclass(frozen=True, slots=True)
class Step:
    """The state that follows, why, and what the steps after it need."""

    state: State
    reason: str
    data: Mapping[str, Any] = field(default_factory=dict)


def champion_of(period: Period) -> Mapping[str, Any] | None:
    """The champion when the period began: version, params (None if unknown), period (None if not tuned by one)."""
    found: Mapping[str, Any] | None = period.data.get("champion")
    return found
