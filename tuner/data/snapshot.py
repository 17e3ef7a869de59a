"""Immutable arrays made from a source: built once, named by their content, mapped into every worker."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.errors import DataError
from models.features import Encoder
from tuner.data.preparation import Prepared, prepare
from tuner.data.request import Request
from tuner.data.splits import PARTS

VERSION = 1
ATTEMPTS = 10  # to rename a finished snapshot into place beside other processes


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A snapshot in `directory`: X.npy, y.npy, snapshot.json, sample.json.

    `X` is float32 [N, D] and `y` int64 [N], read-only memory maps shared by all who open the snapshot;
    rows stand in the order train | validation | holdout. `description` is the whole of snapshot.json.
    """

    directory: Path
    digest: str
    classes: tuple[str, ...]
    encoder: Encoder
    splits: Mapping[str, slice]
    description: Mapping[str, Any]

    @classmethod
    def open(cls, directory: Path | str) -> Snapshot:
        """The snapshot that `build` left in `directory`. Raises DataError where there is none, or half of one."""
        directory = Path(directory).resolve()
        try:
            description = json.loads((directory / "snapshot.json").read_text(encoding="utf-8"))
            if description["version"] != VERSION:
                found = description["version"]
                raise DataError(f"snapshots must be of format {VERSION}, and {directory} is of {found}: build again")
            encoder, splits = Encoder.from_json(description["encoder"]), description["splits"]
            slices = {part: slice(*splits[part]) for part in PARTS}
            snapshot = cls(
                directory, description["digest"], tuple(description["classes"]), encoder, slices, description
            )
            X, y = snapshot.X, snapshot.y
        except (OSError, KeyError, TypeError, ValueError) as error:
            if isinstance(error, DataError):
                raise
            raise DataError(f"{directory} is no complete snapshot ({error!r}): remove it and build again") from error
        rows = slices["holdout"].stop
        if X.shape != (rows, encoder.width) or y.shape != (rows,):
            raise DataError(f"arrays must be [{rows}, {encoder.width}], and {directory} holds {X.shape}: build again")
        return snapshot

    @property
    def X(self) -> NDArray[np.float32]:  # noqa: N802, the name in the formulas
        """float32 [N, D], read-only."""
        return _map(self.directory / "X.npy")

    @property
    def y(self) -> NDArray[np.int64]:
        """int64 [N], read-only: places in `classes`."""
        return _map(self.directory / "y.npy")

    def sample(self) -> pd.DataFrame:
        """Up to 5 raw training rows (the features only), for signatures and examples of serving."""
        table = json.loads((self.directory / "sample.json").read_text(encoding="utf-8"))
        return pd.DataFrame(table["data"], columns=table["columns"])

    def verify(self) -> None:
        """Raises DataError unless the content still has the digest it is named by."""
        found = _digest(self.X, self.y, self.description)
        if found != self.digest:
            raise DataError(
                f"the content of a snapshot must match its digest; {self.directory} has {found}, not {self.digest}: "
                f"it was changed after it was built: remove it and build again"
            )


def build(request: Request, directory: Path | str) -> Snapshot:
    """Reads, cuts, splits and encodes what `request` names; stores it as `directory`/<digest>.

    Equal content gives an equal digest; a snapshot that is there already is kept. Safe in several
    processes at once. Raises DataError for data that cannot be used.
    """
    return store(prepare(request), directory)


def store(prepared: Prepared, directory: Path | str) -> Snapshot:
    """Writes `prepared` as `directory`/<digest>, whole or not at all."""
    directory = Path(directory)
    description = {"version": VERSION, **prepared.description}
    description = {"digest": _digest(prepared.X, prepared.y, description), **description}
    try:
        directory.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(prefix=".building-", dir=directory))
        try:
            np.save(building / "X.npy", prepared.X)
            np.save(building / "y.npy", prepared.y)
            _write_json(building / "sample.json", prepared.sample)
            _write_json(building / "snapshot.json", description)
            building.chmod(0o755)  # a temporary folder is private, a snapshot is shared
            stored = _publish(building, directory / description["digest"])
        finally:
            shutil.rmtree(building, ignore_errors=True)
            shutil.rmtree(_aside(building), ignore_errors=True)
    except OSError as error:
        raise DataError(
            f"a snapshot needs a folder to be written in, and {directory} is none ({error}): choose another"
        ) from error
    # the same content may have come from elsewhere before; this caller asked for these rows
    return replace(stored, description=description)


def _publish(building: Path, final: Path) -> Snapshot:
    """Renames `building` to `final` unless an intact snapshot is there: equal digests are equal content."""
    for _ in range(ATTEMPTS):
        try:
            snapshot = Snapshot.open(final)
            snapshot.verify()
        except DataError:
            _map.cache_clear()
        else:
            return snapshot
        with contextlib.suppress(OSError):  # another process was quicker: look again
            if final.exists():
                final.rename(_aside(building))
            building.rename(final)
        time.sleep(0.02)
    raise DataError(f"a snapshot must be readable after it was written, and {final} is not: check the file system")


def _aside(building: Path) -> Path:
    """Where a broken snapshot is moved that stands in the way of `building`."""
    return building.with_name(f"{building.name}.broken")


@functools.lru_cache(maxsize=16)
def _map(path: Path) -> NDArray[Any]:
    array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    return array


def _digest(X: NDArray[np.float32], y: NDArray[np.int64], description: Mapping[str, Any]) -> str:
    """128 bits of SHA-256 over arrays, encoding, classes, splits and their ranges (MLflow takes 36 characters)."""
    content = {name: description[name] for name in ("version", "encoder", "classes", "splits", "ranges")}
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode())
    for array in (X, y):
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:32]


def _write_json(path: Path, value: object) -> None:
    with path.open("w", encoding="utf-8") as handle:
        json.dump(value, handle, indent=1, allow_nan=False)
        handle.flush()
        os.fsync(handle.fileno())
