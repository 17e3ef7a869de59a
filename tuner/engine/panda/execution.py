"""Runs a panda from wherever its journal stands: trained in this process, published beside it, concluded."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tuner.engine import archive, status
from tuner.engine.journal import FIRST_ENTRY, Entry, Journal, JournalError
from tuner.engine.panda import making, requests
from tuner.engine.panda.board import Board
from tuner.engine.panda.chronicle import Chronicle
from tuner.engine.panda.conclusion import conclude
from tuner.engine.panda.outlook import outlook
from tuner.engine.panda.requests import Request, Verb
from tuner.engine.panda.session import Session
from tuner.engine.panda.settings import EPOCHS
from tuner.engine.place import Place
from tuner.engine.publisher import Published, Publisher
from tuner.engine.storage import Storage
from tuner.trial import Row

DRAIN_SECONDS = 60.0  # how long a panda that has ended waits for MLflow
ENDINGS = {"finished": "finished", "stopped": "stopped", "diverged": "failed"}
Show = Callable[[Chronicle, Row], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a panda ended: finished, stopped or diverged. `result` is there if it finished.

    `unused` says whether something was set after its last epoch, under which no epoch was trained.
    """

    ended: str
    epoch: int
    result: dict[str, Any] | None
    published: Published
    unused: bool


def load(place: Place, panda: str) -> Chronicle:
    """What the journal of the panda says. ValueError if there is none of this id."""
    storage = making.storage_of(place, panda)
    if not storage.exists(FIRST_ENTRY):
        raise ValueError(f"no panda {panda!r} in {place.storage.uri}: `caviar panda list` shows those there are")
    return Chronicle.of(entry for _, entry in Journal(storage).entries())


def execute(
    place: Place,
    panda: str,
    show: Show = lambda _chronicle, _row: None,
    *,
    epochs: int | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> Outcome:
    """Trains the panda to its goal, or until it is told to stop; KeyboardInterrupt and errors leave all as it was.

    With `epochs` that is its goal from now on; ValueError if its line is longer. JournalError if another process
    trains it. `show` and `tell` are those of a `Session`.
    """
    storage = making.storage_of(place, panda)
    created = load(place, panda).created
    _refuse_a_second_driver(storage)
    if epochs:
        longer = Request(Verb.SET, {EPOCHS: epochs})
        outlook(storage).chronicle.entry_for(longer)
        requests.ask(storage, longer)
    archive.fetch(created["snapshot"]["digest"], place.storage, place.snapshots)
    with Board(storage, show) as board:
        session = Session(storage, place.snapshots, board.show, tell=tell)
        board.write(session.chronicle, "running")
        session.begin()  # before the publisher looks, for which an earlier end would be the end
        with Publisher(storage, created["spec"]["tracking"]["uri"] or place.tracking, _log(storage)) as publisher:
            ended = _train(session, board)
            published = publisher.wait(DRAIN_SECONDS)
    found = session.chronicle
    unused = any(change.epoch == found.epoch for change in found.schedule.changes)
    return Outcome(ended, found.epoch, found.result["result"] if found.result else None, published, unused)


def _train(session: Session, board: Board) -> str:
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
    """The journal's entry, above number `after`, that says what became of a request.

    None if none came in time, or if nobody trains the panda any more.
    """
    deadline = time.monotonic() + seconds
    while True:
        over = not is_trained(storage) or time.monotonic() > deadline  # before the look at what was written until then
        for number, entry in Journal(storage).entries(after):
            after = number
            if entry.get("request") == request:
                return entry
        if over:
            return None
        time.sleep(0.2)


def is_trained(storage: Storage) -> bool:
    """Whether a process trains it now."""
    seen = status.read(storage)
    return seen is not None and seen.status in status.ACTIVE


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
