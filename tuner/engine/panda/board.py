"""A panda's status.json, by which others see that it is trained, and where."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from types import TracebackType
from typing import Self

from tuner.engine import status
from tuner.engine.panda.chronicle import Chronicle
from tuner.engine.status import Status
from tuner.engine.storage import Storage
from tuner.trial import Row

BEAT_SECONDS = status.SILENT_SECONDS / 4  # an epoch may take long, and who is silent counts as gone elsewhere


class Board:
    """Writes the status as a panda is trained; while it is entered also between epochs, so that it is not silent."""

    def __init__(self, storage: Storage, then: Callable[[Chronicle, Row], None], beat: float = BEAT_SECONDS) -> None:
        self._storage, self._then, self._beat = storage, then, beat
        self._last: Status | None = None
        self._written = 0.0
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._heart = threading.Thread(target=self._go_on, name="panda-status", daemon=True)

    def __enter__(self) -> Self:
        self._heart.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._heart.join()

    def show(self, found: Chronicle, row: Row) -> None:
        """After an epoch; not every one is written."""
        if time.monotonic() - self._written > status.WRITE_SECONDS:
            self.write(found, "running", row)
        self._then(found, row)

    def write(self, found: Chronicle, word: str, row: Row | None = None) -> None:
        """Writes where the panda stands; `row` is newer than what it knows itself."""
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
            created=found.created["time"],
        )
        with self._lock:
            self._put(made)

    def _put(self, made: Status) -> None:
        self._last = replace(made, time=time.time())
        self._storage.write(status.NAME, json.dumps(asdict(self._last)).encode())
        self._written = time.monotonic()

    def _go_on(self) -> None:
        while not self._over.wait(self._beat):
            with self._lock, contextlib.suppress(OSError):  # whoever trains tells of lasting trouble
                if self._last and self._last.status in status.ACTIVE:
                    self._put(self._last)
