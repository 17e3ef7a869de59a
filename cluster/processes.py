"""Processes that belong together: whatever one start brought about carries its random mark in its environment.

A mark is inherited by children, cannot be guessed and is never used twice. So what has it is ours, also where its
parent is gone, and a process that was given the id of an ended one after a reboot is not.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil

MARK = "CAVIAR_MARK"
LAST_SECONDS = 5.0  # until a killed process is gone


@dataclass(frozen=True, slots=True)
class Service:
    """A long-running command: its name for people, its arguments, and all of its environment."""

    name: str
    command: Sequence[str]
    env: Mapping[str, str]


def new_mark() -> str:
    return secrets.token_hex(16)


def start(service: Service, mark: str, log: Path) -> subprocess.Popen[bytes]:
    """Starts `service` in a session of its own, so that Ctrl-C here does not reach it. What it prints goes to `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        return subprocess.Popen(  # noqa: S603  # a list, no shell
            service.command,
            env={**service.env, MARK: mark},
            cwd=log.parent,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def is_marked(pid: int, mark: str) -> bool:
    """Whether the process `pid` runs and carries `mark`; also False where we may not look."""
    import psutil  # late: every command looks for a cluster, and most find no record of one

    with contextlib.suppress(psutil.Error, OSError):
        process = psutil.Process(pid)
        return bool(process.environ().get(MARK) == mark and runs(process))
    return False


def marked(mark: str) -> list[psutil.Process]:
    """All processes with `mark` and all their descendants, but this one: some overwrite their own environment."""
    import psutil

    found: dict[int, psutil.Process] = {}
    for pid in psutil.pids():
        if is_marked(pid, mark):
            found |= {process.pid: process for process in family(pid)}
    found.pop(os.getpid(), None)
    return list(found.values())


def family(pid: int) -> list[psutil.Process]:
    """The process and its descendants, as far as they run."""
    import psutil

    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    return []


def end(processes: Iterable[psutil.Process], seconds: float, how: signal.Signals = signal.SIGTERM) -> int:
    """Sends `how`, waits up to `seconds`, then kills; returns how many of the processes were still running."""
    import psutil

    running = [process for process in processes if runs(process)]
    left = running
    for way, patience in ((how, seconds), (signal.SIGKILL, LAST_SECONDS)):
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.send_signal(way)
        for _ in ticks(patience if left else 0, 0.05):
            left = [process for process in left if runs(process)]
            if not left:
                break
    return len(running)


def runs(process: psutil.Process) -> bool:
    """Whether it is the process that it was, and not just waiting for its parent to hear of its end."""
    import psutil

    with contextlib.suppress(psutil.Error):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False


def ticks(seconds: float, pause: float = 0.2) -> Iterator[None]:
    """One step every `pause` seconds until `seconds` are over; at least one."""
    until = time.monotonic() + seconds
    yield
    while time.monotonic() < until:
        time.sleep(pause)
        yield
