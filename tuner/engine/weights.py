"""The state of trials between rungs: one safetensors file a pack, from which later packs gather their slots."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from safetensors import safe_open
from safetensors.torch import save_file

from models.config import Config
from models.training import Slots
from tuner.engine.storage import Storage


def name(pack_id: int) -> str:
    """The object that holds the weights and optimizer states of a pack's trials at its end."""
    return f"state/{pack_id:06d}.safetensors"


def save(sweep: Storage, pack_id: int, groups: Sequence[Slots]) -> None:
    """Writes all groups of a pack that has ended as one file; its metadata lists the labels of each group."""
    write(sweep, name(pack_id), groups, {})


def write(sweep: Storage, to: str, groups: Sequence[Slots], notes: Mapping[str, str]) -> None:
    """Writes groups and notes as the object `to`."""
    tensors = {
        f"{at}.{key}": tensor
        for at, slots in enumerate(groups)
        if slots.labels
        for key, tensor in slots.save_tensors().items()
    }
    with sweep.file_to_write(to) as file:
        save_file(tensors, file, {"groups": json.dumps([slots.labels for slots in groups]), **notes})


class States:
    """The state files of some packs, of which only what is asked for is read."""

    def __init__(self, files: Mapping[int, Any]) -> None:
        self._files = files

    def gather(
        self, starts: Mapping[str, int], configs: Sequence[Config], epoch: int, *, inputs: int, classes: int
    ) -> Slots:
        """The slots that `starts` names (label -> pack), in that order.

        `configs` go with the labels; all share one shape and stand at `epoch`.
        """
        config_of = dict(zip(starts, configs, strict=True))
        parts = []
        for pack_id in dict.fromkeys(starts.values()):
            file = self._files[pack_id]
            wanted = {label for label, source in starts.items() if source == pack_id}
            for at, labels in enumerate(json.loads(file.metadata()["groups"])):
                chosen = [label for label in labels if label in wanted]
                if chosen:
                    index = [labels.index(label) for label in chosen]
                    keys = [key for key in file.keys() if key.startswith(f"{at}.")]  # noqa: SIM118  # no mapping
                    mine = {key.split(".", 1)[1]: file.get_tensor(key)[index] for key in keys}
                    some = [config_of[label] for label in chosen]
                    parts.append(Slots.restore(chosen, some, epoch, mine, inputs=inputs, classes=classes))
        return Slots.join(parts).select(list(starts))


@contextmanager
def opened(sweep: Storage, packs: Iterable[int]) -> Iterator[States]:
    """The state files of `packs`, mapped into memory for the time of the block."""
    with ExitStack() as stack:
        files = {
            pack_id: stack.enter_context(safe_open(stack.enter_context(sweep.file_to_read(name(pack_id))), "pt"))
            for pack_id in sorted(set(packs))
        }
        yield States(files)
