"""Weights and optimizer after some epochs of a panda's line, each an object named by what it is a function of."""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from itertools import pairwise

from safetensors import safe_open
from safetensors.torch import save_file

from models.config import Config
from models.training import Slots
from tuner.engine.panda.chronicle import LABEL
from tuner.engine.panda.schedule import Schedule
from tuner.engine.storage import Storage

FOLDER = "state"
SHARE = 8  # the way to train again is at most a part in so many of the way back
_NAME = re.compile(r"(\d{6,})-[0-9a-f]{16}\.safetensors")


def name(schedule: Schedule, epoch: int) -> str:
    """The object of the state after `epoch` epochs of `schedule`: no other line can have it by mistake."""
    return f"{FOLDER}/{epoch:06d}-{schedule.key(epoch)}.safetensors"


def save(panda: Storage, schedule: Schedule, slots: Slots) -> None:
    """Writes the state of the one slot, whole or not at all."""
    with panda.file_to_write(name(schedule, slots.epoch)) as file:
        save_file(slots.save_tensors(), file)


def nearest(panda: Storage, schedule: Schedule, epoch: int, *, inputs: int, classes: int) -> Slots:
    """The last state of this line that is there, of `epoch` or an earlier epoch; else the first weights."""
    there = set(panda.names(FOLDER))
    for at in sorted({_epoch(file) for file in there}, reverse=True):
        if 0 < at <= epoch and (wanted := name(schedule, at)).removeprefix(f"{FOLDER}/") in there:
            config = Config.of(schedule.at(max(at - 1, 0)), schedule.seed)
            with panda.file_to_read(wanted) as path, safe_open(path, "pt") as file:
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  # no mapping
            return Slots.restore([LABEL], [config], at, tensors, inputs=inputs, classes=classes)
    return Slots.start([LABEL], [Config.of(schedule.at(0), schedule.seed)], inputs, classes)


def thin(panda: Storage, schedule: Schedule, newest: int, pinned: Collection[int]) -> None:
    """Removes what `kept` does not name, and what is of other lines: both can be trained again."""
    there = panda.names(FOLDER)
    epochs = {_epoch(file) for file in there}
    wanted = {name(schedule, epoch).removeprefix(f"{FOLDER}/") for epoch in kept(epochs, newest, pinned)}
    for file in there:
        if file not in wanted and _NAME.fullmatch(file):
            panda.remove(f"{FOLDER}/{file}")


def kept(epochs: Collection[int], newest: int, pinned: Collection[int]) -> set[int]:
    """Those of `epochs` to keep: the last, the `pinned`, and so many that the way from one of them to any epoch in
    between is at most an eighth of the way from there to the `newest`. What was kept before stays fit for that.
    """
    ordered = sorted(epoch for epoch in epochs if 0 < epoch <= newest)
    chosen = [0]  # the first weights are always at hand
    for here, following in pairwise([*ordered, math.inf]):
        if following - chosen[-1] > (newest - here) // SHARE or here in pinned:
            chosen.append(int(here))
    return set(chosen[1:])


def _epoch(file: str) -> int:
    """The epoch of a state's object; -1 for what is none."""
    found = _NAME.fullmatch(file)
    return int(found[1]) if found else -1
