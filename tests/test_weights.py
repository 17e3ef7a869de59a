"""States between rungs: gathered from several packs' files, each slot as it was, wherever storage is."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from models.config import Config
from models.training import Slots, train
from tests.networks import arrays
from tuner.engine import weights
from tuner.engine.storage import Storage

torch.set_num_threads(1)

DATA = arrays()


def trained(seeds: range, widths: tuple[int, ...]) -> Slots:
    configs = [Config(seed, widths, batch_size=50, optimizer="adam") for seed in seeds]
    slots = Slots.start([f"t{seed}" for seed in seeds], configs, 11, 5)
    list(train(slots, DATA, order_seed=7, to_epoch=1))
    return slots


@pytest.mark.parametrize("kind", ["local", "memory"])
def test_slots_come_back_in_order_from_the_packs_that_hold_them(tmp_path: Path, kind: str) -> None:
    storage = Storage(tmp_path if kind == "local" else f"memory://{tmp_path.name}")
    narrow, wide, more = trained(range(4), (8,)), trained(range(4, 6), (40,)), trained(range(6, 9), (8,))
    weights.save(storage, 1, [narrow, wide])
    weights.save(storage, 2, [more])
    expected = Slots.join([narrow, more]).select(["t7", "t1", "t0"])
    with weights.opened(storage, [1, 2, 1]) as states:
        found = states.gather({"t7": 2, "t1": 1, "t0": 1}, expected.configs, 1, inputs=11, classes=5)
        other = states.gather({"t5": 1}, wide.configs[1:], 1, inputs=11, classes=5)
    assert found.labels == expected.labels
    assert (found.epoch, found.steps) == (1, 10)
    assert found.tensors.keys() == expected.tensors.keys()
    assert all(torch.equal(tensor, expected.tensors[name]) for name, tensor in found.tensors.items())
    assert torch.equal(other.tensors["params"][0], wide.tensors["params"][1])
    assert list(train(found, DATA, order_seed=7, to_epoch=2)) == list(train(expected, DATA, order_seed=7, to_epoch=2))


def test_states_that_are_gone_are_named(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    with pytest.raises(FileNotFoundError, match="000003"), weights.opened(storage, [3]):
        pass
