"""Losses with a known optimum of 0 over a space like a network's, for tests of what samplers learn."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from statistics import median

from tuner.search.samplers import Sampler
from tuner.search.space import Axis, Choice, Int, LogInt, LogUniform, OneMinusLogUniform, OneOf, Space
from tuner.trial import Value

SPACE = Space(
    (
        Axis("learning_rate", LogUniform(1e-4, 1)),
        Axis("momentum", OneMinusLogUniform(0.9, 0.999), (OneOf("optimizer", ("momentum",)),)),
        Axis("hidden_units", LogInt(32, 256)),
        Axis("batch_size", Choice((64, 128, 256))),
        Axis("optimizer", Choice(("momentum", "adam"))),
        Axis("hidden_layers", Int(0, 3)),
        Axis("decay_rate", LogUniform(1e-3, 1)),
    )
)


def loss(params: Mapping[str, Value]) -> float:
    """A valley for each optimizer; adam's, at a learning rate of 0.02, is the deeper one."""
    number = {name: float(value) for name, value in params.items() if not isinstance(value, str)}
    adam = params["optimizer"] == "adam"
    found = 0.5 * math.log10(number["learning_rate"] / (0.02 if adam else 0.13)) ** 2
    found += 0.0 if adam else 0.03 + 0.1 * (math.log10(1 - number["momentum"]) + 1.5) ** 2
    found += 0.0125 * math.log2(number["hidden_units"] / 128) ** 2 + 0.03 * math.log2(number["batch_size"] / 64)
    return found + 0.05 * (number["hidden_layers"] - 2) ** 2 + 0.02 * math.log10(number["decay_rate"] / 0.01) ** 2


def lowest(sampler: Sampler, trials: int, late: int = 8, first: int = 0) -> float:
    """The lowest loss among `trials` trials, the `first` ones left out; `late` of them are always under way."""
    losses: list[float] = []
    for number in range(trials):
        draw = sampler.ask(number)
        assert draw is not None
        losses.append(loss(SPACE.decode(draw.point)))
        if number >= late:
            sampler.tell(number - late, 1, losses[number - late])
    return min(losses[first:])


def typical(make: Callable[[int], Sampler], trials: int, seeds: int) -> float:
    """The median over `seeds` of what is the lowest."""
    return median(lowest(make(seed), trials) for seed in range(seeds))
