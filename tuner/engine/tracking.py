"""MLflow as a projection of the journal: the process that publishes a sweep, and what commands ask of MLflow.

The driver never imports this; it runs `python -m tuner.engine.tracking SWEEP --uri URI` beside itself and closes
that process's standard input when it leaves. So MLflow can neither fail nor slow a trial, and what it lacks is
still in the journal. MLflow itself is imported late, because that takes seconds.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import signal
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

from tuner.engine.locks import locked
from tuner.engine.storage import Storage
from tuner.trial import Row

if TYPE_CHECKING:
    from models.classifier import Classifier
    from tuner.engine.publication import Publication

ENTRIES = 100  # journal entries sent before the cursor moves
TICK = 1.0  # seconds between two looks at the journal; what came in between is sent together
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0  # seconds between two attempts at a store that is away
DRAIN_SECONDS = 8.0  # how long a publisher goes on without its driver


def embedded_uri(home: Path) -> str:
    """The MLflow store under CAVIAR_HOME: one SQLite file, with the artifacts beside it."""
    return f"sqlite:///{(home / 'mlflow.db').absolute()}"


def ui_command(uri: str, port: int = 5000) -> list[str]:
    """The command that serves the embedded store `uri` to a browser on this machine; ValueError for a server."""
    if not uri.startswith("sqlite"):
        raise ValueError(f"MLflow runs at {uri} already: open that address in a browser")
    from tuner.engine import mlflow_store

    mlflow_store.prepare(uri)
    artifacts = mlflow_store.artifact_root(uri).as_uri()
    serve = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    return [*serve, "--backend-store-uri", uri, "--default-artifact-root", artifacts]


def classifier_of(uri: str, model_uri: str) -> Classifier:
    """The classifier inside a model of the store `uri`, such as models:/NAME@champion. ValueError if there is none."""
    from tuner.engine import mlflow_models

    return mlflow_models.classifier_of(uri, model_uri)


@dataclass(frozen=True, slots=True)
class TrackedTrial:
    """What MLflow says about a trial. Parameters are texts there; `rows` are in order of epochs."""

    sweep: str
    trial: str
    seed: int
    params: dict[str, str]
    rows: list[Row]


def run_of(uri: str, run_id: str) -> TrackedTrial:
    """The trial behind an MLflow run. ValueError if there is no such run, or it is not one of Caviar's trials."""
    from tuner.engine.mlflow_store import MlflowStore, RefusedError

    try:
        tags, params, history = MlflowStore(uri).read(run_id)
    except RefusedError as error:
        raise ValueError(f"{uri} has no run {run_id}: {error}") from error
    if "caviar.trial" not in tags:
        raise ValueError(f"run {run_id} of {uri} is not a trial of Caviar: it lacks the tag caviar.trial")
    names = ("train_loss", "val_loss", "val_accuracy", "learning_rate", "time")
    rows = [
        Row(tags["caviar.trial"], epoch, *(values.get(name, math.nan) for name in names))
        for epoch, values in sorted(history.items())
        if "train_loss" in values
    ]
    seed = int(params.pop("seed"))
    return TrackedTrial(tags["caviar.sweep"], tags["caviar.trial"], seed, params, rows)


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
        from tuner.engine.mlflow_store import MlflowStore
        from tuner.engine.publication import Cursor, Publication

        cursor = Cursor.read(self._sweep, self._uri)
        return Publication(self._sweep, MlflowStore(self._uri), cursor, ENTRIES)

    def _tell(self, error: Exception) -> None:
        """Notes the trouble where `caviar status` finds it, and in the log."""
        from tuner.engine.publication import Cursor

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


def _alone(sweep: Storage) -> contextlib.AbstractContextManager[None]:
    """Waits until no other process on this machine publishes the sweep."""
    local = sweep.local("tracking.lock")
    name = blake2b(sweep.uri.encode(), digest_size=8).hexdigest()
    return locked(local or Path(tempfile.gettempdir()) / f"caviar-{os.getuid()}-{name}.lock")


def main() -> int:
    """Publishes one sweep; 0 if all of it is in MLflow in the end, else 1."""
    parser = argparse.ArgumentParser(description="Publishes a sweep's journal to MLflow until the sweep ends.")
    parser.add_argument("sweep", help="the sweep's folder, a path or a URI")
    parser.add_argument("--uri", required=True, help="the MLflow store: sqlite:///… or http…")
    parser.add_argument("--once", action="store_true", help="send what there is; don't follow a running sweep")
    parser.add_argument("--drain-seconds", type=float, default=DRAIN_SECONDS)
    given = parser.parse_args()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the driver, which then writes how it ended
    os.nice(5)
    closed = None if given.once else _watch_stdin()
    return 0 if publish(given.sweep, given.uri, closed=closed, drain_seconds=given.drain_seconds) else 1


def _watch_stdin() -> threading.Event:
    """An event that is set when standard input ends, that is, when the driver has left in whatever way."""
    closed = threading.Event()

    def watch() -> None:
        while sys.stdin.buffer.read(4096):
            pass
        closed.set()

    threading.Thread(target=watch, daemon=True).start()
    return closed


if __name__ == "__main__":
    sys.exit(main())
