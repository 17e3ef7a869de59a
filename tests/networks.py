"""Small data, and the way from a slot's tensors to the oracle's names."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from models.batches import Batches
from models.config import Config
from models.layout import Layout
from models.training import Arrays, Slots
from tests.oracle import Array, Oracle, Weights, average, decayed, update


def arrays(rows: int = 500, inputs: int = 11, classes: int = 5, validation: int = 77, seed: int = 0) -> Arrays:
    """Random rows, labelled by a random two-layer network: there is something to learn."""
    draw = np.random.default_rng(seed)
    X = draw.standard_normal((rows + validation, inputs)).astype(np.float32)
    scores = np.tanh(X @ draw.standard_normal((inputs, 8))) @ draw.standard_normal((8, classes))
    y = torch.from_numpy(scores.argmax(axis=1))
    held = slice(rows, rows + validation) if validation else None
    return Arrays(torch.from_numpy(X), y, classes, slice(0, rows), held)


def named(layout: Layout, flat: Tensor, config: Config, classes: int) -> Weights:
    """One slot's flat vector [length], weights or gradients, by the oracle's names and without padding."""
    widths = (*config.widths, classes)
    result: Weights = {}
    fan_in = layout.inputs
    for layer, (W, vectors) in enumerate(
        zip(layout.weights(flat[None]), layout.vectors(flat[None]), strict=True), start=1
    ):
        width = widths[layer - 1]
        result[f"W{layer}"] = W[0, :width, :fan_in].double().numpy().copy()
        names = ("gamma", "beta") if len(vectors) == 2 else ("b",)
        for name, vector in zip(names, vectors, strict=True):
            result[f"{name}{layer}"] = vector[0, :width].double().numpy().copy()
        fan_in = width
    return result


def weights_of(slots: Slots, slot: int, tensor: str = "params") -> Weights:
    """One slot's weights by the oracle's names."""
    return named(slots.layout, slots.tensors[tensor][slot], slots.configs[slot], slots.classes)


def oracle_of(config: Config) -> Oracle:
    return Oracle(len(config.widths), config.normalised, config.bn_epsilon, config.activation)


def assert_close(found: Weights, expected: Weights, tolerance: float = 1e-9) -> None:
    """Every tensor within `tolerance` of the expected, relative to its largest number."""
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        error = np.abs(found[name] - value).max() / max(1e-12, np.abs(value).max())
        assert error <= tolerance, f"{name} is off by {error:.2e} of its largest number"


@dataclass
class Trained:
    """What the oracle has after some epochs; `losses` are the mean minibatch losses of each."""

    weights: Weights
    moments: list[tuple[Array, Array]]
    losses: list[float]


def train_oracle(config: Config, weights: Weights, arrays: Arrays, order_seed: int, epochs: int) -> Trained:
    """Train the oracle on the same minibatches; the moments are the corrected exponentially weighted averages."""
    oracle, rows = oracle_of(config), Batches(arrays.train, len(arrays.X), config.batch_size, order_seed)
    X, y = arrays.X.double().numpy().T, arrays.y.numpy()
    states: dict[str, dict[str, Array]] = {name: {} for name in weights}
    averages = [(np.zeros(width), np.zeros(width)) for width in (config.widths if config.normalised else ())]
    trained, step = Trained(dict(weights), [], []), 0
    h = {name: float(getattr(config, name)) for name in ("momentum", "beta1", "beta2", "epsilon")}
    for epoch in range(epochs):
        h["lr"] = decayed(config.decay, config.learning_rate, config.decay_rate, config.decay_every, epoch)
        losses = []
        for batch in (numbers.numpy() for numbers in rows.epoch(epoch)):
            step += 1
            now = trained.weights
            if averages:
                found = oracle.batch_moments(now, X[:, batch])
                averages = [
                    (average(m, mean, config.bn_decay), average(v, variance, config.bn_decay))
                    for (m, v), (mean, variance) in zip(averages, found, strict=True)
                ]
            loss, grads = oracle.gradients(now, X[:, batch], y[batch])
            losses.append(loss)
            trained.weights = {
                name: update(config.optimizer, p, grads[name], states[name], t=step, h=h)
                - (h["lr"] * config.weight_decay * p if name.startswith("W") else 0)
                for name, p in now.items()
            }
        trained.losses.append(float(np.mean(losses)))
    correction = 1 - config.bn_decay**step
    trained.moments = [(mean / correction, variance / correction) for mean, variance in averages]
    return trained
