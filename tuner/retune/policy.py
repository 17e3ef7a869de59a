"""The policy: the one YAML file that says when a model is tuned again, on what, and what may replace it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Literal

from pydantic import Field

from cluster import schedule
from tuner.spec.data import Sources, Split, Window
from tuner.spec.secrets import holds_secret
from tuner.spec.section import Section
from tuner.spec.times import Span, seconds

MODEL = r"^[^/:@'\"#?%.\s][^/:@'\"#?%]{0,199}$"


class Schedule(Section):
    """When a period begins."""

    cron: str = Field(
        default="0 3 1 * *", description="Five fields: minute, hour, day of month, month, day of week; UTC by default."
    )
    timezone: str = Field(default="UTC", description="An IANA name, such as Europe/Berlin.")

    def conflicts(self) -> Iterator[tuple[str, str]]:
        for name, cron, zone in (("cron", self.cron, "UTC"), ("timezone", "* * * * *", self.timezone)):
            try:
                schedule.check(cron, zone)
            except ValueError as error:
                yield name, str(error)


class Check(Section):
    """What fresh data must be like; what is not holds the period, and nothing is trained."""

    min_rows: int = Field(default=100, ge=1, description="Rows of training, validation and holdout together.")
    max_age: Span | None = Field(
        default=None, description="The newest row is no older than this at the period's beginning. Needs data.time."
    )
    max_missing: float = Field(
        default=0.2,
        ge=0,
        le=1,
        description="A column may lack this much more of its values than in the champion's data.",
    )
    labels: Literal["same", "known", "any"] = Field(
        default="same",
        description="same: exactly the champion's classes; known: no new ones; any: the gate decides.",
    )


class DriftRule(Section):
    """What is made of the drift score. It informs; only the gate promotes."""

    tune: Literal["always", "on_drift"] = Field(
        default="always",
        description="on_drift: a period without drift is skipped unless the champion has become worse.",
    )
    alpha: float = Field(default=0.05, gt=0, lt=1, description="False alarms: this share of periods without any drift.")
    max_loss_increase: float = Field(
        default=0.05,
        ge=0,
        allow_inf_nan=False,
        description="With on_drift: tune also if the champion's loss on fresh rows exceeds the one it was promoted "
        "with by more than this.",
    )


class First(Section):
    """What the first model must reach; there is nothing to compare it with but the class prior."""

    max_loss: float | None = Field(default=None, gt=0, allow_inf_nan=False, description="Its loss on the holdout.")
    min_accuracy: float | None = Field(default=None, ge=0, le=1, description="Its accuracy on the holdout.")


class GateRule(Section):
    """What a challenger must prove on the holdout."""

    min_delta: float = Field(
        default=0.005, ge=0, allow_inf_nan=False, description="By how much, in nats, it must beat the champion's loss."
    )
    confidence: float = Field(default=0.95, gt=0.5, lt=1, description="How sure of it the gate must be.")
    tolerance: float = Field(
        default=0.1, ge=0, allow_inf_nan=False, description="How much worse, in nats, a slice of a column may become."
    )
    class_tolerance: float = Field(
        default=1.0,
        ge=0,
        allow_inf_nan=False,
        description="How much worse, in nats, a class may become: one that is rarer now is rightly given less.",
    )
    min_slice_rows: int = Field(default=50, ge=1, description="Smaller slices are told, not judged.")
    slices: Sources | None = Field(
        default=None, description="Columns that the spec reads; their values are slices, beside the classes."
    )
    block: Span | None = Field(
        default=None, description="Rows of one span are alike, and are resampled together; default: 1 day by data.time."
    )
    resamples: int = Field(default=2000, ge=200, le=10_000, description="Of the paired bootstrap.")
    first: First = Field(default_factory=First, description="For the first model.")


class WarmStart(Section):
    """What a period takes from those before it."""

    share: float = Field(default=0.5, ge=0, le=1, description="Trials drawn around the best known configurations.")
    width: float = Field(default=0.15, gt=0, le=0.5, description="Half a box, in the unit interval of every axis.")
    past: int = Field(default=2, ge=0, le=100, description="Winners of this many past periods, beside the champion's.")


class Run(Section):
    """Where the sweeps run."""

    address: str | None = Field(default=None, description="The dashboard of a cluster; default: on this machine.")
    storage: str | None = Field(default=None, description="Where that cluster keeps its sweeps; default: the head's.")


class Policy(Section):
    """A model that is tuned again and again. All but model and spec may be left out."""

    model: str = Field(
        pattern=MODEL, description="The registered model: at most 200 characters, none of / : @ ' \" # ? %."
    )
    spec: str = Field(min_length=1, description="The sweep's spec; a relative path begins at this file.")
    schedule: Schedule = Field(default_factory=Schedule, description="When a period begins.")
    window: Window | None = Field(default=None, description="Instead of the spec's data.window.")
    holdout: Split | None = Field(default=None, description="Instead of the spec's data.holdout.")
    check: Check = Field(default_factory=Check, description="What fresh data must be like.")
    drift: DriftRule = Field(default_factory=DriftRule, description="What is made of drift.")
    gate: GateRule = Field(default_factory=GateRule, description="What a challenger must prove.")
    warm_start: WarmStart | None = Field(default_factory=WarmStart, description="null: every period starts cold.")
    approval: Literal["auto", "manual"] = Field(
        default="auto", description="manual: `retune promote` has the last word."
    )
    notify: Sources | None = Field(
        default=None,
        description="Addresses as Apprise writes them (mailto://, slack://, json://), secrets as ${NAME}.",
    )
    run: Run = Field(default_factory=Run, description="Where the sweeps run.")

    def conflicts(self) -> Iterator[tuple[str, str]]:
        if self.run.address and not self.run.storage:
            told = "is needed with run.address: a URI, or a folder that the cluster shares with this machine"
            yield "run.storage", told
        if holds_secret(self.run.storage or ""):
            yield "run.storage", "holds a password: set it in the cluster's environment"


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a policy, for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Policy.model_json_schema()}


def span(text: str) -> timedelta:
    """A span such as "14 days"."""
    return timedelta(seconds=seconds(text))


def slug(model: str) -> str:
    """The model's name as a part of ids and paths; no two models share one."""
    plain = re.sub(r"[^A-Za-z0-9-]+", "-", model).strip("-")[:32]
    return plain if plain == model else f"{plain or 'model'}-{hashlib.sha256(model.encode()).hexdigest()[:8]}"
