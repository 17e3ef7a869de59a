"""A slot alone, in company, or interrupted: the same numbers; and what happens when one diverges."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from models.config import Config
from models.inference import CHUNK
from models.optimizers import RULES
from models.training import Arrays, Evaluation, Part, Slots, loss_and_accuracy, train
from tests.networks import arrays, assert_close, oracle_of, train_oracle, weights_of

torch.set_num_threads(1)

DATA = arrays()
History = list[list[Evaluation]]


def mixed(count: int, **common: object) -> list[Config]:
    """Configurations of one shape that differ in all that may differ."""
    draw = np.random.default_rng(5)
    decays = ("constant", "inverse_time", "exponential", "sqrt", "staircase")
    return [
        replace(
            Config(seed, batch_size=48),
            widths=(int(draw.integers(1, 33)), int(draw.integers(33, 65))),
            learning_rate=float(0.002 * 10 ** draw.random()),
            momentum=float(draw.uniform(0.5, 0.99)),
            beta1=float(draw.uniform(0.5, 0.99)),
            beta2=float(draw.uniform(0.9, 0.999)),
            epsilon=float(10 ** draw.uniform(-8, -4)),
            weight_decay=float(draw.choice([0, 0.1])),
            decay=decays[seed % 5],
            decay_rate=0.5,
            decay_every=2,
            **common,  # type: ignore[arg-type]
        )
        for seed in range(count)
    ]


def start(configs: Sequence[Config], dtype: torch.dtype = torch.float32) -> Slots:
    return Slots.start([f"t{config.seed}" for config in configs], configs, 11, 5, dtype)


def run(slots: Slots, to_epoch: int = 3, data: Arrays = DATA, **options: int | None) -> History:
    return list(train(slots, data, order_seed=7, to_epoch=to_epoch, keep_best="val_loss", **options))


def of(history: History, label: str) -> list[Evaluation]:
    return [one for epoch in history for one in epoch if one.label == label]


def assert_same_bits(some: Slots, every: Slots) -> None:
    other = every.select(some.labels)
    assert (some.epoch, some.steps) == (other.epoch, other.steps)
    for name, tensor in some.tensors.items():
        assert torch.equal(tensor, other.tensors[name]), name


@pytest.mark.parametrize("optimizer", RULES)
@pytest.mark.parametrize("batch_norm", [True, False])
def test_fused_is_single_in_double_precision(optimizer: str, batch_norm: bool) -> None:
    configs = mixed(6, optimizer=optimizer, batch_norm=batch_norm)
    together = start(configs, torch.float64)
    run(together, 2)
    together.keep(["t1", "t3", "t4", "t5"])
    run(together, 5)
    assert together.steps == 50
    for slot, config in enumerate(together.configs):
        alone = start([config], torch.float64)
        run(alone, 5)
        assert_close(weights_of(together, slot), weights_of(alone, 0))


@pytest.mark.parametrize("optimizer", RULES)
@pytest.mark.parametrize(
    "common", [{}, {"batch_norm": False}, {"activation": "tanh", "bn_statistics": "second_pass"}], ids=str
)
def test_a_slot_has_the_same_bits_alone_and_in_any_company(optimizer: str, common: dict[str, object]) -> None:
    configs = mixed(8, optimizer=optimizer, **common)
    eight = start(configs)
    history = run(eight)
    for few in ([0], [7], [1, 4, 6]):
        slots = start([configs[at] for at in few])
        found = run(slots)
        assert_same_bits(slots, eight)
        assert found == [[epoch[at] for at in few] for epoch in history]
    for group in (1, 3):
        parts = start(configs)
        assert run(parts, group=group) == history
        assert_same_bits(parts, eight)


def test_a_group_has_room_in_the_cache_and_an_odd_number_of_slots() -> None:
    def sizes(widths: tuple[int, ...], batch: int) -> list[int]:
        configs = [Config(seed, widths, batch_size=batch) for seed in range(40)]
        slots = Slots.start([str(config.seed) for config in configs], configs, 64, 10)
        return [len(group.labels) for group in slots.groups()]

    assert sizes((64, 64), 64) == [17, 17, 6]
    assert sizes((128, 128), 256) == [3] * 13 + [1]
    assert sizes((512, 512), 256) == [1] * 40
    assert sizes((), 32) == [40]


@pytest.mark.parametrize("inputs", [1, 7, 33, 100])
@pytest.mark.parametrize("batch", [7, 64, 100])
@pytest.mark.parametrize("widths", [(), (64,)], ids=str)
def test_the_same_bits_at_every_number_of_inputs_and_batch_size(
    inputs: int, batch: int, widths: tuple[int, ...]
) -> None:
    data = arrays(rows=2 * batch + 3, inputs=inputs, validation=CHUNK + 1)
    configs = [Config(seed, widths, batch_size=batch, optimizer="adam") for seed in range(8)]
    slots = [
        Slots.start([str(one.seed) for one in some], some, inputs, 5) for some in (configs, configs[:3], configs[5:6])
    ]
    histories = [run(each, 2, data) for each in slots]
    assert_same_bits(slots[1], slots[0])
    assert_same_bits(slots[2], slots[0])
    assert [epoch[:3] for epoch in histories[0]] == histories[1]


@pytest.mark.parametrize("optimizer", RULES)
def test_save_restore_select_and_join_go_on_bit_for_bit(optimizer: str, tmp_path: Path) -> None:
    configs = mixed(5, optimizer=optimizer)
    straight = start(configs)
    expected = run(straight, 6)
    first, second = start(configs[:3]), start(configs[3:])
    run(first)
    run(second)
    save_file(first.save_tensors(), tmp_path / "first.safetensors")
    stored = load_file(tmp_path / "first.safetensors")
    restored = Slots.restore(first.labels, first.configs, 3, stored, inputs=11, classes=5)
    joined = Slots.join([second, restored.select(["t2", "t0"])])
    assert joined.labels == ["t3", "t4", "t2", "t0"]
    history = run(joined, 6)
    assert_same_bits(joined, straight)
    for label in joined.labels:
        assert of(history, label) == of(expected, label)[3:]
        assert torch.equal(joined.best[label].params, straight.best[label].params)


def test_states_that_do_not_fit_are_refused() -> None:
    configs = mixed(2)
    slots = start(configs)
    tensors = slots.save_tensors()
    with pytest.raises(ValueError, match="not those of these slots"):
        Slots.restore(slots.labels, slots.configs, 0, tensors, inputs=12, classes=5)
    with pytest.raises(ValueError, match="one shape"):
        start([configs[0], replace(configs[1], batch_size=64)])
    later = start(configs[:1])
    run(later, 1)
    with pytest.raises(ValueError, match="share their epoch"):
        Slots.join([slots, later])


@pytest.mark.parametrize("group", [None, 1, 2])
def test_a_diverged_slot_is_reported_once_and_the_others_never_notice(group: int | None) -> None:
    healthy = mixed(4, optimizer="sgd", batch_norm=False)
    configs = [*healthy, replace(healthy[0], seed=9, learning_rate=1e30)]
    slots, calm = start([configs[at] for at in (0, 4, 1, 2, 3)]), start(healthy)
    history, expected = run(slots, group=group), run(calm)
    (failed,) = of(history, "t9")
    assert math.isnan(failed.val_loss)
    assert failed.epoch == 1
    assert slots.labels == calm.labels
    assert [[one for one in epoch if one.label != "t9"] for epoch in history] == expected
    assert_same_bits(slots, calm)


@pytest.mark.parametrize("group", [None, 1, 2])
def test_slots_may_be_dropped_between_epochs(group: int | None) -> None:
    configs = mixed(3)
    slots, calm = start(configs), start(configs)
    expected = run(calm)
    history = []
    for epoch in train(slots, DATA, order_seed=7, to_epoch=3, keep_best="val_loss", group=group):
        history.append(epoch)
        slots.keep([label for label in slots.labels if label != "t1"])
    assert [[one.label for one in epoch] for epoch in history] == [["t0", "t1", "t2"], ["t0", "t2"], ["t0", "t2"]]
    assert of(history, "t2") == of(expected, "t2")
    assert_same_bits(slots, calm)


def test_nothing_is_left_when_all_diverge() -> None:
    slots = start([replace(config, learning_rate=math.inf) for config in mixed(2)])
    assert [len(epoch) for epoch in run(slots)] == [2]
    assert slots.labels == []
    assert slots.best == {}
    assert run(slots, 5) == []


def test_without_validation_rows_only_the_training_loss_can_diverge() -> None:
    data = arrays(validation=0)
    slots = start([mixed(1)[0], replace(mixed(2)[1], learning_rate=math.inf)])
    history = run(slots, data=data)
    assert [len(epoch) for epoch in history] == [2, 1, 1]
    assert all(math.isnan(one.val_loss) for epoch in history for one in epoch)
    assert slots.best == {}


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_training_loss_that_is_not_finite_counts_as_divergence(loss: float) -> None:
    slots = start(mixed(2))
    run(slots, 1)
    bad, good = Part(slots, DATA).evaluate([loss, 1.0], [0.1, 0.1], keep_best="val_loss")
    assert math.isnan(bad.val_loss)
    assert math.isfinite(good.val_loss)


@pytest.mark.parametrize("statistics", ["ewa", "second_pass"])
def test_predictions_use_the_oracles_statistics(statistics: str) -> None:
    data = arrays(rows=600, validation=CHUNK + 44)
    configs = mixed(3, bn_statistics=statistics)
    slots = start(configs, torch.float64)
    begins = [weights_of(slots, slot) for slot in range(3)]
    last = run(slots, 2, data)[-1]
    inference = slots.inference(data.X[data.train])
    X = data.X.double().numpy().T
    for slot, config in enumerate(configs):
        trained, oracle = train_oracle(config, begins[slot], data, 7, 2), oracle_of(config)
        exact = oracle.batch_moments(trained.weights, X[:, data.train])
        A = oracle.predict(trained.weights, X, trained.moments if statistics == "ewa" else exact)
        assert np.abs(inference.log_proba(data.X)[slot].exp().numpy().T - A).max() < 1e-9
        held, y = A[:, data.validation], data.y[data.validation].numpy()
        assert last[slot].val_loss == pytest.approx(-np.log(held[y, np.arange(len(y))]).mean(), rel=1e-9)
        assert last[slot].val_accuracy == pytest.approx((held.argmax(0) == y).mean())


def test_the_best_evaluation_is_kept_and_the_rate_reported() -> None:
    config = replace(mixed(1)[0], optimizer="adam", learning_rate=1.5, decay="exponential", decay_rate=0.9)
    slots = start([config, replace(config, seed=3)])
    history = run(slots, 6)
    assert [epoch[0].learning_rate for epoch in history] == pytest.approx([1.5 * 0.9**epoch for epoch in range(6)])
    for label, kept in slots.best.items():
        losses = [one.val_loss for one in of(history, label)]
        assert min(losses) < losses[-1], "choose other numbers: the last evaluation is the best"
        loss, _ = loss_and_accuracy(kept, DATA.X[DATA.validation], DATA.y[DATA.validation])
        assert loss.item() == pytest.approx(min(losses), rel=1e-5)
    blind = start([config])
    list(train(blind, DATA, order_seed=7, to_epoch=2))
    assert blind.best == {}


def test_the_most_accurate_evaluation_is_kept_where_that_is_wanted() -> None:
    config = replace(mixed(1)[0], optimizer="adam", learning_rate=0.1)
    slots = start([replace(config, seed=seed) for seed in range(8)])
    history = list(train(slots, DATA, order_seed=7, to_epoch=8, keep_best="val_accuracy"))
    losses_prefer_another = 0
    for label, kept in slots.best.items():
        evaluations = of(history, label)
        first = max(evaluations, key=lambda one: one.val_accuracy)
        loss, accuracy = loss_and_accuracy(kept, DATA.X[DATA.validation], DATA.y[DATA.validation])
        assert (loss.item(), accuracy.item()) == pytest.approx((first.val_loss, first.val_accuracy), rel=1e-5)
        losses_prefer_another += first is not min(evaluations, key=lambda one: one.val_loss)
    assert losses_prefer_another, "choose other numbers: both metrics prefer the same epochs"


def test_it_learns() -> None:
    slots = start([replace(config, learning_rate=0.1, decay="constant") for config in mixed(3, optimizer="momentum")])
    history = run(slots, 15)
    for before, after in zip(history[0], history[-1], strict=True):
        assert after.val_loss < 0.8 * before.val_loss
        assert after.val_accuracy > 0.5
