"""How trials become packs: enough estimated work in each, trials of one shape side by side. Pure."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from tuner.trial import Trial, Value

Shape = Hashable
MAX_TRIALS = 256
SHORTEST_SECONDS = 2.0  # orchestration costs about 0.1 s a pack: 5%
LONGEST_SECONDS = 30.0  # beyond that a longer pack saves nothing and loses more when it is hit
SHARES = 4  # packs a worker should get of a round of work, so that workers end together
SMOOTHING = 0.5
KNOWN = 50_000  # trials whose shape is kept: more than wait at any time


@dataclass
class CostModel:
    """Seconds that training takes: a floating point estimate times a factor learned for each shape.

    `inputs` and `classes` are the network's ends, `rows` the training rows of an epoch. One factor for
    shapes never seen: the last one learned.
    """

    inputs: int
    classes: int
    rows: int
    shape_of: Callable[[Trial], Shape]
    factors: dict[Shape, float] = field(default_factory=dict)
    factor: float = 1.0
    _known: dict[str, tuple[Shape, float]] = field(default_factory=dict)

    def seconds(self, trial: Trial, epochs: int) -> float:
        """Estimated seconds of one core for `epochs` epochs of `trial`."""
        shape, raw = self._of(trial)
        return raw * epochs * self.factors.get(shape, self.factor)

    def learn(self, trial: Trial, trial_epochs: int, seconds: float) -> None:
        """Takes in that `trial_epochs` epochs of trials shaped like `trial` took `seconds` together."""
        shape, raw = self._of(trial)
        seen = seconds / max(raw * trial_epochs, 1e-9)
        known = self.factors.get(shape)
        self.factors[shape] = seen if known is None else known + SMOOTHING * (seen - known)
        self.factor += SMOOTHING * (seen - self.factor)

    def shape(self, trial: Trial) -> Shape:
        """What trials that train side by side share."""
        return self._of(trial)[0]

    def _of(self, trial: Trial) -> tuple[Shape, float]:
        """The trial's shape and seconds an epoch before any factor; asked for again with every pack."""
        if trial.id not in self._known:
            if len(self._known) >= KNOWN:
                self._known.clear()
            self._known[trial.id] = self.shape_of(trial), self._raw(trial.params)
        return self._known[trial.id]

    def _raw(self, params: Mapping[str, Value]) -> float:
        widths = [self.inputs, *hidden_widths(params), self.classes]
        weights = sum(a * b for a, b in pairwise(widths))
        batches = self.rows / float(params.get("batch_size", 128))
        return self.rows * 6 * weights / 2e10 + batches * 3e-5 * len(widths)


def hidden_widths(params: Mapping[str, Value]) -> list[int]:
    """The hidden widths that a trial's params name: one for all layers, or one a layer."""
    layers = range(1, int(params.get("hidden_layers", 0)) + 1)
    return [int(params.get(f"hidden_units_{layer}", params.get("hidden_units", 0))) for layer in layers]


def target_seconds(work: float, workers: int) -> float:
    """How long a pack should take when `work` seconds of a round lie ahead of `workers` workers."""
    return min(max(work / (workers * SHARES), SHORTEST_SECONDS), LONGEST_SECONDS)


def take(trials: Sequence[Trial], cost: CostModel, epochs: int, target: float) -> list[Trial]:
    """Picks trials for one pack: the first, all of its shape in order, then the next shape, up to `target` seconds.

    At least one trial, at most MAX_TRIALS.
    """
    shapes: dict[Shape, list[Trial]] = {}
    for trial in trials:
        shapes.setdefault(cost.shape(trial), []).append(trial)
    chosen: list[Trial] = []
    seconds = 0.0
    for group in shapes.values():
        for trial in group:
            seconds += cost.seconds(trial, epochs)
            if chosen and (seconds > target or len(chosen) == MAX_TRIALS):
                return chosen
            chosen.append(trial)
    return chosen
