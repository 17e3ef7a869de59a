"""Immutable arrays made from a source: built once, named by their content, mapped into every worker."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.features import DataError, Encoder
from tuner.data import preparation
from tuner.data.preparation import Prepared, Request
from tuner.data.splits import PARTS

VERSION = 1


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A snapshot in `directory`: X.npy, y.npy, snapshot.json, sample.json.

    `X` is float32 [N, D] and `y` int64 [N], read-only memory maps shared by all who open the snapshot;
    rows stand in the order train | validation | holdout. `about` is the whole of snapshot.json.
    """

    directory: Path
    digest: str
    classes: tuple[str, ...]
    encoder: Encoder
    splits: Mapping[str, slice]
    about: Mapping[str, Any]

    @classmethod
    def open(cls, directory: Path | str) -> Snapshot:
        """The snapshot that `build` left in `directory`. Raises DataError where there is none, or half of one."""
        directory = Path(directory).resolve()
        try:
            about = json.loads((directory / "snapshot.json").read_text(encoding="utf-8"))
            if about["version"] != VERSION:
                raise DataError(
                    f"snapshots of format {VERSION} can be read, and {directory} has {about['version']}: build it again"
                )
            encoder, splits = Encoder.from_json(about["encoder"]), about["splits"]
            slices = {part: slice(*splits[part]) for part in PARTS}
            snapshot = cls(directory, about["digest"], tuple(about["classes"]), encoder, slices, about)
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
        found = _digest(self.X, self.y, self.about)
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
    return store(preparation.prepare(request), directory)


def store(prepared: Prepared, directory: Path | str) -> Snapshot:
    """Writes `prepared` as `directory`/<digest>, whole or not at all."""
    directory = Path(directory)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(prefix=".building-", dir=directory))
    except OSError as error:
        raise DataError(
            f"snapshots need a folder to write in, and {directory} is none ({error}): choose another"
        ) from error
    try:
        about = {"version": VERSION, **prepared.about}
        digest = _digest(prepared.X, prepared.y, about)
        np.save(building / "X.npy", prepared.X)
        np.save(building / "y.npy", prepared.y)
        _write_json(building / "sample.json", prepared.sample)
        _write_json(building / "snapshot.json", {"digest": digest, **about})
        building.chmod(0o755)  # a temporary folder is private, a snapshot is shared
        return _publish(building, directory / digest)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _publish(building: Path, final: Path) -> Snapshot:
    """Renames `building` to `final`, unless an intact snapshot is there: equal digests are equal content."""
    try:
        snapshot = Snapshot.open(final)
        snapshot.verify()
    except DataError:
        _map.cache_clear()
        broken = building.with_name(f".broken-{uuid.uuid4().hex}")
        try:
            if final.exists():
                final.rename(broken)
            building.rename(final)
        except OSError:  # another process was first
            if not final.exists():
                raise
        shutil.rmtree(broken, ignore_errors=True)
        return Snapshot.open(final)
    return snapshot


@functools.lru_cache(maxsize=16)
def _map(path: Path) -> NDArray[Any]:
    array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    return array


def _digest(X: NDArray[np.float32], y: NDArray[np.int64], about: Mapping[str, Any]) -> str:
    """128 bits of SHA-256 over arrays, encoding, classes, splits and their ranges (MLflow takes 36 characters)."""
    content = {name: about[name] for name in ("version", "encoder", "classes", "splits", "ranges")}
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
