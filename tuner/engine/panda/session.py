"""One process training a panda: epoch after epoch, looking for requests in between, losing nothing."""

from __future__ import annotations

import math
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from models.training import Slots
from tuner.engine import interrupts
from tuner.engine.assignment import Assignment
from tuner.engine.journal import Journal, rows_to_json
from tuner.engine.panda import line, requests, states
from tuner.engine.panda.chronicle import Chronicle
from tuner.engine.panda.requests import Request, Verb
from tuner.engine.storage import Storage
from tuner.trial import Row

COMMIT_SECONDS = 0.5  # of training are lost at most with the process, and come out the same when trained again
STATE_SHARE = 0.2  # of the time may go into writing states
LOOK_SECONDS = 1.0  # between two looks into an inbox that is a server's; a folder is looked into after every epoch


class Session:
    """The only writer of the panda's journal.

    `show` is called after every epoch, with all that is known; `tell` with a sentence for each request that was obeyed
    or refused.
    """

    def __init__(
        self,
        panda: Storage,
        snapshots: Path,
        show: Callable[[Chronicle, Row], None] = lambda _chronicle, _row: None,
        commit_seconds: float = COMMIT_SECONDS,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._panda = panda
        self._journal = Journal(panda)
        self.chronicle = Chronicle.of(entry for _, entry in self._journal.entries())
        self.given = Assignment(panda, snapshots)
        self._show, self._tell = show, tell
        self._pause = commit_seconds
        self._slots: Slots | None = None
        self._pending: list[Row] = []  # trained, and not yet in the journal
        self._committed = self._looked = time.monotonic()
        self._took = 0.0  # seconds that the last commit took

    def begin(self) -> None:
        """Notes that this process trains the panda, and does what was asked while none did.

        What is left of a request to stop is dropped: whoever starts a panda wants it to train.
        """
        self.write("attempt", host=socket.gethostname())
        self._obey(Verb.STOP)

    def run(self) -> str:
        """Trains to the goal; `begin` comes first. Returns what the panda is then: finished, stopped or diverged."""
        stopped, found = False, self.chronicle
        while not stopped and not found.diverged:
            if found.epoch >= found.goal:
                self._obey(Verb.STOP)  # what came in during the last epoch: it may go on, but it has no need to stop
                if found.epoch >= found.goal:
                    break
            stopped = self._train()
        if found.diverged:
            return "diverged"
        return "stopped" if stopped else "finished"

    def write(self, kind: str, **fields: Any) -> None:
        """Appends an entry, and takes it in."""
        entry = {"kind": kind, "time": time.time(), **fields}
        self._journal.append(entry)
        self.chronicle.apply(entry)

    def save_rows(self) -> None:
        """Writes the rows of epochs that are at their end, without the state, which may be in the middle of one."""
        if self._pending:
            rows, self._pending = self._pending, []
            self.write("evaluated", rows=rows_to_json(rows))

    def _train(self) -> bool:
        """Trains until the schedule changes, the goal is reached, or the loss is not finite; whether it is to stop."""
        found = self.chronicle
        slots = self._slots = self._slots or line.at(self.given, found.schedule, found.epoch)
        for row in line.advance(slots, found.schedule, self.given, found.goal):
            self._pending.append(row)
            self._show(found, row)
            interrupts.heed()
            if not math.isfinite(row.val_loss):
                break
            if self._is_due() or self._has_news():
                self._commit()
                schedule, goal = found.schedule, found.goal
                if self._obey():
                    return True
                if self._slots is not slots or (schedule, goal) != (found.schedule, found.goal):
                    return False
        self._commit()
        return False

    def _commit(self) -> None:
        """State first, then the rows: what the journal tells of can be gone on from."""
        began, slots = time.monotonic(), self._slots
        if self._pending and slots and slots.labels:
            states.save(self._panda, self.chronicle.schedule, slots)
        self.save_rows()
        best = self.chronicle.best()
        pinned = {change.epoch for change in self.chronicle.schedule.changes} | ({best.epoch} if best else set())
        states.thin(self._panda, self.chronicle.schedule, self.chronicle.epoch, pinned)
        self._committed = time.monotonic()
        self._took = self._committed - began

    def _is_due(self) -> bool:
        wait = max(self._pause, self._took / STATE_SHARE) if self._pause else 0.0
        return time.monotonic() - self._committed >= wait

    def _has_news(self) -> bool:
        now = time.monotonic()
        if not self._panda.is_local and now - self._looked < LOOK_SECONDS:
            return False
        self._looked = now
        return bool(self._panda.names(requests.FOLDER))

    def _obey(self, dropped: Verb | None = None) -> bool:
        """Does what was asked, in order; whether training is to stop. Requests of the kind `dropped` are not done."""
        stop = False
        for name, request in requests.asked(self._panda):
            if name not in self.chronicle.obeyed:
                if request.verb is Verb.STOP:
                    stop = request.verb is not dropped
                else:
                    self._do(name, request)
            requests.done(self._panda, name)
        return stop

    def _do(self, name: str, request: Request) -> None:
        """Writes what obeying means; from then on it is done, whatever happens."""
        try:
            entry = self.chronicle.entry_for(request)
        except ValueError as error:
            self.write("refused", refused=str(error), asked=str(request), request=name)
            self._tell(f"{request}: refused: {error}")
            return
        kind = entry.pop("kind")
        self.write(kind, **entry, asked=str(request), request=name)
        self._tell(f"{request}: in effect after epoch {self.chronicle.epoch}")
        if kind == "rewound":
            self._slots = None
