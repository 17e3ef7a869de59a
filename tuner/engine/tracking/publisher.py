"""The loop that keeps MLflow in step with a journal: sessions with the store, a new one after every trouble."""

from __future__ import annotations

import contextlib
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
from tuner.engine.tracking.cursor import Cursor
from tuner.engine.tracking.panda import is_panda
from tuner.engine.tracking.panda_surface import PandaSurface
from tuner.engine.tracking.publication import Publication
from tuner.engine.tracking.store import MlflowStore, RefusedError, told
from tuner.engine.tracking.surface import Surface
from tuner.spec import masked

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
    longest_pause: float = LONGEST_PAUSE,
) -> bool:
    """Sends a sweep's journal to the MLflow store `uri`; True if all of it is there.

    With `closed` it follows the journal until the sweep's end is sent, or until `closed` is set; a sweep without an
    end is then shown as interrupted. Without `closed` it sends what there is. A store that is away is tried again,
    after pauses that grow to `longest_pause` seconds: forever while it follows, else for `drain_seconds`. `error` in
    tracking.json says so meanwhile.
    """
    with _alone(Storage(sweep_uri)):
        return _Publisher(sweep_uri, uri, closed, drain_seconds, longest_pause).run()


class _Publisher:
    """The loop of `publish`: sessions with MLflow, a new one after every trouble."""

    def __init__(
        self, sweep_uri: str, uri: str, closed: threading.Event | None, drain_seconds: float, longest_pause: float
    ) -> None:
        self._sweep = Storage(sweep_uri)
        self._uri = uri
        self._closed = closed or threading.Event()
        self._follow = closed is not None
        self._draining = not self._follow  # trouble may last `drain_seconds`, and no longer
        self._drain_seconds = drain_seconds
        self._deadline = time.monotonic() + drain_seconds
        self._longest_pause = longest_pause
        self._surface = PandaSurface(self._sweep) if is_panda(self._sweep) else Surface(self._sweep)
        self._troubled = False
        self._begun = False

    def run(self) -> bool:
        """Sends until the sweep has ended, or its driver has left and patience ends; whether MLflow has everything."""
        session: Publication | None = None
        pause = FIRST_PAUSE
        while True:
            if self._closed.is_set() and not self._draining:
                self._draining, self._deadline = True, time.monotonic() + self._drain_seconds
            try:
                session = session or self._open()
                sent = session.step()
                self._look(session)
                pause, self._deadline = FIRST_PAUSE, time.monotonic() + self._drain_seconds
                if not sent and self._at_end(session):
                    return not session.refused
                if sent < ENTRIES and self._follow and not session.projection.ended:
                    self._closed.wait(TICK)
            except Exception as error:  # whatever it is, the journal keeps the sweep: tell, pause, begin anew
                session = None
                self._tell(error)
                if self._draining and time.monotonic() + pause > self._deadline:
                    return False
                self._pause(pause)
                pause = min(2 * pause, self._longest_pause)

    def _at_end(self, session: Publication) -> bool:
        """Whether nothing more will come, with the last touches given."""
        if self._follow and not (session.projection.ended or self._closed.is_set()):
            return False
        if self._follow and not session.projection.ended:
            session.abandon(time.time())
        self._look(session, last=True)
        if self._troubled:  # a request that was given up may have been served late: look once more for doubles
            self._troubled = False
            session.check()
        return True

    def _look(self, session: Publication, *, last: bool = False) -> None:
        """Serves those who work with the sweep's run in MLflow; what it refuses there holds up nothing.

        Once the journal has ended, nobody obeys any more: then there is the last look alone, which says so.
        """
        if self._follow and session.run_id and (last or not session.projection.ended):
            with contextlib.suppress(RefusedError):
                self._surface.look(session.store, session.run_id, session.state, last=last)

    def _open(self) -> Publication:
        store = MlflowStore(self._uri)
        store.check()  # before the journal is read anew
        cursor = Cursor.read(self._sweep, self._uri)
        if not self._begun:
            cursor.rewind(self._sweep)
            self._begun = True
        return Publication(self._sweep, store, cursor, ENTRIES)

    def _tell(self, error: Exception) -> None:
        """Notes the trouble where `caviar status` finds it, and in the log."""
        self._troubled = True
        text = told(f"{type(error).__name__}: {error}")
        where = masked(self._uri)
        print(f"{time.strftime('%F %T')} not published to {where} for now: {text}", file=sys.stderr, flush=True)
        try:
            cursor = Cursor.read(self._sweep, self._uri)
            cursor.error = text
            cursor.write(self._sweep)
        except Exception as second:
            print(f"tracking.json is not writable either: {told(second)}", file=sys.stderr, flush=True)

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
