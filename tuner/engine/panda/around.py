"""The neighbourhood of a hyperparameter configuration: what to try next to it, in the scale of each number. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tuner.engine.panda.settings import CHANGEABLE
from tuner.search import samplers
from tuner.search.space import Axis, Choice, Domain, LogInt, LogUniform, OneMinusLogUniform, Space
from tuner.trial import Value

USUAL = ("learning_rate", "momentum", "beta1", "weight_decay")  # what is varied if nothing is named
_FACTORS = ("exponential", "staircase")


def draws(
    params: Mapping[str, Value], names: Sequence[str], *, trials: int, width: float, rows: int, seed: int
) -> list[dict[str, Value]]:
    """The first changes nothing; each of the others sets all of `names` (none: the usual ones).

    They are spread evenly over a factor of `width` below and above the present values. ValueError if a name cannot
    change, or there is nothing around its value.
    """
    if width <= 1:
        raise ValueError(f"width must be a factor above 1, not {width}")
    chosen = list(names) or [name for name in USUAL if params.get(name)]
    space = Space(tuple(Axis(name, _domain(name, params, width, rows)) for name in chosen))
    sampler = samplers.make("sobol", space, seed, max(trials - 1, 1), None)
    found: list[dict[str, Value]] = [{}]
    while len(found) < trials and (draw := sampler.ask(len(found) - 1)):
        found.append(space.decode(draw.point))
    return found


def _domain(name: str, params: Mapping[str, Value], width: float, rows: int) -> Domain:
    value = params.get(name)
    if name not in CHANGEABLE or isinstance(value, str) or value is None:
        active = ", ".join(one for one in CHANGEABLE if one in params)
        raise ValueError(f"{name} cannot be varied here; what can: {active}")
    if name in ("momentum", "beta1", "beta2") or (name == "decay_rate" and params.get("decay") in _FACTORS):
        gap = 1 - float(value)
        return OneMinusLogUniform(max(1 - gap * width, 0.0), 1 - gap / width)
    if name == "batch_size":
        sizes = (int(value) // 2, int(value), int(value) * 2)
        return Choice(tuple(size for size in sizes if 2 <= size <= rows))
    if not value:
        raise ValueError(f"{name} is 0, and there is nothing around it in a logarithmic scale: set it, then fan out")
    if name == "decay_every":
        return LogInt(max(round(value / width), 1), round(value * width))
    return LogUniform(float(value) / width, float(value) * width)
