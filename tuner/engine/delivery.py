"""Brings a snapshot to hosts that do not see the driver's folder: through Ray's object store, once a host."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import tempfile
import time
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import ray
from numpy.typing import NDArray
from ray.exceptions import RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from models.errors import DataError
from tuner.data.snapshot import Snapshot
from tuner.engine import archive
from tuner.engine.storage import StorageError

CHUNK_BYTES = 32 * 2**20  # what one delivery holds in memory, twice
KEEP_SECONDS = 7 * 86400.0  # for so long after its last use a host keeps a snapshot


class HostError(RuntimeError):
    """This host cannot train the sweep's packs, though others may; the message names it and the next step."""


def source(snapshots: str, digest: str) -> dict[str, str]:
    """What a worker must be told to find the snapshot that this process sees in the folder `snapshots`."""
    return {"snapshots": snapshots, "digest": digest, "node": ray.get_runtime_context().get_node_id()}


@lru_cache(maxsize=16)
def at_hand(snapshots: str, digest: str, node: str) -> str:
    """A folder of this host that has the snapshot: the driver's where it is seen here, else this user's own.

    Nothing is sent before a worker asks; the first of a host does, the others wait and map the same files.
    HostError where this host cannot keep it; StorageError where the driver's machine cannot read it.
    """
    try:
        Snapshot.open(Path(snapshots) / digest)
    except DataError:
        return _received(snapshots, digest, node)
    return snapshots


def _received(snapshots: str, digest: str, node: str) -> str:
    folder = Path(tempfile.gettempdir())
    try:
        folder = own_folder()
        archive.receive(folder, digest, lambda arriving: _bring(f"{snapshots}/{digest}", node, arriving))
        os.utime(folder / digest)
        _forget_old(folder)
    except RayTaskError as error:  # which is an OSError, too, if the task's was one
        raise StorageError(
            f"the sweep's data cannot be read where it is driven, in {snapshots}/{digest}: {error.cause}"
        ) from error
    except OSError as error:
        raise HostError(
            f"{socket.gethostname()} does not see the sweep's data, and cannot keep a copy in {folder}: {error}. Make "
            "space there, or start Ray on that host with another TMPDIR"
        ) from error
    return str(folder)


def own_folder() -> Path:
    """This user's folder for snapshots on this host; nobody else can write in it. HostError if somebody could."""
    folder = Path(tempfile.gettempdir()) / f"caviar-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise HostError(
            f"{folder} on {socket.gethostname()} must be a folder that only its user can write in: remove it, or "
            "start Ray on that host with another TMPDIR"
        )
    return folder


def _bring(directory: str, node: str, to: Path) -> None:
    """Copies the files of `directory`, as the machine `node` sees it, chunk by chunk; the next is read meanwhile."""
    there = NodeAffinitySchedulingStrategy(node, soft=False)
    sizes, read = _sizes.options(scheduling_strategy=there), _read.options(scheduling_strategy=there)
    for file, size in ray.get(sizes.remote(directory)).items():
        offsets = range(0, size, CHUNK_BYTES)
        with (to / file).open("wb") as out:
            coming = [read.remote(f"{directory}/{file}", offset) for offset in offsets[:1]]
            for offset in offsets:
                coming += [read.remote(f"{directory}/{file}", offset + CHUNK_BYTES)] if offset != offsets[-1] else []
                chunk: NDArray[np.uint8] = ray.get(coming.pop(0))
                chunk.tofile(out)


@ray.remote(num_cpus=0, max_retries=3)
def _sizes(directory: str) -> dict[str, int]:
    return {file: (Path(directory) / file).stat().st_size for file in archive.FILES}


@ray.remote(num_cpus=0, max_retries=3)
def _read(path: str, offset: int) -> Any:
    """At most CHUNK_BYTES of the file, as an array, which Ray passes on without a copy."""
    return np.fromfile(path, dtype=np.uint8, count=CHUNK_BYTES, offset=offset)


def _forget_old(folder: Path) -> None:
    """Removes what no sweep has used for long; who still maps such a file keeps it until the end."""
    for snapshot in folder.iterdir():
        if snapshot.is_dir() and time.time() - snapshot.stat().st_mtime > KEEP_SECONDS:
            shutil.rmtree(snapshot, ignore_errors=True)
