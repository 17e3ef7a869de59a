"""Values and gradients against the oracle, and the oracle against differences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
import torch

from models.config import Config, Value, padded
from models.layout import Layout, initial
from models.network import Network, sum_rows
from models.training import Slots
from tests.networks import assert_close, named, oracle_of, weights_of

torch.set_num_threads(1)

SHAPES = [
    pytest.param(Config(0), id="softmax"),
    pytest.param(Config(0, (6,)), id="one"),
    pytest.param(Config(0, (33, 5)), id="two"),
    pytest.param(Config(0, (7, 32, 4), activation="tanh"), id="three-tanh"),
    pytest.param(Config(0, (9, 40), batch_norm=False), id="bias"),
    pytest.param(Config(0, (8,), batch_norm=False, activation="tanh"), id="bias-tanh"),
    pytest.param(Config(0, (5, 5), bn_epsilon=1e-2), id="epsilon"),
]


@pytest.mark.parametrize("batch_norm", [True, False])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_the_oracles_gradients_are_those_of_differences(batch_norm: bool, activation: str) -> None:
    config = Config(3, (4, 3), batch_norm, bn_epsilon=1e-3, activation=activation, batch_size=9)
    oracle, draw = oracle_of(config), np.random.default_rng(1)
    weights = weights_of(Slots.start(["a"], [config], 5, 4, torch.float64), 0)
    for name, value in weights.items():  # away from gamma = 1 and beta = 0, where terms vanish
        weights[name] = value + 0.3 * draw.standard_normal(value.shape)
    X, y = draw.standard_normal((5, 9)), draw.integers(0, 4, 9)
    _, grads = oracle.gradients(weights, X, y)
    assert grads.keys() == weights.keys()
    for name, value in weights.items():
        for at in np.ndindex(*value.shape):
            numeric = 0.0
            for sign in (1, -1):
                moved = value.copy()
                moved[at] += sign * 1e-5
                numeric += sign * oracle.gradients(weights | {name: moved}, X, y)[0] / 2e-5
            assert grads[name][at] == pytest.approx(numeric, rel=1e-5, abs=1e-8), (name, at)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("batch", [16, 21])
def test_values_and_gradients_are_the_oracles(shape: Config, batch: int) -> None:
    configs = [replace(shape, seed=seed, batch_size=batch) for seed in range(3)]
    slots = Slots.start(list("abc"), configs, 11, 5, torch.float64)
    draw = np.random.default_rng(2)
    for slot, config in enumerate(configs):  # the same gamma and beta for all would hide a mix-up of slots
        layout, flat = slots.layout, slots.tensors["params"][slot : slot + 1]
        for vectors, width in zip(layout.vectors(flat), (*config.widths, 5), strict=True):
            for vector in vectors:
                vector[0, :width] += torch.from_numpy(0.3 * draw.standard_normal(width))
    network = _network(slots)
    X, y = draw.standard_normal((batch, 11)), draw.integers(0, 5, batch)
    logp = network.forward(torch.from_numpy(X)).clone()
    network.backward(torch.eye(5, slots.layout.classes, dtype=torch.float64)[torch.from_numpy(y)].unsqueeze(1))
    for slot, config in enumerate(configs):
        weights = weights_of(slots, slot)
        loss, grads = oracle_of(config).gradients(weights, X.T, y)
        assert -logp[torch.arange(batch), slot, torch.from_numpy(y)].mean().item() == pytest.approx(loss, rel=1e-9)
        assert_close(named(slots.layout, network.grads[slot], config, 5), grads)


@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_padded_stays_nothing(shape: Config) -> None:
    configs = [replace(shape, seed=seed, batch_size=16) for seed in range(2)]
    slots = Slots.start(list("ab"), configs, 11, 5)
    network = _network(slots)
    logp = network.forward(torch.randn(16, 11, generator=torch.Generator().manual_seed(0)))
    assert (logp[:, :, 5:] == -torch.inf).all()
    assert logp.exp().sum(2).allclose(torch.ones(()))
    network.backward(torch.eye(5, slots.layout.classes)[torch.arange(16) % 5].unsqueeze(1))
    true = sum(value.size for value in named(slots.layout, network.grads[0], configs[0], 5).values())
    assert 0 < network.grads[0].count_nonzero() <= true
    for A, width in zip(network.inputs[1:], configs[0].widths, strict=True):
        assert not A[:, :, width:].any()


@pytest.mark.parametrize(("weights", "variance"), [("he", 2), ("torch", 1 / 3)])
def test_the_initial_weights_have_their_variance_and_know_neither_padding_nor_type(
    weights: str, variance: float
) -> None:
    config = Config(7, (100, 40), initial_weights=weights)
    alone = Slots.start(["a"], [config], 200, 10)
    others = [Config(8, (97, 33)), config, Config(9, (128, 64))]
    company = Slots.start(list("bac"), others, 200, 10, torch.float64)
    assert torch.equal(alone.tensors["params"][0], company.tensors["params"][1].float())
    unpadded = initial(Layout(200, (100, 40), 10, batch_norm=True), 7, (100, 40), 10, weights)
    for name, value in named(Layout(200, (100, 40), 10, batch_norm=True), unpadded, config, 10).items():
        assert (weights_of(company, 1)[name] == value).all()
        if name.startswith("W"):
            gain = 1 / 3 if len(value) == 10 else variance  # the output layer's, the others'
            assert value.std() == pytest.approx(np.sqrt(gain / value.shape[1]), rel=0.1)
        else:
            assert (value == (1 if name.startswith("gamma") else 0)).all()


def test_sum_rows_adds_every_row_whatever_its_neighbours() -> None:
    T = torch.randn(37, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for rows in (1, 2, 3, 7, 37):
        total = sum_rows(T[:rows])
        assert total.allclose(T[:rows].sum(0))
        assert all(torch.equal(total[slot], sum_rows(T[:rows, slot].contiguous())) for slot in range(8))


def test_a_huge_logit_is_no_trouble() -> None:
    slots = Slots.start(["a"], [Config(0, batch_size=2)], 1, 3, torch.float64)
    W = slots.layout.weights(slots.tensors["params"])[0]
    W[0, :3, 0] = torch.tensor([1e4, 0.0, -1e4])
    logp = _network(slots).forward(torch.tensor([[1.0], [-1.0]], dtype=torch.float64))
    assert logp[:, 0, :3].tolist() == [[0, -1e4, -2e4], [-2e4, -1e4, 0]]


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, Config(1)),
        ({"hidden_layers": 0, "batch_norm": True}, Config(1)),
        ({"hidden_layers": 2, "hidden_units": 64, "beta1": 0.8}, Config(1, (64, 64), beta1=0.8)),
        ({"hidden_layers": 2, "hidden_units_1": 64, "hidden_units_2": 32.0}, Config(1, (64, 32))),
        ({"learning_rate": 1, "batch_size": 64.0}, Config(1, learning_rate=1.0, batch_size=64)),
    ],
)
def test_a_configuration_is_made_of_active_parameters(params: Mapping[str, Value], expected: Config) -> None:
    config = Config.of(params, seed=1)
    assert config == expected
    assert isinstance(config.batch_size, int)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"hidden_layers": 1}, "1 hidden layers need hidden_units"),
        ({"hidden_layers": 2, "hidden_units_1": 8}, "hidden_units_1 to hidden_units_2"),
        ({"learning_rte": 0.1}, "unknown hyperparameter 'learning_rte'"),
        ({"optimizer": "lbfgs"}, "optimizer must be one of sgd, momentum, rmsprop, adam, not 'lbfgs'"),
        ({"bn_epsilon": 0.0}, "bn_epsilon must be above 0"),
        ({"hidden_layers": 1, "hidden_units": 8, "batch_size": 1}, "batch_size of 2 or more"),
    ],
)
def test_a_wrong_configuration_names_the_rule(params: Mapping[str, Value], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Config.of(params, seed=1)


def test_the_shape_is_what_fused_slots_must_share() -> None:
    config = Config(1, (33, 64), optimizer="adam")
    same = Config(2, (64, 40), optimizer="adam", learning_rate=1, beta1=0.5, decay="sqrt", weight_decay=0.1)
    assert config.shape() == same.shape()
    assert hash(config.shape()) == hash(same.shape())
    for other in (
        Config(1, (32, 64), optimizer="adam"),
        Config(1, (33, 64)),
        Config(1, (33, 64), optimizer="adam", batch_size=64),
        Config(1, (33, 64), optimizer="adam", bn_decay=0.99),
        Config(1, (33, 64), optimizer="adam", batch_norm=False),
        Config(1, (33, 64), optimizer="adam", activation="tanh"),
    ):
        assert other.shape() != config.shape()
    assert Config(1, batch_norm=False, activation="tanh").shape() == Config(2).shape()
    assert [padded(width) for width in (1, 32, 33, 64, 65)] == [32, 32, 64, 64, 96]


def _network(slots: Slots) -> Network:
    layers = range(len(slots.layout.widths) if slots.layout.batch_norm else 0)
    means, variances = ([slots.tensors[f"{name}_{layer}"] for layer in layers] for name in ("mean", "variance"))
    return Network(slots.layout, slots.configs[0], slots.tensors["params"], means=means, variances=variances)
