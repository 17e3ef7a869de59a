"""The process beside the driver that publishes the journal to MLflow; the driver itself never imports mlflow."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, fields
from typing import Any

from tuner.engine import interrupts
from tuner.engine.storage import Storage

CURSOR = "tracking.json"
CREDENTIALS = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")
PATIENCE_SECONDS = 5.0
CLOSE_SECONDS = 20.0  # a child that has just begun must first import mlflow


@dataclass(frozen=True, slots=True)
class Published:
    """How far MLflow has the sweep. `error` says what keeps the rest from getting there; the journal keeps it."""

    parent_run_id: str | None = None
    model_uri: str | None = None
    cursor: int = 0
    error: str | None = None
    experiment_id: str | None = None
    model_alias: str | None = None
    view: str | None = None


class Publisher:
    """A child process that follows the sweep's journal until its end, or until this process is gone."""

    def __init__(self, sweep: Storage, uri: str, log: str | None) -> None:
        self._sweep = sweep
        self._before = published(sweep)
        command = [sys.executable, "-m", "tuner.engine.tracking", sweep.uri]
        environment = {**os.environ, "MLFLOW_TRACKING_URI": uri}  # not an argument: it may hold a password
        if uri != os.environ.get("MLFLOW_TRACKING_URI", uri):  # the spec's own: our credentials are not for it
            environment = {key: value for key, value in environment.items() if key not in CREDENTIALS}
        with contextlib.ExitStack() as stack:
            errors = stack.enter_context(open(log, "ab")) if log else subprocess.DEVNULL  # noqa: PTH123
            self._process = subprocess.Popen(  # noqa: S603  # a list, no shell
                command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=errors
            )

    def __enter__(self) -> Publisher:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def wait(self, seconds: float, patience: float = PATIENCE_SECONDS) -> Published:
        """Gives the publisher `seconds` to end after the journal's last entry; then what is published so far.

        While MLflow is away it gets `patience` only: the rest can be sent at any time later.
        """
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            interrupts.heed()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(1.0)
                break
            found = published(self._sweep)
            news = found != self._before  # else what is there may be the trouble of an earlier attempt
            if found.error and time.monotonic() - began > patience * (1 if news else 6):
                break
        self.close()
        return published(self._sweep)

    def close(self) -> None:
        """Ends the child: at its next pause by closing its input, then by a signal."""
        if self._process.stdin:
            self._process.stdin.close()
        try:
            self._process.wait(CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def published(sweep: Storage) -> Published:
    """What the cursor beside the journal says."""
    try:
        found: dict[str, Any] = json.loads(sweep.read(CURSOR))
    except FileNotFoundError:
        return Published()
    return Published(**{field.name: found[field.name] for field in fields(Published) if field.name in found})
