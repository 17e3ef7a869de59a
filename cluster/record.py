"""What `up` leaves in CAVIAR_HOME for the commands that follow: where the cluster is, and which processes are it.

A home can come from somebody else, as `.caviar` in a cloned repository does. Whoever believes a record sends the token
in the file that it names, and passwords for MLflow, to the addresses in it.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import socket
import stat
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

    def is_up(self, home: Path, *, shared: bool = False) -> bool:
        """Whether all that was started here runs; of a head elsewhere, whether it answers, if it may be asked.

        What runs here proves the record, for no stranger knows its mark. There is no such proof of a head elsewhere: it
        counts only where the user says that the home is `shared`, and with a token that lies in it.
        """
        if self.is_here:
            return bool(self.pids) and all(is_marked(pid, self.mark) for pid in (self.pids or {}).values())
        inside = self.token is not None and Path(self.token).resolve().is_relative_to(home.resolve())
        return shared and inside and not is_loopback(self.host) and answers(self.ray)


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
    """The record in the file; None if there is none, one that others could write, or one that cannot be understood."""
    with contextlib.suppress(OSError, ValueError, TypeError):
        found = Record(**json.loads(path.read_text()))
        own = _is_own(path, stat.S_IWGRP | stat.S_IWOTH) and _is_own(path.parent, stat.S_IWOTH)
        if own and isinstance(found.mark, str) and found.mark:  # without a mark, every process would have it
            return found
    return None


def demand_own(home: Path) -> None:
    """ValueError unless records in this home will be believed."""
    if not _is_own(home, stat.S_IWOTH):
        raise ValueError(
            f"CAVIAR_HOME, {home}, must belong to {getpass.getuser()} and not be writable by everyone, for commands "
            f"trust what is in it: `chmod o-w {home}`, or set another one"
        )


def demand_no_other_head(home: Path) -> None:
    """ValueError if the home's head is said to be another machine, and something answers there."""
    file = head_file(home)
    left = read(file)
    if left and not left.is_here and not is_loopback(left.host) and answers(left.ray):
        raise ValueError(
            f"{file} says that {left.machine} is the head, at {left.ray}: `caviar down` there ends it; with "
            f"CAVIAR_HOME={home} and its token in that folder, commands here use it. Remove a file that is not yours"
        )


def _is_own(path: Path, others: int) -> bool:
    """Whether it belongs to this user, and the `others` in this mask cannot write it."""
    found = path.stat()
    return found.st_uid == os.getuid() and not found.st_mode & others


def write(path: Path, record: Record) -> None:
    """Replaces the file, whole; only this user can read it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent)  # mode 0600
    with os.fdopen(handle, "w") as file:
        json.dump(asdict(record), file, indent=2)
    Path(temporary).replace(path)
