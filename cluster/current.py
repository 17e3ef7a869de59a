"""What this machine is of a cluster at present, by its records, and what commands need to use the cluster.

Every command asks; so it is apart from what starts and ends a cluster, and imports little.
"""

from __future__ import annotations

from pathlib import Path

from cluster import nodes
from cluster.record import Record, head_file, read, worker_file


def environment(home: Path, *, shared: bool = False) -> dict[str, str]:
    """What a command needs in its environment to use the cluster that is up; {} if none is."""
    record = head(home, shared=shared)
    return environment_of(record) if record else {}


def head(home: Path, *, shared: bool = False) -> Record | None:
    """The head of this home, if it is up: on this machine, or on another one that has the home, too.

    `shared`: the user says so. Else the home may have come with a stranger's files.
    """
    record = read(head_file(home))
    return record if record and record.is_up(home, shared=shared) else None


def worker(home: Path) -> Record | None:
    """What this machine is as a worker, if it is one."""
    record = read(worker_file(home))
    return record if record and record.is_up(home) else None


def environment_of(record: Record) -> dict[str, str]:
    """What a command needs to use the cluster of `record`."""
    found = nodes.connection(record.ray, record.dashboard, record.token)
    if record.mlflow:
        found["MLFLOW_TRACKING_URI"] = record.mlflow
    if record.storage:
        found["CAVIAR_STORAGE"] = record.storage
    return found
