"""Fifty steps of every optimizer against the oracle, and the schedules against their closed forms."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from models.config import Config
from models.layout import Layout
from models.optimizers import RULES, Optimizer, learning_rate
from models.training import Slots, train
from tests.networks import arrays, assert_close, train_oracle, weights_of
from tests.oracle import decayed

torch.set_num_threads(1)

FIRST = Config(1, (7, 33), learning_rate=0.02, batch_size=50, decay="inverse_time", decay_rate=0.5)
SLOTS = [
    FIRST,
    replace(FIRST, seed=2, widths=(20, 40), learning_rate=0.005, momentum=0.5, beta1=0.6, beta2=0.9, epsilon=1e-3),
    replace(FIRST, seed=3, widths=(32, 64), decay="staircase", decay_every=2, weight_decay=0.1, momentum=0.99),
]


@pytest.mark.parametrize("optimizer", RULES)
@pytest.mark.parametrize("batch_norm", [True, False])
def test_fifty_steps_are_the_oracles(optimizer: str, batch_norm: bool) -> None:
    configs = [replace(config, optimizer=optimizer, batch_norm=batch_norm) for config in SLOTS]
    data = arrays(rows=523)
    slots = Slots.start(list("abc"), configs, 11, 5, torch.float64)
    starts = [weights_of(slots, slot) for slot in range(3)]
    history = list(train(slots, data, order_seed=4, to_epoch=5))
    assert slots.steps == 50
    for slot, (config, start) in enumerate(zip(configs, starts, strict=True)):
        expected = train_oracle(config, start, data, order_seed=4, epochs=5)
        assert_close(weights_of(slots, slot), expected.weights)
        assert [epoch[slot].train_loss for epoch in history] == pytest.approx(expected.losses, rel=1e-9)


def test_momentum_is_exponentially_weighted_and_weight_decay_spares_vectors() -> None:
    layout = Layout(1, (), 1, batch_norm=False)  # one weight, one bias
    params, velocity = torch.tensor([[2.0, 2.0]]), torch.zeros(1, 2)
    config = Config(0, learning_rate=0.5, momentum=0.75, weight_decay=0.1)
    optimizer = Optimizer([config], layout, params, {"velocity": velocity})
    optimizer.step(torch.tensor([[1.0, 1.0]]), 1)
    assert velocity.tolist() == [[0.25, 0.25]]
    assert params[0].tolist() == pytest.approx([2 - 0.5 * 0.1 * 2 - 0.5 * 0.25, 2 - 0.5 * 0.25])


def test_adams_first_step_is_the_learning_rate() -> None:
    params = torch.zeros(2, 2)
    configs = [Config(0, optimizer="adam", learning_rate=rate) for rate in (0.1, 0.01)]
    state = {name: torch.zeros(2, 2) for name in RULES["adam"].state}
    Optimizer(configs, Layout(1, (), 1, batch_norm=False), params, state).step(torch.tensor([[3.0, -1e-3]] * 2), 1)
    assert params.flatten().tolist() == pytest.approx([-0.1, 0.1, -0.01, 0.01], rel=1e-4)


@pytest.mark.parametrize("decay", ["constant", "inverse_time", "exponential", "sqrt", "staircase"])
def test_schedules_are_the_oracles(decay: str) -> None:
    config = Config(0, learning_rate=0.2, decay=decay, decay_rate=0.7, decay_every=3)
    rates = [learning_rate(config, epoch) for epoch in range(10)]
    assert rates == pytest.approx([decayed(decay, 0.2, 0.7, 3, epoch) for epoch in range(10)])
    assert rates[0] == 0.2


def test_schedules_take_known_values() -> None:
    config = Config(0, learning_rate=1.0, decay_rate=0.5, decay_every=2)

    def rates(decay: str) -> list[float]:
        return [learning_rate(replace(config, decay=decay), epoch) for epoch in range(5)]

    assert rates("constant") == [1, 1, 1, 1, 1]
    assert rates("inverse_time") == pytest.approx([1, 2 / 3, 1 / 2, 2 / 5, 1 / 3])
    assert rates("exponential") == [1, 0.5, 0.25, 0.125, 0.0625]
    assert rates("sqrt") == pytest.approx([1, 1.5**-0.5, 2**-0.5, 2.5**-0.5, 3**-0.5])
    assert rates("staircase") == [1, 1, 0.5, 0.5, 0.25]
