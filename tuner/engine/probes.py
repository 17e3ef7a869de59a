"""Which trials are timed for a plan: the cheapest and the dearest that the space holds, and some between them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from models.config import Config
from tuner.engine.packing import CostModel
from tuner.search.samplers import Sampler
from tuner.search.space import Axis, Space
from tuner.trial import Trial, Value

SIZES = ("hidden_layers", "hidden_units", "batch_size")
BETWEEN = 6
LOOKED_AT = 256  # of the sweep's own draws


def probes(space: Space, sampler: Sampler, cost: CostModel, trials: int) -> list[Mapping[str, Value]]:
    """Hyperparameters of different shapes, the cheapest first: the ends of the space, and quantiles of the draws.

    `sampler` has drawn nothing yet, and draws no more than `trials`; one that learns is asked without any result.
    """
    cheapest, dearest = _end(space, dear=False), _end(space, dear=True)
    drawn = sorted(_draws(space, sampler, trials), key=lambda params: _seconds(cost, params))
    between = [drawn[len(drawn) * (2 * at + 1) // (2 * BETWEEN)] for at in range(BETWEEN)] if drawn else []
    shapes = {Config.of(params, 0).shape(): params for params in (*between, cheapest, dearest)}
    return sorted(shapes.values(), key=lambda params: _seconds(cost, params))


def _end(space: Space, dear: bool) -> Mapping[str, Value]:
    """The dearest, or the cheapest, that the space holds: many wide layers in small batches, or the contrary.

    What is no size is in the middle: the cost model knows sizes alone.
    """
    return space.decode([_place(axis, dear) for axis in space.axes])


def _place(axis: Axis, dear: bool) -> float:
    """The point of [0, 1] where the axis has its largest (or smallest) size."""
    if not axis.name.startswith(SIZES):
        return 0.5
    sizes = [value for value in axis.domain.grid(2) if not isinstance(value, str)]
    return axis.domain.to_unit(max(sizes) if dear != (axis.name == "batch_size") else min(sizes))


def _draws(space: Space, sampler: Sampler, trials: int) -> Iterator[Mapping[str, Value]]:
    for number in range(min(trials, LOOKED_AT)):
        draw = sampler.ask(number)
        if draw is None:
            return
        yield space.decode(draw.point)


def _seconds(cost: CostModel, params: Mapping[str, Value]) -> float:
    return cost.seconds(Trial(repr(sorted(params.items())), 0, 0, params), 1)


def middle(found: Sequence[Mapping[str, Value]]) -> Mapping[str, Value]:
    """The trial in the middle of `found`, which are ordered by cost."""
    return found[len(found) // 2]
