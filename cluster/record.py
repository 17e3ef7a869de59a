"""What `up` leaves in CAVIAR_HOME for the commands that follow: where the cluster is, and which processes are it."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from cluster.addresses import is_loopback
from cluster.processes import is_marked

SECONDS = 2.0  # for a head on another machine to answer


@dataclass(frozen=True, slots=True)
class Record:
    """A cluster's part on one machine. No secret is in it; `token` is a path, None for one of the environment.

    `files` is Ray's folder on this machine; a worker has neither dashboard nor mlflow nor database.
    """

    mark: str
    machine: str
    ray: str
    files: str
    token: str | None = None
    dashboard: str | None = None
    mlflow: str | None = None
    database: str | None = None
    storage: str | None = None
    auth: bool = False
    pids: Mapping[str, int] | None = None

    @property
    def host(self) -> str:
        return self.ray.rpartition(":")[0]

    @property
    def is_here(self) -> bool:
        return self.machine == socket.gethostname()

    def is_up(self) -> bool:
        """Whether all that was started here runs; of a head elsewhere, whose home is shared, whether it answers."""
        if self.is_here:
            return bool(self.pids) and all(is_marked(pid, self.mark) for pid in (self.pids or {}).values())
        return not is_loopback(self.host) and answers(self.ray)


def answers(address: str, seconds: float = SECONDS) -> bool:
    """Whether something listens at host:port."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), seconds).close()
    except OSError:
        return False
    return True


def head_file(home: Path) -> Path:
    return home / "cluster.json"


def worker_file(home: Path) -> Path:
    """One a machine, as machines can share a home."""
    return home / f"joined-{socket.gethostname()}.json"


def read(path: Path) -> Record | None:
    """The record in the file; None if there is none, or one that this version does not understand."""
    with contextlib.suppress(OSError, ValueError, TypeError):
        return Record(**json.loads(path.read_text()))
    return None


def write(path: Path, record: Record) -> None:
    """Replaces the file, whole; only this user can read it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent)  # mode 0600
    with os.fdopen(handle, "w") as file:
        json.dump(asdict(record), file, indent=2)
    Path(temporary).replace(path)
