"""Made-up learning curves over a network's hyperparameters, with a known best loss of 0, the same at no two seeds.

After its last epoch a configuration's loss is f = sum of weight * (distance to the optimum)^2 over the axes, which lie
on the unit interval; the two optimizers have their valleys at different learning rates. On the way there it is

    loss(epoch) = f + height * (epoch^-speed - last^-speed) / (1 - last^-speed),

so that it begins at f + height. The surfaces differ in how much the first epochs say about the last:

faithful    all begin equally high and learn equally fast: the order after the first epoch is the final one.
misleading  small learning rates, where the optimum lies, begin highest, by up to 4 nats: after one epoch the best seem
            to lie a quarter of the axis too high, after three epochs 0.08.
noisy       each trial, by its seed, has its own height and speed and ends up to some hundredths above f: curves cross
            by chance, and who leads after one epoch may be anyone of the better ones.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from benchmarks.simulated import Evaluated
from tuner.search.space import Choice, Space
from tuner.trial import Trial, Value, seed_of

KINDS = ("faithful", "misleading", "noisy")
WEIGHTS: Mapping[str, float] = MappingProxyType(
    {
        "learning_rate": 8.0,
        "momentum": 1.0,
        "hidden_units": 0.5,
        "batch_size": 0.1,
        "optimizer": 0.1,
        "hidden_layers": 0.5,
        "decay_rate": 0.3,
    }
)


class Surface:
    """The surface of `kind` for searches with `seed`, which says where its optimum lies."""

    def __init__(self, kind: str, space: Space, seed: int, last: int) -> None:
        generator = np.random.Generator(np.random.Philox(seed_of(seed, "surface")))
        self._kind, self._space, self._last = kind, space, last
        self.optimum = {  # where some configuration is
            axis.name: axis.domain.to_unit(axis.domain.from_unit(generator.random())) for axis in space.axes
        }
        if kind == "misleading":
            self.optimum["learning_rate"] = 0.1 + 0.4 * self.optimum["learning_rate"]

    def evaluations(self, trials: list[Trial], begin: int, end: int) -> dict[str, list[Evaluated]]:
        """See `Trainer.evaluations`; nothing diverges, and the holdout's loss is the same."""
        found = {}
        for trial in trials:
            curve = [self.loss(trial.params, trial.seed, epoch) for epoch in range(begin + 1, end + 1)]
            found[trial.id] = [Evaluated(loss, loss) for loss in curve]
        return found

    def loss(self, params: Mapping[str, Value], seed: int, epoch: int) -> float:
        """The loss of one configuration, trained with `seed`, after `epoch` epochs."""
        final, height, speed = self.final(params), 1.0, 1.0
        if self._kind == "misleading":
            height += 4.0 * (1 - self._place(params)["learning_rate"])
        if self._kind == "noisy":
            chance = np.random.Generator(np.random.Philox(seed_of(seed, "curve")))
            height, speed = math.exp(0.5 * chance.standard_normal()), chance.uniform(0.5, 1.5)
            final += 0.02 * abs(chance.standard_normal())
        ahead: float = (epoch**-speed - self._last**-speed) / (1 - self._last**-speed)
        return final + height * ahead

    def final(self, params: Mapping[str, Value]) -> float:
        """The loss after the last epoch, but for the noise."""
        place, total = self._place(params), 0.0
        for axis in self._space.axes:
            if axis.name not in params:
                continue
            apart = place[axis.name] - self.optimum[axis.name]
            if axis.name == "learning_rate" and params["optimizer"] != self._best_optimizer:
                apart = abs(apart) - 0.15
            total += WEIGHTS[axis.name] * (float(apart != 0) if isinstance(axis.domain, Choice) else apart**2)
        return total

    @property
    def _best_optimizer(self) -> Value:
        domain = next(axis.domain for axis in self._space.axes if axis.name == "optimizer")
        return domain.from_unit(self.optimum["optimizer"])

    def _place(self, params: Mapping[str, Value]) -> dict[str, float]:
        names = (axis.name for axis in self._space.axes)
        return dict(zip(names, self._space.encode(params), strict=True))
