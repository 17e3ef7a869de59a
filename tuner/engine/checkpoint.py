"""Where a pack stands between two rungs: written now and then and at a stop, taken up by whoever trains it next."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from safetensors import safe_open

from models.config import Config
from models.training import Slots
from tuner.engine import weights
from tuner.engine.journal import rows_from_json, rows_to_json
from tuner.engine.objects import partial_name
from tuner.engine.storage import Storage
from tuner.trial import Row, Trial

Timing = tuple[str, int, float]


@dataclass(slots=True)
class Progress:
    """What was done of a pack: its groups of slots in order, the last one perhaps not at its end; rows; timings.

    A timing is (a trial of the shape, epochs trained, seconds); `seconds` are those of all attempts.
    """

    groups: list[Slots] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    timings: list[Timing] = field(default_factory=list)
    seconds: float = 0.0


def save(sweep: Storage, pack_id: int, progress: Progress) -> None:
    """Writes all of it as one object, so that weights and rows belong together."""
    notes = {
        "epochs": [slots.epoch for slots in progress.groups],
        "rows": rows_to_json(progress.rows),
        "timings": progress.timings,
        "seconds": progress.seconds,
    }
    weights.write(sweep, partial_name(pack_id), progress.groups, {"progress": json.dumps(notes)})


def load(sweep: Storage, pack_id: int, shapes: Sequence[Sequence[Trial]], *, inputs: int, classes: int) -> Progress:
    """What an earlier attempt left; nothing, if there was none. `shapes` are the pack's trials, a list a group."""
    if not sweep.exists(partial_name(pack_id)):
        return Progress()
    with sweep.file_to_read(partial_name(pack_id)) as path, safe_open(path, "pt") as file:
        notes, labelled = (json.loads(file.metadata()[key]) for key in ("progress", "groups"))
        groups = []
        for at, (labels, epoch) in enumerate(zip(labelled, notes["epochs"], strict=True)):
            configs = {trial.id: Config.of(trial.params, trial.seed) for trial in shapes[at]}
            if not labels:  # all had diverged
                first = list(configs)[:1]
                groups.append(Slots.start(first, [configs[first[0]]], inputs, classes).select([]))
                continue
            keys = [key for key in file.keys() if key.startswith(f"{at}.")]  # noqa: SIM118  # no mapping
            tensors = {key.split(".", 1)[1]: file.get_tensor(key) for key in keys}
            chosen = [configs[label] for label in labels]
            groups.append(Slots.restore(labels, chosen, epoch, tensors, inputs=inputs, classes=classes))
    timings = [(trial, epochs, seconds) for trial, epochs, seconds in notes["timings"]]
    return Progress(groups, rows_from_json(notes["rows"]), timings, notes["seconds"])


def remove(sweep: Storage, pack_id: int) -> None:
    """The pack has ended: what lies between is of no use any more."""
    sweep.remove(partial_name(pack_id))
