"""What a sweep is made of and where it lives: made once from a spec, loaded again from its journal."""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tuner.engine import archive, build, earlier, inheritance, status
from tuner.engine.earlier import Earlier
from tuner.engine.history import History
from tuner.engine.inheritance import Inheritance
from tuner.engine.journal import FIRST_ENTRY, Journal
from tuner.engine.place import Place
from tuner.engine.storage import Storage, StorageError
from tuner.spec import NAME, NAME_RULE, Spec, parse

if TYPE_CHECKING:
    from tuner.engine.ledger import Ledger

LONGEST_ID = 64
Show = Callable[[status.Status], None]


class SweepExistsError(ValueError):
    """There is a sweep of that id already; resume it or choose another id."""


def create(spec: Spec, place: Place, sweep_id: str | None = None, show: Show = lambda _: None) -> str:
    """Reads the data, makes the snapshot and the journal's first entry; returns the sweep's id. Trains nothing.

    ValueError (an id that cannot be, data that cannot be used, a sweep that exists) or StorageError before
    anything else is started.
    """
    if sweep_id is not None and not re.fullmatch(NAME, sweep_id):
        raise ValueError(f"a sweep's id must be {NAME_RULE}, not {sweep_id!r}")
    sweep_id = sweep_id or new_id(spec.name)
    sweep = place.sweep(sweep_id)
    if not sweep.is_shared:
        raise StorageError(f"storage {sweep.uri} is seen by one process only, and workers are others: choose another")
    if sweep.exists(FIRST_ENTRY):
        raise SweepExistsError(f"sweep {sweep_id} exists already: `caviar resume {sweep_id}` goes on with it")
    build.sampler(spec)  # what it needs may not be installed
    known = earlier_sweeps(spec, place, sweep_id)
    snapshot = build.snapshot(spec, place.snapshots)
    inherited = inheritance.inherit(build.heir(spec, snapshot.digest), known)
    archive.keep(snapshot, place.storage)
    reporter = status.Reporter(sweep, sweep_id, spec.name, show)
    text = spec.to_yaml()
    sweep.write("spec.yaml", text.encode())
    sweep.write("snapshot.json", json.dumps(snapshot.description).encode())
    Journal(sweep).append(
        {
            "kind": "created",
            "time": time.time(),
            "sweep": sweep_id,
            "uid": secrets.token_hex(8),  # an id can be used again; MLflow keeps the runs of both sweeps apart by this
            "name": spec.name,
            "spec": spec.model_dump(mode="json", by_alias=True),
            "spec_yaml": text,
            "snapshot": build.facts(snapshot),
            "inherited": inherited.to_json() if known else None,
        }
    )
    reporter.report(None, "preparing")
    return sweep_id


def earlier_sweeps(spec: Spec, place: Place, sweep_id: str | None = None) -> list[Earlier]:
    """What `search.from` names, for the sweep `sweep_id`. ValueError where nothing can be taken over from one."""
    own = place.sweep(sweep_id) if sweep_id else None
    return earlier.read(spec.search.earlier or (), spec.space(), place.sweep, own)


def taken_over(sweep: Storage) -> list[str]:
    """What the sweep took over from each that `search.from` names: a line for each."""
    accounts = Inheritance.from_json(Journal(sweep).read(1).get("inherited")).accounts
    return [f"from {account['words']}" for account in accounts]


def load(sweep: Storage) -> tuple[Spec, Ledger, History]:
    """The sweep's spec, and its ledger replayed from the journal."""
    if not sweep.exists(FIRST_ENTRY):
        raise ValueError(f"{sweep.uri} holds no sweep, or one that was killed while it was made: run its spec again")
    created = Journal(sweep).read(1)
    spec = parse(created["spec_yaml"])
    taken = Inheritance.from_json(created.get("inherited")).lessons
    ledger = build.ledger(spec, created["snapshot"], taken)
    history = History(sweep, Journal(sweep), ledger)
    history.replay()
    return spec, ledger, history


def extend(sweep: Storage, trials: int | None, max_epochs: int | None) -> None:
    """Gives a sweep that nobody drives new totals (None: as they are), so that the next driver goes on with it.

    ValueError where the totals are no more than what there is.
    """
    _, ledger, history = load(sweep)
    if not history.extend(trials, max_epochs):
        done = f"{ledger.expected_trials} trials of up to {ledger.rule.rungs[-1]} epochs"
        raise ValueError(f"the sweep has {done} already: give more of either (a grid has no more trials than points)")


def new_id(name: str) -> str:
    """A sweep id that sorts by time and is taken by nobody else; a long name is cut, so that it is an id."""
    tail = f"-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    return name[: LONGEST_ID - len(tail)] + tail
