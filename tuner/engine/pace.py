"""How long training takes on the machine where it was timed, for shapes that were and for those between them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

import numpy as np
from scipy.optimize import nnls

from models.config import CLASS_BUCKET, Config, padded
from models.layout import Layout
from models.optimizers import RULES
from tuner.trial import Pack, Stage, Trial, Value

TOGETHER = 8  # slots that are timed side by side, beside one alone
FLOAT_BYTES = 4
LEAST_SPREAD = 0.1  # what two trainings of the same differ by on a quiet machine


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds that `slots` slots with the hyperparameters `params` took side by side, for all of them together.

    `steps` are those of one minibatch, timed in several rounds; `evaluation` is one on all validation rows, `begin` the
    making of fresh slots.
    """

    params: Mapping[str, Value]
    slots: int
    steps: tuple[float, ...]
    evaluation: float
    begin: float


@dataclass(frozen=True, slots=True)
class Sizes:
    """What of the data decides about time and space: the network's ends, rows, and the bytes of the snapshot."""

    inputs: int
    classes: int
    train: int
    validation: int
    stored: int
    epoch_rows: int | None = None

    def steps(self, batch: int, stage: Stage) -> int:
        """Minibatches of an epoch; a refit trains on the validation rows, too."""
        rows = self.train + (self.validation if stage is Stage.REFIT else 0)
        return max((self.epoch_rows or rows) // batch, 1)


class Pace:
    """Seconds of training, as `timings` have them; between them by a sum of what a step does.

    A step costs so much at all, and for each layer, multiplication and number of the optimizer's: four prices, none
    below zero, that are found by least squares of relative errors, for one slot alone and for TOGETHER side by side.
    Other numbers of slots lie on the line through both. Where timings differ from round to round, `low` and `high` say
    by how much.
    """

    def __init__(self, sizes: Sizes, timings: Sequence[Timing]) -> None:
        self.sizes = sizes
        self.timed = [timing.params for timing in timings if timing.slots == 1]
        self._prices: dict[str, dict[int, Prices]] = {name: {} for name in ("step", "evaluation", "begin")}
        for slots in {timing.slots for timing in timings}:
            some = [timing for timing in timings if timing.slots == slots]
            configs = [Config.of(timing.params, 0) for timing in some]
            measured = {
                "step": [median(timing.steps) for timing in some],
                "evaluation": [timing.evaluation for timing in some],
                "begin": [timing.begin for timing in some],
            }
            for name, seconds in measured.items():
                self._prices[name][slots] = _prices([self._work(config) for config in configs], seconds)
        rounds = [[step / median(timing.steps) for step in timing.steps] for timing in timings]
        self.low = min(1 - LEAST_SPREAD, median(map(min, rounds)))
        self.high = max(1 + LEAST_SPREAD, median(map(max, rounds)))

    def pack(self, pack: Pack) -> list[tuple[str, int, float]]:
        """What a worker would say of its timings: (a trial of the shape, epochs of all its trials, seconds)."""
        shapes: dict[object, list[Trial]] = {}
        for trial in pack.trials:
            shapes.setdefault(Config.of(trial.params, 0).shape(), []).append(trial)
        epochs = pack.to_epoch - pack.from_epoch
        return [
            (trials[0].id, epochs * len(trials), self.seconds(trials[0].params, epochs, len(trials), pack.stage))
            for trials in shapes.values()
        ]

    def seconds(self, params: Mapping[str, Value], epochs: int, slots: int = 1, stage: Stage = Stage.SEARCH) -> float:
        """Seconds of one worker for `epochs` epochs of `slots` trials of one shape side by side, made or fetched."""
        config = Config.of(params, 0)
        step, evaluation, begin = (self._of(name, config, slots) for name in ("step", "evaluation", "begin"))
        if stage is Stage.REFIT:
            evaluation = 0.0
        return begin + epochs * (self.sizes.steps(config.batch_size, stage) * step + evaluation)

    def _of(self, name: str, config: Config, slots: int) -> float:
        prices, work = self._prices[name], self._work(config)
        alone = prices[1](work)
        together = max(prices[TOGETHER](work), alone) if TOGETHER in prices else TOGETHER * alone
        return alone + (together - alone) * (slots - 1) / (TOGETHER - 1)

    def _work(self, config: Config) -> tuple[float, ...]:
        """Once, layers, multiplications of a minibatch (millions), and numbers that its update touches (millions)."""
        layout = layout_of(config, self.sizes)
        touched = (1 + len(RULES[config.optimizer].state)) * layout.length
        return 1.0, len(config.widths), config.batch_size * layout.matrices / 1e6, touched / 1e6


Prices = Callable[[tuple[float, ...]], float]


def _prices(work: Sequence[tuple[float, ...]], seconds: Sequence[float]) -> Prices:
    """The prices, none negative, that make `work` cost `seconds` with the least squares of relative errors."""
    A, t = np.array(work), np.maximum(np.array(seconds), 1e-9)
    found, _ = nnls(A / t[:, None], np.ones(len(t)))
    return lambda wanted: float(np.dot(found, wanted))


def layout_of(config: Config, sizes: Sizes) -> Layout:
    """How the weights of one slot lie, with its padding."""
    widths, classes = tuple(map(padded, config.widths)), padded(sizes.classes, CLASS_BUCKET)
    return Layout(sizes.inputs, widths, classes, config.normalised)


def state_bytes(params: Mapping[str, Value], sizes: Sizes) -> int:
    """What a trial takes between rungs: weights, optimizer state and batch norm's running averages, in float32."""
    config = Config.of(params, 0)
    layout = layout_of(config, sizes)
    averages = 2 * sum(layout.widths) if config.normalised else 0
    return FLOAT_BYTES * ((1 + len(RULES[config.optimizer].state)) * layout.length + averages)


def model_bytes(params: Mapping[str, Value], sizes: Sizes) -> int:
    """What the exported network takes: batch norm folded in, without padding."""
    widths = [sizes.inputs, *Config.of(params, 0).widths, sizes.classes]
    return FLOAT_BYTES * sum(a * b + b for a, b in pairwise(widths))
