"""The loop that keeps MLflow in step with a journal: sessions with the store, a new one after every trouble."""

from __future__ import annotations

import math
import os
import sys
import tempfile
import threading
import time
from contextlib import AbstractContextManager
from hashlib import blake2b
from pathlib import Path

from tuner.engine.locks import locked
from tuner.engine.storage import Storage
from tuner.engine.tracking.publication import Cursor, Publication
from tuner.engine.tracking.store import MlflowStore

ENTRIES = 100  # journal entries sent before the cursor moves
TICK = 1.0  # seconds between two looks at the journal; what came in between is sent together
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0  # seconds between two attempts at a store that is away
DRAIN_SECONDS = 8.0  # how long a publisher goes on without its driver


def publish(
    sweep_uri: str,
    uri: str,
    *,
    closed: threading.Event | None = None,
    drain_seconds: float = DRAIN_SECONDS,
    tick: float = TICK,
) -> bool:
    """Sends a sweep's journal to the MLflow store `uri`; True if all of it is there.

    With `closed` it follows the journal until the sweep's end is sent, or until `drain_seconds` after `closed` is
    set, when it shows a sweep without an end as interrupted. Without, it sends what there is. A store that is away
    is tried again; `error` in tracking.json says so meanwhile.
    """
    with _alone(Storage(sweep_uri)):
        return _Publisher(sweep_uri, uri, closed, drain_seconds, tick).run()


class _Publisher:
    """The loop of `publish`: sessions with MLflow, a new one after every trouble."""

    def __init__(
        self, sweep_uri: str, uri: str, closed: threading.Event | None, drain_seconds: float, tick: float
    ) -> None:
        self._sweep = Storage(sweep_uri)
        self._uri = uri
        self._follow = closed is not None
        self._closed = closed or threading.Event()
        self._drain_seconds = drain_seconds
        self._tick = tick
        self._deadline = math.inf if closed else time.monotonic() + drain_seconds
        self._troubled = False

    def run(self) -> bool:
        session: Publication | None = None
        pause = FIRST_PAUSE
        while True:
            if self._closed.is_set():
                self._deadline = min(self._deadline, time.monotonic() + self._drain_seconds)
            try:
                session = session or self._open()
                sent = session.step()
                pause = FIRST_PAUSE
                if not sent and self._at_end(session):
                    return not session.refused
                if sent < ENTRIES:
                    self._closed.wait(self._tick)
            except Exception as error:  # whatever it is, the journal keeps the sweep: tell, pause, begin anew
                session = None
                self._tell(error)
                if time.monotonic() + pause > self._deadline:
                    return False
                self._pause(pause)
                pause = min(2 * pause, LONGEST_PAUSE)

    def _at_end(self, session: Publication) -> bool:
        """Whether nothing more will come, with the last touches given."""
        if self._follow and not (session.projection.ended or self._closed.is_set()):
            return False
        if self._follow and not session.projection.ended:
            session.abandon(time.time())
        if self._troubled:  # a request that was given up may have been served late: look once more for doubles
            self._troubled = False
            session.check()
        return True

    def _open(self) -> Publication:
        cursor = Cursor.read(self._sweep, self._uri)
        return Publication(self._sweep, MlflowStore(self._uri), cursor, ENTRIES)

    def _tell(self, error: Exception) -> None:
        """Notes the trouble where `caviar status` finds it, and in the log."""
        self._troubled = True
        text = f"{type(error).__name__}: {error}"
        print(f"{time.strftime('%F %T')} not published to {self._uri} for now: {text}", file=sys.stderr, flush=True)
        try:
            cursor = Cursor.read(self._sweep, self._uri)
            cursor.error = text[:2000]
            cursor.write(self._sweep)
        except Exception as second:
            print(f"tracking.json is not writable either: {second}", file=sys.stderr, flush=True)

    def _pause(self, seconds: float) -> None:
        """Waits; only until the driver leaves, if it has not left yet."""
        if self._closed.is_set():
            time.sleep(seconds)
        else:
            self._closed.wait(seconds)


def _alone(sweep: Storage) -> AbstractContextManager[None]:
    """Waits until no other process on this machine publishes the sweep."""
    local = sweep.local("tracking.lock")
    name = blake2b(sweep.uri.encode(), digest_size=8).hexdigest()
    return locked(local or Path(tempfile.gettempdir()) / f"caviar-{os.getuid()}-{name}.lock")
