"""Ends what a record says was started on this machine, and nothing else."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from cluster import files
from cluster.nodes import STOP_SECONDS
from cluster.processes import Service, end, family, marked, start
from cluster.record import Record, read, write
from cluster.starting import Started

if TYPE_CHECKING:
    import psutil

SECONDS = 15.0

Run = Callable[[Service], Started]


@contextmanager
def all_or_nothing(file: Path, record: Record) -> Iterator[Run]:
    """Gives a function that starts a service of `record`, which is kept in `file` from the first one on.

    If the block fails, all that was started is ended again.
    """
    home = file.parent
    pids: dict[str, int] = {}

    def run(service: Service) -> Started:
        log = files.logs(home) / f"{service.name.lower().replace(' ', '-')}.log"
        process = start(service, record.mark, log)
        pids[service.name] = process.pid
        write(file, replace(record, pids=pids))  # so that `down` finds them if this process is killed now
        return Started(service.name, process, log)

    write(file, record)
    try:
        yield run
    except BaseException:
        end_recorded(file)
        raise
    files.link(home, record.files)


def end_recorded(file: Path) -> dict[str, int]:
    """Ends jobs, then Ray, then MLflow, which still hears how the jobs ended; returns how many processes each had.

    A record of another machine, or of a time before this one was started again, names nothing that runs here.
    """
    record = read(file)
    if record is None or not record.is_here:
        return {}
    ours, pids = marked(record.mark), dict(record.pids or {})
    counts = {"jobs": end(_jobs(ours, set(pids.values())), STOP_SECONDS, signal.SIGINT)}
    ids = {process.pid for process in ours}
    for name, pid in pids.items():
        if pid in ids:
            tree = family(pid)
            _end_tree(tree)
            counts[name] = len(tree)
    end([*ours, *marked(record.mark)], SECONDS)
    files.keep_logs(file.parent, record.files)
    file.unlink(missing_ok=True)
    return {name: count for name, count in counts.items() if count}


def _jobs(processes: list[psutil.Process], services: set[int]) -> list[psutil.Process]:
    """Those in a session that is no service's: Ray gives each job one of its own."""
    return [one for one in processes if services and _session(one.pid) not in services]


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None


def _end_tree(tree: list[psutil.Process]) -> None:
    """Lets the first process end its descendants as it knows best, then ends what is left of them."""
    end(tree[:1], SECONDS)
    end(tree[1:], SECONDS)
