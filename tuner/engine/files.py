"""Local files that are there whole or not at all, also after a power cut."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write(path: Path, data: bytes, *, exclusive: bool) -> None:
    """Writes the file; FileExistsError where it must be new and is not."""
    with temporary(path.parent) as unfinished:
        unfinished.write_bytes(data)
        sync(unfinished)
        if exclusive:
            os.link(unfinished, path)  # unlike a rename, a link fails where the name is taken
        else:
            unfinished.replace(path)


@contextmanager
def temporary(folder: Path | None) -> Iterator[Path]:
    """The name of an empty file that is gone after the block."""
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".tmp-", dir=folder)
    os.close(handle)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Waits until the file's bytes would survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
