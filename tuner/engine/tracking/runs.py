"""What one MLflow run should say, as plain values. Knows neither MLflow nor the journal."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tuner.trial import Trial

LONGEST = 5000  # characters of a tag or parameter; MLflow takes 8000 and 6000
SETTINGS = ("search", "stopping", "objective", "budget")  # the parts of a spec that sweeps are compared by


@dataclass(frozen=True, slots=True)
class Measure:
    """One value of a metric; `time` is in milliseconds since 1970.

    The time is that of the event, never that of sending, so MLflow knows a second sending for the same measure.
    """

    key: str
    value: float
    time: int
    step: int


@dataclass(slots=True)
class Run:
    """One run: all of its tags and parameters, and what of it is still to be sent.

    `status` is in MLflow's words; `begun` and `ended` are in seconds since 1970.
    """

    name: str
    begun: float
    tags: dict[str, str]
    params: dict[str, str]
    status: str = "RUNNING"
    ended: float | None = None
    measures: list[Measure] = field(default_factory=list)  # to be sent
    changed: set[str] = field(default_factory=set)  # keys of tags to be sent
    introduced: bool = False  # the parameters were sent

    def tag(self, tags: Mapping[str, str]) -> None:
        """Sets `tags`, cut to what MLflow takes; empty ones are left out."""
        for key, value in tags.items():
            if value and self.tags.get(key) != value[:LONGEST]:
                self.tags[key] = value[:LONGEST]
                self.changed.add(key)

    def measure(self, values: Mapping[str, float | None], time: float, step: int) -> None:
        """Adds one measure a key, taken at `time` (seconds since 1970); None is NaN."""
        self.measures += [
            Measure(key, math.nan if value is None else float(value), round(time * 1000), step)
            for key, value in values.items()
        ]

    def settle(self) -> None:
        """Notes that all was sent."""
        self.measures, self.changed, self.introduced = [], set(), True


def of_sweep(sweep: str, uid: str, begun: float, spec: Mapping[str, Any], snapshot: Mapping[str, Any]) -> Run:
    """The parent run of a sweep, which is found again by its tag caviar.uid: an id can be used for another sweep."""
    tags = {"caviar.sweep": sweep, "caviar.uid": uid, "caviar.state": "running"}
    tags["caviar.snapshot"] = str(snapshot.get("digest", ""))
    settings = {name: spec[name] for name in SETTINGS if name in spec}
    params = {name: str(value)[:LONGEST] for name, value in _flat("", settings) if value is not None}
    return Run(sweep, begun, tags, params)


def of_trial(sweep: str, uid: str, trial: Trial, begun: float) -> Run:
    """The child run of a trial. It is found again by its tags caviar.uid and caviar.trial."""
    run = Run(trial.id, begun, {"caviar.sweep": sweep, "caviar.uid": uid, "caviar.trial": trial.id}, {})
    run.tag({"caviar.stage": trial.stage.value, "caviar.origin": trial.origin, "caviar.source": trial.source or ""})
    run.params = {**{name: str(value) for name, value in trial.params.items()}, "seed": str(trial.seed)}
    return run


def _flat(prefix: str, values: Mapping[str, Any]) -> list[tuple[str, Any]]:
    flat: list[tuple[str, Any]] = []
    for key, value in values.items():
        flat += _flat(f"{prefix}{key}.", value) if isinstance(value, Mapping) else [(f"{prefix}{key}", value)]
    return flat
