"""The state of trials between rungs: one safetensors file a pack, from which later packs gather their slots."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from safetensors.torch import load, save

from models.config import Config
from models.training import Slots
from tuner.engine.storage import Storage


def name(pack_id: int) -> str:
    """The object that holds the weights and optimizer states of a pack's trials at its end."""
    return f"state/{pack_id:06d}.safetensors"


def pack(groups: Sequence[Slots]) -> bytes:
    """All groups of a pack as one file; its metadata lists the labels of each group."""
    tensors = {
        f"{at}.{key}": tensor
        for at, slots in enumerate(groups)
        if slots.labels
        for key, tensor in slots.save_tensors().items()
    }
    return save(tensors, {"groups": json.dumps([slots.labels for slots in groups])})


def gather(
    sweep: Storage, starts: Mapping[str, int], configs: Sequence[Config], epoch: int, *, inputs: int, classes: int
) -> Slots:
    """The slots that `starts` names (label -> pack), in that order, from the files of those packs.

    `configs` go with the labels; all share one shape and stand at `epoch`.
    """
    config_of = dict(zip(starts, configs, strict=True))
    parts = []
    for source in dict.fromkeys(starts.values()):
        data = sweep.read(name(source))
        wanted = {label for label, pack_id in starts.items() if pack_id == source}
        tensors = load(data)
        for at, labels in enumerate(_groups(data)):
            chosen = [label for label in labels if label in wanted]
            if chosen:
                index = [labels.index(label) for label in chosen]
                mine = {key.split(".", 1)[1]: tensors[key][index] for key in tensors if key.startswith(f"{at}.")}
                some = [config_of[label] for label in chosen]
                parts.append(Slots.restore(chosen, some, epoch, mine, inputs=inputs, classes=classes))
    return Slots.join(parts).select(list(starts))


def _groups(data: bytes) -> list[list[str]]:
    """The labels of each group, from the file's metadata."""
    size = int.from_bytes(data[:8], "little")
    groups: list[list[str]] = json.loads(json.loads(data[8 : 8 + size])["__metadata__"]["groups"])
    return groups
