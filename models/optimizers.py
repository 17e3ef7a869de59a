"""Update rules with a hyperparameter a slot, and learning-rate decay. A new rule is a function and a line in RULES."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from models.config import Config
from models.layout import Layout


def learning_rate(config: Config, epoch: int) -> float:
    """The learning rate of the 0-based epoch `epoch`; the first that decay counts runs at the undecayed rate."""
    start, rate, epoch = config.learning_rate, config.decay_rate, epoch - config.decay_start
    schedules: dict[str, Callable[[], float]] = {
        "constant": lambda: start,
        "inverse_time": lambda: start / (1 + rate * epoch),
        "exponential": lambda: start * rate**epoch,
        "sqrt": lambda: start / (1 + rate * epoch) ** 0.5,
        "staircase": lambda: start * rate ** (epoch // config.decay_every),
    }
    return schedules[config.decay]()


class Optimizer:
    """The optimizer of K slots. `params` and each tensor of `state` are [K, length] and updated in place."""

    def __init__(self, configs: Sequence[Config], layout: Layout, params: Tensor, state: Mapping[str, Tensor]) -> None:
        self.configs, self.params, self.state = configs, params, state
        self.matrices = params[:, : layout.matrices]
        self.work = torch.empty_like(params)
        self.one_minus_momentum = self.each(lambda config: 1 - config.momentum)
        self.one_minus_beta1 = self.each(lambda config: 1 - config.beta1)
        self.one_minus_beta2 = self.each(lambda config: 1 - config.beta2)
        self.epsilon = self.each(lambda config: config.epsilon)
        self.rule = RULES[configs[0].optimizer].step
        self.set_rates([config.learning_rate for config in configs])

    def each(self, value: Callable[[Config], float]) -> Tensor:
        """One number a slot, [K, 1]. In Python floats: a vectorised power would differ with a slot's place."""
        return self.column([value(config) for config in self.configs])

    def column(self, values: Sequence[float]) -> Tensor:
        return torch.tensor(values, dtype=torch.float64).to(self.params).unsqueeze(1)

    def set_rates(self, rates: Sequence[float]) -> None:
        """From now on step with these learning rates, one a slot."""
        self.minus_lr = self.column([-rate for rate in rates])
        kept = [1 - rate * config.weight_decay for rate, config in zip(rates, self.configs, strict=True)]
        self.kept = self.column(kept) if any(config.weight_decay for config in self.configs) else None

    def step(self, grads: Tensor, number: int) -> None:
        """The update `number` (from 1). Weight decay is decoupled, W -= lr * decay * W, on matrices only."""
        if self.kept is not None:
            self.matrices.mul_(self.kept)
        self.rule(self, grads, number)


def sgd(optimizer: Optimizer, grads: Tensor, _: int) -> None:
    """p -= lr * g: plain mini-batch gradient descent."""
    optimizer.params.addcmul_(grads, optimizer.minus_lr)


def momentum(optimizer: Optimizer, grads: Tensor, _: int) -> None:
    """v = m * v + (1 - m) * g; p -= lr * v.

    The exponentially weighted form of the course, without bias correction. torch.optim.SGD adds g
    whole: its learning rate is this one times (1 - m).
    """
    velocity = optimizer.state["velocity"].lerp_(grads, optimizer.one_minus_momentum)
    optimizer.params.addcmul_(velocity, optimizer.minus_lr)


def rmsprop(optimizer: Optimizer, grads: Tensor, _: int) -> None:
    """s = beta2 * s + (1 - beta2) * g^2; p -= lr * g / (sqrt(s) + epsilon)."""
    work = torch.mul(grads, grads, out=optimizer.work)
    square = optimizer.state["square"].lerp_(work, optimizer.one_minus_beta2)
    torch.sqrt(square, out=work).add_(optimizer.epsilon)
    optimizer.params.addcmul_(torch.div(grads, work, out=work), optimizer.minus_lr)


def adam(optimizer: Optimizer, grads: Tensor, number: int) -> None:
    """v and s as above, corrected by 1 - beta^t; p -= lr * v / (sqrt(s) + epsilon) (Kingma and Ba, 2015).

    The correction of s is a factor of the learning rate and of epsilon: no pass over s (section 2 there).
    """
    velocity = optimizer.state["velocity"].lerp_(grads, optimizer.one_minus_beta1)
    work = torch.mul(grads, grads, out=optimizer.work)
    square = optimizer.state["square"].lerp_(work, optimizer.one_minus_beta2)
    root = optimizer.each(lambda config: math.sqrt(1 - config.beta2**number))
    torch.sqrt(square, out=work).add_(optimizer.epsilon * root)
    torch.div(velocity, work, out=work)
    corrected = optimizer.minus_lr * root / optimizer.each(lambda config: 1 - config.beta1**number)
    optimizer.params.addcmul_(work, corrected)


class Rule(NamedTuple):
    """How parameters move, and the names of the tensors that the rule remembers."""

    state: tuple[str, ...]
    step: Callable[[Optimizer, Tensor, int], None]


RULES: Mapping[str, Rule] = {
    "sgd": Rule((), sgd),
    "momentum": Rule(("velocity",), momentum),
    "rmsprop": Rule(("square",), rmsprop),
    "adam": Rule(("velocity", "square"), adam),
}
