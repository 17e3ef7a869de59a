"""One slot's hyperparameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

Value = float | int | str | bool

BUCKET = 32  # two AVX-512 vectors of float32: no kernel has a remainder, so no slot sees its neighbours
CLASS_BUCKET = 16  # one is enough for the output layer, which batch norm never sees

_CONVERT = {"bool": bool, "int": int, "float": float, "str": str}
CHOICES = {
    "activation": ("relu", "tanh"),
    "initial_weights": ("he", "torch"),
    "bn_statistics": ("ewa", "second_pass"),
    "optimizer": ("sgd", "momentum", "rmsprop", "adam"),
    "decay": ("constant", "inverse_time", "exponential", "sqrt", "staircase"),
}


@dataclass(frozen=True)
class Config:
    """One slot's hyperparameters, flat. `widths` are the true hidden widths; () is plain softmax regression."""

    seed: int
    widths: tuple[int, ...] = ()
    batch_norm: bool = True
    bn_epsilon: float = 1e-8
    bn_decay: float = 0.9
    bn_statistics: str = "ewa"
    activation: str = "relu"
    initial_weights: str = "he"
    optimizer: str = "momentum"
    learning_rate: float = 0.1
    momentum: float = 0.9
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    batch_size: int = 128
    weight_decay: float = 0.0
    decay: str = "constant"
    decay_rate: float = 0.0
    decay_every: int = 1
    decay_start: int = 0  # the 0-based epoch that decay counts from: that of the last change of the learning rate

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} must be one of {', '.join(choices)}, not {getattr(self, name)!r}")
        for name in ("bn_epsilon", "epsilon"):  # a padded unit has variance and gradient 0: 0 / 0 without it
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, not {getattr(self, name)!r}")
        if self.normalised and self.batch_size < 2:
            raise ValueError("batch_norm needs a batch_size of 2 or more: one row has no variance")

    @property
    def normalised(self) -> bool:
        """Whether there is anything to normalise: batch norm acts on hidden layers only."""
        return self.batch_norm and bool(self.widths)

    @classmethod
    def of(cls, params: Mapping[str, Value], seed: int) -> Config:
        """The configuration a trial's active parameters name; what they leave out has the default above."""
        rest = dict(params)
        layers = int(rest.pop("hidden_layers", 0))
        one = rest.pop("hidden_units", None)
        each = [rest.pop(f"hidden_units_{layer + 1}", one) for layer in range(layers)]
        if any(width is None for width in each):
            raise ValueError(f"{layers} hidden layers need hidden_units, or hidden_units_1 to hidden_units_{layers}")
        known = {field.name: field.type for field in fields(cls) if field.name not in ("seed", "widths")}
        if unknown := sorted(set(rest) - set(known)):
            raise ValueError(f"unknown hyperparameter {unknown[0]!r}; known are {', '.join(known)}")
        values: dict[str, Any] = {name: _CONVERT[str(known[name])](value) for name, value in rest.items()}
        return cls(seed=seed, widths=tuple(int(width) for width in each if width is not None), **values)

    def shape(self) -> tuple[object, ...]:
        """What slots trained together must share; every other hyperparameter may differ from slot to slot."""
        normalisation = (self.bn_epsilon, self.bn_decay, self.bn_statistics) if self.normalised else ()
        activation = self.activation if self.widths else ""
        return tuple(map(padded, self.widths)), normalisation, activation, self.optimizer, self.batch_size


def padded(width: int, bucket: int = BUCKET) -> int:
    """`width` rounded up to the next multiple of the bucket; depends on nothing else."""
    return -(-width // bucket) * bucket
