"""Runs a panda from wherever its journal stands: trained in this process, published beside it, concluded."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from tuner.engine import archive, status
from tuner.engine.journal import FIRST_ENTRY, Entry, Journal, JournalError
from tuner.engine.panda import making
from tuner.engine.panda.chronicle import Chronicle
from tuner.engine.panda.conclusion import conclude
from tuner.engine.panda.session import Session
from tuner.engine.publisher import Published, Publisher
from tuner.engine.status import Status
from tuner.engine.storage import Storage
from tuner.engine.sweep import Place
from tuner.trial import Row

DRAIN_SECONDS = 60.0  # how long a panda that has ended waits for MLflow
ENDINGS = {"finished": "finished", "stopped": "stopped", "diverged": "failed"}
Show = Callable[[Chronicle, Row], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a panda ended: finished, stopped or diverged. `result` is there if it finished."""

    ended: str
    epoch: int
    result: dict[str, Any] | None
    published: Published


def load(place: Place, panda: str) -> Chronicle:
    """What the journal of the panda says. ValueError if there is none of this id."""
    storage = making.storage_of(place, panda)
    if not storage.exists(FIRST_ENTRY):
        raise ValueError(f"no panda {panda!r} in {place.storage.uri}: `caviar panda list` shows those there are")
    return Chronicle.of(entry for _, entry in Journal(storage).entries())


def execute(place: Place, panda: str, show: Show = lambda _chronicle, _row: None) -> Outcome:
    """Trains the panda to its goal, or until it is told to stop; KeyboardInterrupt and errors leave all as it was."""
    storage = making.storage_of(place, panda)
    created = load(place, panda).created
    _refuse_a_second_driver(storage)
    archive.fetch(created["snapshot"]["digest"], place.storage, place.snapshots)
    board = _Board(storage, show)
    session = Session(storage, place.snapshots, board.show)
    board.write(session.chronicle, "running")
    session.begin()  # before the publisher looks, for which an earlier end would be the end
    with Publisher(storage, created["spec"]["tracking"]["uri"] or place.tracking, _log(storage)) as publisher:
        ended = _train(session, board)
        published = publisher.wait(DRAIN_SECONDS)
    found = session.chronicle
    return Outcome(ended, found.epoch, found.result["result"] if found.result else None, published)


def _train(session: Session, board: _Board) -> str:
    found, ended, reason = session.chronicle, "failed", ""
    try:
        ended = session.run()
        if ended == "finished" and found.result is None:
            conclude(session)
        if ended == "diverged":
            reason = f"its loss was not finite at epoch {found.epoch}: rewind to an epoch before it"
    except BaseException as error:
        word = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
        with contextlib.suppress(OSError):  # where not even that can be written, the journal up to here still stands
            session.save_rows()
            session.write("ended", status=word, reason=str(error) or word)
        with contextlib.suppress(OSError):
            board.write(found, word)
        raise
    session.write("ended", status=ENDINGS[ended], reason=reason or ended)
    board.write(found, ENDINGS[ended])
    return ended


def answer(storage: Storage, request: str, after: int, seconds: float) -> Entry | None:
    """The journal's entry, above number `after`, that says what became of a request; None if none came in time."""
    deadline = time.monotonic() + seconds
    while True:
        for number, entry in Journal(storage).entries(after):
            after = number
            if entry.get("request") == request:
                return entry
        if time.monotonic() > deadline:
            return None
        time.sleep(0.2)


class _Board:
    """The panda's status.json, by which others see that it is trained, and where."""

    def __init__(self, storage: Storage, show: Show) -> None:
        self._storage, self._then = storage, show
        self._written = 0.0

    def show(self, found: Chronicle, row: Row) -> None:
        """After an epoch; not every one is written."""
        if time.monotonic() - self._written > status.WRITE_SECONDS:
            self.write(found, "running", row)
        self._then(found, row)

    def write(self, found: Chronicle, word: str, row: Row | None = None) -> None:
        last, best = row or (found.rows[-1] if found.rows else None), found.best()
        made = Status(
            sweep=str(found.created["sweep"]),
            name=str(found.created["name"]),
            status=word,
            phase="panda",
            trials=1,
            best={"epoch": best.epoch, "val_loss": best.val_loss, "val_accuracy": best.val_accuracy} if best else None,
            epochs=last.epoch if last else 0,
            epochs_expected=found.goal,
            host=socket.gethostname(),
            pid=os.getpid(),
            time=time.time(),
            created=found.created["time"],
        )
        self._storage.write(status.NAME, json.dumps(asdict(made)).encode())
        self._written = time.monotonic()


def _refuse_a_second_driver(storage: Storage) -> None:
    found = status.read(storage)
    if found and found.status in status.ACTIVE and (found.host, found.pid) != (socket.gethostname(), os.getpid()):
        raise JournalError(
            f"panda {found.sweep} is being trained on {found.host} (process {found.pid}). If that machine is gone, "
            f"try again in {status.SILENT_SECONDS:.0f} seconds"
        )


def _log(storage: Storage) -> str | None:
    local = storage.local("tracking.log")
    return str(local) if local else None
