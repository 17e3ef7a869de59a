"""Snapshots that arrive from elsewhere, whole or not at all; and the copy that remote storage keeps of each."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from models.errors import DataError
from tuner.data.snapshot import Snapshot
from tuner.engine.locks import locked
from tuner.engine.storage import Storage, StorageError

FILES = ("X.npy", "y.npy", "sample.json", "snapshot.json")  # the description last: with it, the others are there


def receive(folder: Path, digest: str, fill: Callable[[Path], None]) -> Snapshot:
    """The snapshot `digest` in `folder`; where it is not, `fill` is called for the files, once a machine.

    It is there only after its content was found to have the digest. DataError if it has another.
    """
    with locked(folder / f".{digest}.lock"):
        try:
            return Snapshot.open(folder / digest)
        except DataError:
            shutil.rmtree(folder / digest, ignore_errors=True)
        arriving = Path(tempfile.mkdtemp(prefix=".arriving-", dir=folder))
        try:
            fill(arriving)
            Snapshot.open(arriving).verify()
            arriving.chmod(0o755)  # a temporary folder is private, a snapshot is shared
            arriving.rename(folder / digest)
        finally:
            shutil.rmtree(arriving, ignore_errors=True)
        return Snapshot.open(folder / digest)


def keep(snapshot: Snapshot, storage: Storage) -> None:
    """Sees that remote `storage` has a copy, from which a driver on another machine can go on."""
    if storage.is_local or storage.exists(_name(snapshot.digest, FILES[-1])):
        return
    for file in FILES:
        storage.upload(snapshot.directory / file, _name(snapshot.digest, file))


def fetch(digest: str, storage: Storage, folder: Path) -> Snapshot:
    """The snapshot in `folder`, from the copy in remote `storage` if need be. StorageError if there is none."""

    def fill(arriving: Path) -> None:
        for file in FILES:
            storage.download(_name(digest, file), arriving / file)

    try:
        return Snapshot.open(folder / digest) if storage.is_local else receive(folder, digest, fill)
    except (FileNotFoundError, DataError) as error:
        raise StorageError(
            f"the data that the sweep was begun on is gone: neither {folder / digest} nor {storage.uri} has all of "
            f"it ({error}). Bring the folder back, or run the spec as a new sweep"
        ) from error


def _name(digest: str, file: str) -> str:
    return f"snapshots/{digest}/{file}"
