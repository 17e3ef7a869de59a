"""From the model and train sections to the space of the search: names, importance, and what depends on what."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from tuner.search.space import AtLeast, Axis, Condition, OneOf, Space
from tuner.spec.hyperparameter import PerLayer, Rule, Tunable, possible
from tuner.spec.schema import Decay, Model, Train
from tuner.trial import Value

_LAYERED: Condition = (AtLeast("hidden_layers", 1),)
_NORMED: Condition = (OneOf("batch_norm", (True,)),)
_ADAPTIVE: Condition = (OneOf("optimizer", ("rmsprop", "adam")),)
_OF_DECAY = MappingProxyType({"decay": "schedule", "decay_rate": "rate", "decay_every": "every"})

# Every hyperparameter by falling importance, and when it is active.
CONDITIONS: Mapping[str, Condition] = MappingProxyType(
    {
        "learning_rate": (),
        "momentum": (OneOf("optimizer", ("momentum",)),),
        "hidden_units": _LAYERED,
        "batch_size": (),
        "optimizer": (),
        "hidden_layers": (),
        "decay": (),
        "decay_rate": (OneOf("decay", ("inverse_time", "exponential", "sqrt", "staircase")),),
        "decay_every": (OneOf("decay", ("staircase",)),),
        "weight_decay": (),
        "activation": _LAYERED,
        "initial_weights": _LAYERED,
        "batch_norm": _LAYERED,
        "beta1": (OneOf("optimizer", ("adam",)),),
        "beta2": _ADAPTIVE,
        "epsilon": _ADAPTIVE,
        "bn_decay": _NORMED,
        "bn_epsilon": _NORMED,
        "bn_statistics": _NORMED,
    }
)


def space_of(model: Model, train: Train) -> Space:
    """The space that two sections describe, without hyperparameters that can never be active."""
    return whole_space(model, train).pruned()


def whole_space(model: Model, train: Train) -> Space:
    """Every hyperparameter: axes by importance, fixed values, and the conditions of both."""
    axes: list[Axis] = []
    fixed: dict[str, Value] = {}
    conditions: dict[str, Condition] = {}
    for name, value, condition in _hyperparameters(model, train):
        if isinstance(value, Value):
            fixed[name] = value
            conditions[name] = condition
        else:
            axes.append(Axis(name, value, condition))
    return Space(tuple(axes), fixed, conditions)


def rule_of(name: str) -> Rule | None:
    """What the hyperparameter `name` of a trial may be (hidden_units_2: of the second layer); None: there is none."""
    known = re.sub(r"(?<=^hidden_units)_[1-9]\d*$", "", name)
    if known not in CONDITIONS:
        return None
    section = next((section for section in (Model, Train) if known in section.model_fields), Decay)
    field = section.model_fields[_OF_DECAY.get(known, known)]
    return next(rule for rule in field.metadata if isinstance(rule, Rule))


def deepest(layers: Tunable) -> int:
    """The largest number of hidden layers that `layers` allows."""
    return max(int(value) for value in possible(layers))


def _hyperparameters(model: Model, train: Train) -> Iterator[tuple[str, Tunable, Condition]]:
    given = {name: getattr(model, name) for name in Model.model_fields}
    given |= {name: getattr(train, name) for name in Train.model_fields if name in CONDITIONS}
    given |= {name: getattr(train.learning_rate_decay, field) for name, field in _OF_DECAY.items()}
    for name, condition in CONDITIONS.items():
        value = given[name]
        if isinstance(value, PerLayer):
            yield from _layers(name, value, deepest(model.hidden_layers))
        else:
            yield name, value, condition


def _layers(name: str, widths: PerLayer, depth: int) -> Iterator[tuple[str, Tunable, Condition]]:
    entries = widths.layers if isinstance(widths.layers, tuple) else (widths.layers,) * depth
    for layer, entry in enumerate(entries[:depth], start=1):
        yield f"{name}_{layer}", entry, (AtLeast("hidden_layers", layer),)
