"""Most sections of a spec: fields, defaults, legal values and what they mean. Names are binding."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field

from tuner.search.space import Choice, Int, LogInt, LogUniform, OneMinusLogUniform
from tuner.spec.hyperparameter import PerLayer, Rule, Tunable, possible
from tuner.spec.problems import shown
from tuner.spec.section import Section

_Fraction = Rule(least=0, below=1)
_Positive = Rule(above=0)
_FACTORS = ("exponential", "staircase")
# MLflow refuses / and : and what looks like a path, its own searches break on quotes, its URIs on the rest.
_MODEL_NAME = r"^[^\s./:@'\"#?%][^/:@'\"#?%\n]{0,254}$"


class Model(Section):
    """The network: hidden layers with batch norm, then a softmax."""

    hidden_layers: Annotated[Tunable, Rule(whole=True, least=0, most=32)] = Field(
        default=Int(0, 3), description="Number of hidden layers; 0 is plain softmax regression."
    )
    hidden_units: Annotated[Tunable | PerLayer, Rule(whole=True, least=1, most=65536, layered=True)] = Field(
        default=LogInt(32, 256),
        description="Width of all hidden layers, or {per_layer: DOMAIN or list}.",
    )
    activation: Annotated[Tunable, Rule(("relu", "tanh"))] = Field(default="relu", description="relu or tanh.")
    initial_weights: Annotated[Tunable, Rule(("he", "torch"))] = Field(
        default="he",
        description="Variance of the hidden layers' first weights: he, 2 / fan-in, which keeps the scale through ReLU; "
        "torch, 1 / (3 fan-in), the default of torch.nn.Linear. Under batch norm it sets the effective learning rate.",
    )
    batch_norm: Annotated[Tunable, Rule((True, False))] = Field(
        default=True, description="Batch norm before the activation; without it, layers have a bias."
    )
    bn_epsilon: Annotated[Tunable, _Positive] = Field(default=1e-8, description="Added to the variance in batch norm.")
    bn_decay: Annotated[Tunable, _Fraction] = Field(default=0.9, description="Decay of the averages that ewa keeps.")
    bn_statistics: Annotated[Tunable, Rule(("ewa", "second_pass"))] = Field(
        default="ewa",
        description="Mean and variance at test time: exponentially weighted averages, or exact ones from a second "
        "pass over the training rows.",
    )


class Decay(Section):
    """How the learning rate falls, epoch by epoch.

    inverse_time and sqrt divide by (a root of) 1 + rate * epoch; exponential and staircase multiply by rate.
    """

    schedule: Annotated[Tunable, Rule(("constant", "inverse_time", "exponential", "sqrt", "staircase"))] = Field(
        default="inverse_time", description="constant, inverse_time, exponential, sqrt or staircase."
    )
    rate: Annotated[Tunable, Rule(least=0)] = Field(
        default=LogUniform(1e-3, 1),
        description="inverse_time, sqrt: how fast it falls; exponential, staircase: what is kept.",
    )
    every: Annotated[Tunable, Rule(whole=True, least=1)] = Field(default=5, description="Epochs per step of staircase.")

    @classmethod
    def completed(cls, raw: dict[str, Any]) -> dict[str, Any]:
        schedule = raw.get("schedule")
        names = schedule.get("choice") if isinstance(schedule, dict) else [schedule]
        if raw.get("rate") is None and isinstance(names, list) and any(name in _FACTORS for name in names):
            raw["rate"] = OneMinusLogUniform(0.5, 0.99)
        return raw

    @property
    def multiplies(self) -> str | None:
        """A schedule among the possible ones that multiplies by the rate; None if there is none."""
        return next((str(name) for name in possible(self.schedule) if name in _FACTORS), None)

    def conflicts(self) -> Iterator[tuple[str, str]]:
        factor = self.multiplies
        wrong = [rate for rate in possible(self.rate) if not isinstance(rate, str) and not 0 < rate <= 1]
        if factor and wrong:
            yield "rate", f"must be above 0 and at most 1, because {factor} multiplies by it, got {shown(wrong[0])}"


class Train(Section):
    """How the network is trained."""

    optimizer: Annotated[Tunable, Rule(("sgd", "momentum", "rmsprop", "adam"))] = Field(
        default=Choice(("momentum", "adam")), description="sgd, momentum, rmsprop or adam."
    )
    learning_rate: Annotated[Tunable, _Positive] = Field(
        default=LogUniform(1e-4, 1), description="Step size; the most important hyperparameter."
    )
    momentum: Annotated[Tunable, _Fraction] = Field(
        default=OneMinusLogUniform(0.9, 0.999), description="Only where the optimizer is momentum."
    )
    beta1: Annotated[Tunable, _Fraction] = Field(default=0.9, description="Adam's average of gradients.")
    beta2: Annotated[Tunable, _Fraction] = Field(default=0.999, description="Adam's and RMSprop's average of squares.")
    epsilon: Annotated[Tunable, _Positive] = Field(default=1e-8, description="Adam's and RMSprop's guard against 0.")
    batch_size: Annotated[Tunable, Rule(whole=True, least=2, most=1 << 20)] = Field(
        default=Choice((64, 128, 256)), description="Rows per step."
    )
    weight_decay: Annotated[Tunable, Rule(least=0)] = Field(default=0.0, description="Decoupled; 0 is off.")
    epoch_rows: int | None = Field(
        default=None,
        ge=1,
        description="Rows of a virtual epoch: rungs shorter than a pass over large data.",
    )
    learning_rate_decay: Decay = Field(default_factory=Decay, description="How the learning rate falls.")

    def conflicts(self) -> Iterator[tuple[str, str]]:
        largest = max(int(size) for size in possible(self.batch_size))
        if self.epoch_rows is not None and self.epoch_rows < largest:
            text = f"must be at least the largest batch_size ({largest:,}), got {self.epoch_rows:,}"
            yield "epoch_rows", f"{text}: an epoch has whole batches only"


class Objective(Section):
    """What is best, and how sure to be of it."""

    metric: Literal["val_loss", "val_accuracy"] = Field(default="val_loss", description="What trials are compared by.")
    mode: Literal["min", "max"] | None = Field(default=None, description="min for val_loss, max for val_accuracy.")
    select: Literal["best", "last"] = Field(
        default="best", description="Keep the weights of the best evaluation, or those of the last."
    )
    confirm: int = Field(default=3, ge=0, description="Retrain this many of the best trials on fresh seeds; 0 is none.")
    seeds: int = Field(default=3, ge=1, description="Fresh seeds for each of them.")
    baseline: bool = Field(default=True, description="Also train plain softmax regression, the model to beat.")
    compare: str | None = Field(
        default=None,
        min_length=1,
        description="Also confirm the best trial of each value of this choice, such as batch_norm, and report what "
        "each is worth on the holdout, by which nothing is chosen.",
    )

    @classmethod
    def completed(cls, raw: dict[str, Any]) -> dict[str, Any]:
        if raw.get("mode") is None:
            raw["mode"] = "max" if raw.get("metric") == "val_accuracy" else "min"
        return raw

    def conflicts(self) -> Iterator[tuple[str, str]]:
        right = "max" if self.metric == "val_accuracy" else "min"
        if self.mode != right:
            yield "mode", f"must be {right} for {self.metric}, got {self.mode!r}: leave it out"


class Budget(Section):
    """When to stop starting more."""

    hours: float | None = Field(
        default=None,
        gt=0,
        le=1e6,
        allow_inf_nan=False,
        description="Wall-clock hours of the search, over all attempts; then the best so far are confirmed and "
        "refitted.",
    )


class Resources(Section):
    """What each worker needs."""

    cpus_per_worker: int = Field(default=1, ge=1, le=4096, description="CPU cores, which are also its threads.")
    gpus_per_worker: float = Field(
        default=0.0, ge=0, le=1024, allow_inf_nan=False, description="GPUs; a fraction shares one."
    )
    max_workers: int | None = Field(default=None, ge=1, description="At most this many; default: all that fit.")


with warnings.catch_warnings():
    # `register` is also a method that every abstract class has; nobody needs it on this one.
    warnings.filterwarnings("ignore", message='Field name "register"')

    class Tracking(Section):
        """Where results are written."""

        uri: str | None = Field(
            default=None,
            min_length=1,
            description="MLflow; default: MLFLOW_TRACKING_URI, else embedded.",
        )
        register: str | None = Field(
            default=None,
            pattern=_MODEL_NAME,
            description="Register the winner under this model name: at most 255 characters, not beginning with a space "
            "or '.', without any of / : @ ' \" # ? %.",
        )

        def conflicts(self) -> Iterator[tuple[str, str]]:
            if self.uri and not re.match(r"(https?|postgresql|mysql|mssql)[+\w]*://|databricks", self.uri):
                text = f"must be the address of a server, not {shown(self.uri)}: others may run this spec"
                yield "uri", f"{text}, and choose themselves what is written where: set MLFLOW_TRACKING_URI"
