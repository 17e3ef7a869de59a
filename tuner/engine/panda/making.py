"""Making a panda: from a spec in which nothing is left to search, or from a trial of a sweep."""

from __future__ import annotations

import math
import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from models.config import Config
from tuner.engine import archive, build, sweep, weights
from tuner.engine.journal import FIRST_ENTRY, Entry, Journal, JournalError, rows_to_json
from tuner.engine.panda import states
from tuner.engine.panda.chronicle import LABEL
from tuner.engine.panda.schedule import Schedule
from tuner.engine.place import Place
from tuner.engine.storage import Storage, StorageError
from tuner.engine.sweep import new_id
from tuner.spec import NAME, NAME_RULE, Spec
from tuner.trial import Row, Stage, Trial, Value, seed_of

FOLDER = "pandas"
_OF_DECAY = {"decay": "schedule", "decay_rate": "rate", "decay_every": "every"}


@dataclass(frozen=True, slots=True)
class Start:
    """What a panda begins with. `rows` and `origin` are those of the trial that it goes on with, if it does."""

    schedule: Schedule
    epochs: int
    rows: Sequence[Row] = ()
    origin: Entry | None = None

    def to_json(self) -> dict[str, Any]:
        rows = [[LABEL, *row[1:]] for row in rows_to_json(self.rows)]
        return {"schedule": self.schedule.to_json(), "epochs": self.epochs, "rows": rows, "origin": self.origin}


def storage_of(place: Place, panda: str) -> Storage:
    """Where the panda of this id lives."""
    return place.storage.child(f"{FOLDER}/{panda}")


def fixed(spec: Spec) -> dict[str, Value]:
    """The one configuration of `spec`; ValueError, which names all that is searched, if there are more."""
    space = spec.space()
    if not space.axes:
        return space.decode(())
    named = [f"  --set {_key(spec, axis.name)}={_short(axis.domain.from_unit(0.5))}" for axis in space.axes]
    raise ValueError(
        "a panda trains one model, so every hyperparameter must have one value, and these are searched: "
        f"{', '.join(axis.name for axis in space.axes)}. Write a value into the spec, or fix them, for example with\n"
        + "\n".join(named)
    )


def start(spec: Spec, place: Place, panda: str | None = None, epochs: int | None = None) -> str:
    """Reads the data and writes the panda's first entry; returns its id. Trains nothing.

    `epochs` is the epoch to train to, by default the spec's longest training. Its first weights are those of the
    first trial that a sweep of the spec would draw. ValueError or StorageError before anything is written.
    """
    params = fixed(spec)
    panda, storage = _free(panda or new_id(f"{spec.name}-panda"), place)
    snapshot = build.snapshot(spec, place.snapshots)
    archive.keep(snapshot, place.storage)
    schedule = Schedule(seed_of(spec.search.seed, "trial", 0), params)
    about = {"name": spec.name, "spec": spec.model_dump(mode="json", by_alias=True), "spec_yaml": spec.to_yaml()}
    about |= {"snapshot": build.facts(snapshot)}
    _create(storage, panda, about, Start(schedule, epochs or spec.stopping.last))
    return panda


def adopt(sweep_id: str, trial_id: str, place: Place, panda: str | None = None, epochs: int | None = None) -> str:
    """Makes a panda that goes on with a sweep's trial, on the sweep's data and order; returns its id.

    Its line begins with the trial's evaluations; its state is taken from the sweep where it is there, else it will be
    trained again, to the same numbers. `epochs` is by default twice as many as the trial has.
    """
    found = place.sweep(sweep_id)
    _, ledger, _ = sweep.load(found)
    if trial_id not in ledger.rows:
        raise ValueError(f"no trial {trial_id!r} with evaluations in sweep {sweep_id}: `caviar best` lists trials")
    trial, rows = ledger.trials[trial_id], ledger.rows[trial_id]
    if trial.stage is Stage.REFIT:
        raise ValueError(f"{trial_id} was trained on the validation rows, too: adopt {trial.source}, which it repeats")
    if not math.isfinite(rows[-1].val_loss):
        raise ValueError(f"{trial_id} diverged at epoch {rows[-1].epoch}: there is nothing to go on with")
    if epochs is not None and epochs < rows[-1].epoch:
        raise ValueError(f"--epochs must be at least {rows[-1].epoch}, which {trial_id} has already, not {epochs}")
    panda, storage = _free(panda or new_id(f"{sweep_id[:20]}-{trial_id}"), place)
    created = Journal(found).read(1)
    archive.fetch(created["snapshot"]["digest"], place.storage, place.snapshots)
    schedule = Schedule(trial.seed, trial.params)
    _take_state(found, trial, rows[-1].epoch, storage, schedule)
    origin = {"sweep": sweep_id, "trial": trial_id, "epoch": rows[-1].epoch}
    _create(storage, panda, created, Start(schedule, epochs or 2 * rows[-1].epoch, rows, origin))
    return panda


def _take_state(found: Storage, trial: Trial, epoch: int, to: Storage, schedule: Schedule) -> bool:
    """Copies the trial's weights and optimizer, if a pack of the sweep has left them."""
    created = Journal(found).read(1)
    inputs, classes = created["snapshot"]["inputs"], len(created["snapshot"]["classes"])
    config = Config.of(trial.params, trial.seed)
    try:
        pack = _last_pack(found, trial.id)
        with weights.opened(found, [pack]) as stored:
            slots = stored.gather({trial.id: pack}, [config], epoch, inputs=inputs, classes=classes)
    except (LookupError, FileNotFoundError):
        return False
    slots.labels = [LABEL]
    states.save(to, schedule, slots)
    return True


def _last_pack(found: Storage, trial: str) -> int:
    """The last search pack that trained the trial to its end. LookupError if there is none."""
    packs: dict[int, set[str]] = {}
    last = None
    for _, entry in Journal(found).entries():
        if entry["kind"] == "pack" and entry["pack"]["stage"] == Stage.SEARCH:
            packs[entry["pack"]["id"]] = {one["id"] for one in entry["pack"]["trials"]}
        elif entry["kind"] == "done" and trial in packs.get(entry["pack"], ()):
            last = entry["pack"]
    if last is None:
        raise LookupError(trial)
    return int(last)


def _create(storage: Storage, panda: str, about: Entry, begin: Start) -> None:
    made = {"kind": "created", "time": time.time(), "sweep": panda, "uid": secrets.token_hex(8)}
    made |= {key: about[key] for key in ("name", "spec", "spec_yaml", "snapshot")}
    try:
        Journal(storage).append({**made, "panda": begin.to_json()})
    except JournalError:
        raise ValueError(_taken(panda)) from None
    storage.write("spec.yaml", about["spec_yaml"].encode())  # for people, once the journal says whose it is


def _short(value: Value) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _free(panda: str, place: Place) -> tuple[str, Storage]:
    if not re.fullmatch(NAME, panda):
        raise ValueError(f"a panda's id must be {NAME_RULE}, not {panda!r}")
    storage = storage_of(place, panda)
    if not storage.is_shared:
        raise StorageError(f"storage {storage.uri} is seen by one process only: choose another")
    if storage.exists(FIRST_ENTRY):
        raise ValueError(_taken(panda))
    return panda, storage


def _taken(panda: str) -> str:
    return f"panda {panda} exists already: `caviar panda resume {panda}` goes on with it"


def _key(spec: Spec, name: str) -> str:
    """Where a spec says what the hyperparameter is."""
    known = re.sub(r"(?<=hidden_units)_\d+$", "", name)
    if known in _OF_DECAY:
        return f"train.learning_rate_decay.{_OF_DECAY[known]}"
    return f"model.{known}" if known in type(spec.model).model_fields else f"train.{known}"
