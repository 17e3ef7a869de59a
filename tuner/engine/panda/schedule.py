"""What a model was trained with, epoch by epoch: the start, and every change with its place. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

from tuner.trial import Value

DECAY_START = "decay_start"  # in the parameters of an epoch: where decay counts from


@dataclass(frozen=True)
class Change:
    """`values` are new after `epoch` epochs were trained: the epoch that follows is the first under them."""

    epoch: int
    values: Mapping[str, Value]

    def __str__(self) -> str:
        return f"after epoch {self.epoch}: " + ", ".join(f"{name}={value}" for name, value in self.values.items())


@dataclass(frozen=True)
class Schedule:
    """The seed of the first weights, the hyperparameters of the start, and changes in order, at most one an epoch."""

    seed: int
    params: Mapping[str, Value]
    changes: tuple[Change, ...] = ()

    def __post_init__(self) -> None:
        epochs = [change.epoch for change in self.changes]
        if epochs != sorted(set(epochs)) or min(epochs, default=0) < 0:
            raise ValueError(f"changes must be in order, at most one an epoch, not at epochs {epochs}")

    def at(self, epoch: int) -> dict[str, Value]:
        """What the epoch that follows `epoch` trained ones is trained with.

        After a change of the learning rate `decay_start` is among it: the epoch of that change.
        """
        values = dict(self.params)
        for change in self._until(epoch + 1):
            values |= change.values
            if "learning_rate" in change.values:
                values[DECAY_START] = change.epoch
        return values

    def shown(self, epoch: int) -> dict[str, Value]:
        """The same in the words of a spec."""
        return {name: value for name, value in self.at(epoch).items() if name != DECAY_START}

    def changed(self, epoch: int, values: Mapping[str, Value]) -> Schedule:
        """With `values` set after `epoch` epochs; ValueError if there is a later change, which would be rewritten."""
        if self.changes and self.changes[-1].epoch > epoch:
            raise ValueError(f"a change after epoch {epoch} would rewrite the past: there is one {self.changes[-1]}")
        before = dict(next((change.values for change in self.changes if change.epoch == epoch), {}))
        if not before and not values:
            return self
        return replace(self, changes=(*self._until(epoch), Change(epoch, before | dict(values))))

    def cut(self, epoch: int) -> Schedule:
        """What the first `epoch` epochs were trained with, and nothing that took effect later."""
        return replace(self, changes=tuple(self._until(epoch)))

    def next_change(self, epoch: int) -> int | None:
        """The number of trained epochs, above `epoch`, after which something changes next."""
        return next((change.epoch for change in self.changes if change.epoch > epoch), None)

    def key(self, epoch: int) -> str:
        """16 hexadecimal digits that name all that the weights after `epoch` epochs depend on, but for the data."""
        text = json.dumps(self.cut(epoch).to_json(), sort_keys=True, allow_nan=False)
        return blake2b(text.encode(), digest_size=8).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; a change that took effect after epoch 3 reads {"after_epoch": 3, "set": {…}}."""
        changes = [{"after_epoch": change.epoch, "set": dict(change.values)} for change in self.changes]
        return {"seed": self.seed, "start": dict(self.params), "changes": changes}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Schedule:
        changes = tuple(Change(change["after_epoch"], dict(change["set"])) for change in value["changes"])
        return cls(value["seed"], dict(value["start"]), changes)

    def _until(self, epoch: int) -> Iterator[Change]:
        """The changes that took effect before `epoch` epochs were trained."""
        return (change for change in self.changes if change.epoch < epoch)
