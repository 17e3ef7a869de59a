"""The sweep at a glance: a small object beside the journal, rewritten as the sweep runs."""

from __future__ import annotations

import json
import math
import os
import socket
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from tuner.engine import stages
from tuner.engine.ledger import Ledger
from tuner.engine.recent import Recent
from tuner.engine.result import counts
from tuner.engine.storage import Storage
from tuner.trial import Row, Stage

NAME = "status.json"
ACTIVE = ("preparing", "running", "paused")
SILENT_SECONDS = 60.0  # a sweep that says it runs, but was silent for so long, was interrupted
WRITE_SECONDS = 2.0
SHOW_SECONDS = 0.25
SHARE = 0.02  # of the driver's time that may go into the status: it looks at every trial


@dataclass(frozen=True, slots=True)
class Status:
    """Where a sweep stands. `rungs` lists (epochs, trials that got there); times in seconds.

    `busy` is the number of packs on workers, `begun` that of search trials with an evaluation of this attempt; `curve`
    and `decisions` are those of `Recent`.
    """

    sweep: str
    name: str
    status: str  # preparing, running, paused, finished, failed, interrupted, stopped
    phase: str = "search"  # search, confirm, refit, publish
    trials: int = 0
    states: dict[str, int] = field(default_factory=dict)
    rungs: list[tuple[int, int]] = field(default_factory=list)
    best: dict[str, Any] | None = None
    epochs: int = 0
    epochs_expected: int = 0
    seconds: float = 0.0
    running: list[str] = field(default_factory=list)
    halted: str = ""
    busy: int = 0
    begun: int = 0
    curve: list[tuple[int, float]] = field(default_factory=list)
    decisions: list[str] = field(default_factory=list)
    host: str = ""
    pid: int = 0
    time: float = 0.0
    created: float = 0.0

    @property
    def here(self) -> bool:
        """Whether its driver is, or was, on this machine."""
        return self.host == socket.gethostname()

    @property
    def epochs_per_second(self) -> float:
        return self.epochs / self.seconds if self.seconds > 0 else 0.0

    @property
    def trials_per_second(self) -> float:
        return self.begun / self.seconds if self.seconds > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """A guess from the speed so far; None before there is one, and where no training is left."""
        left = self.epochs_expected - self.epochs
        if self.phase not in ("search", "confirm") or self.epochs * 20 < self.epochs_expected or left <= 0:
            return None
        return left / self.epochs_per_second


def read(sweep: Storage, now: float | None = None) -> Status | None:
    """The status as last written; a silent runner counts as interrupted. None if there is no such sweep."""
    try:
        return parse(sweep.read(NAME), now)
    except FileNotFoundError:
        return None


def parse(text: str | bytes, now: float | None = None) -> Status:
    """The status that a driver wrote; a silent one counts as interrupted."""
    known = {field.name for field in fields(Status)}
    found = {key: value for key, value in json.loads(text).items() if key in known}  # others are of a newer version
    for name in ("rungs", "curve"):
        found[name] = [(epochs, value) for epochs, value in found.get(name, ())]
    status = Status(**found)
    silent = (time.time() if now is None else now) - status.time > SILENT_SECONDS
    gone = _is_dead(status) if status.here else silent  # a long epoch is silent, but alive
    if status.status in ACTIVE and gone:
        return Status(**{**asdict(status), "status": "interrupted"})
    return status


def _is_dead(status: Status) -> bool:
    """Whether the driver's process is gone; after a restart another one may have its number."""
    import psutil

    try:
        return bool(psutil.Process(status.pid).create_time() > status.time + 1.0)
    except psutil.NoSuchProcess:
        return True
    except psutil.AccessDenied:
        return False


class Reporter:
    """Makes and writes the status of one running sweep, and hands it to whoever shows it."""

    def __init__(self, sweep: Storage, sweep_id: str, name: str, show: Callable[[Status], None]) -> None:
        self._sweep = sweep
        self._id = sweep_id
        self._name = name
        self._show = show
        self._began = time.monotonic()
        self._written = self._shown = -math.inf
        self._took = 0.0
        self._epochs_before = self._begun_before = 0
        before = read(sweep)
        self._created = before.created if before else time.time()
        self._recent = Recent(before.curve if before else ())

    def resume(self, ledger: Ledger) -> None:
        """What earlier attempts did doesn't count in the speed, and is no news."""
        self._epochs_before, self._begun_before = ledger.epochs, begun(ledger)
        self._recent.skip(ledger)

    def report(
        self, ledger: Ledger | None, status: str, phase: str = "", running: dict[str, Row] | None = None
    ) -> None:
        """Shows the status, and writes it; of a running sweep not at every call, because both take time."""
        now = time.monotonic()
        routine = status == "running" and not phase
        if routine and now - self._shown < max(SHOW_SECONDS, self._took / SHARE):
            return
        made = self._make(ledger, status, phase, running or {})
        self._show(made)
        self._shown = time.monotonic()
        self._took = self._shown - now
        if not routine or now - self._written > WRITE_SECONDS:
            self._written = now
            self._sweep.write(NAME, json.dumps(asdict(made)).encode())

    def _make(self, ledger: Ledger | None, status: str, phase: str, running: dict[str, Row]) -> Status:
        common: dict[str, Any] = {
            "sweep": self._id,
            "name": self._name,
            "status": status,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "time": time.time(),
            "created": self._created,
            "seconds": time.monotonic() - self._began,
        }
        if ledger is None:
            return Status(**common, phase=phase or "snapshot")
        best = next(iter(ledger.ranked()), None)
        row = ledger.best_row(best.id) if best else None
        self._recent.look(ledger, row.val_loss if row else None)
        live = sum(row.epoch for trial, row in running.items() if trial not in ledger.rows)
        return Status(
            **common,
            phase=phase or ledger.stage.value,
            trials=ledger.expected_trials,
            states=counts(ledger),
            rungs=reached(ledger),
            best={"trial": row.trial, "val_loss": row.val_loss, "val_accuracy": row.val_accuracy} if row else None,
            epochs=ledger.epochs + live - self._epochs_before,
            epochs_expected=expected_epochs(ledger) - self._epochs_before,
            running=[pack.reason for pack in ledger.open.values()],
            halted=ledger.halted,
            busy=len(ledger.open),
            begun=begun(ledger) - self._begun_before,
            curve=list(self._recent.curve),
            decisions=list(self._recent.decisions),
        )


def begun(ledger: Ledger) -> int:
    """How many search trials have an evaluation."""
    return sum(bool(rows) and ledger.trials[trial].stage is Stage.SEARCH for trial, rows in ledger.rows.items())


def reached(ledger: Ledger) -> list[tuple[int, int]]:
    """For each rung its epochs and how many search trials have been evaluated there."""
    searched = [rows for trial, rows in ledger.rows.items() if ledger.trials[trial].stage is Stage.SEARCH]
    last = [rows[-1].epoch for rows in searched if rows]
    return [(epochs, sum(epoch >= epochs for epoch in last)) for epochs in ledger.rule.rungs]


def expected_epochs(ledger: Ledger) -> int:
    """About how many epochs the whole sweep will train: the search by its stopping rule, then what follows it."""
    terms = ledger.terms
    spent = ledger.rule.expected_epochs(ledger.expected_trials)
    if ledger.halted:
        spent = float(sum(len(ledger.rows.get(trial.id, ())) for trial in ledger.ranked()))
    later = terms.confirm * terms.seeds + 1 + (len(stages.BASELINE_RATES) + 1 if terms.baseline else 0)
    return round(spent + later * ledger.rule.rungs[-1])
