"""Local files that are there whole or not at all, also after a power cut."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write(path: Path, data: bytes, *, exclusive: bool) -> None:
    """Writes the file; FileExistsError where it must be new and is not."""
    with temporary(path.parent) as unfinished:
        unfinished.write_bytes(data)
        put(unfinished, path, exclusive=exclusive)


def put(unfinished: Path, path: Path, *, exclusive: bool) -> None:
    """Gives a finished file its name in the same folder, so that both survive a power cut."""
    _sync(unfinished)
    if exclusive:
        os.link(unfinished, path)  # unlike a rename, a link fails where the name is taken
    else:
        unfinished.replace(path)
    _sync_names(path.parent)


@contextmanager
def temporary(folder: Path | None) -> Iterator[Path]:
    """The name of an empty file that is gone after the block."""
    if folder:
        _make(folder)
    handle, name = tempfile.mkstemp(prefix=".tmp-", dir=folder)
    os.close(handle)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def _make(folder: Path) -> None:
    """Makes the folder and those above it, as lasting as what comes into them."""
    if not folder.is_dir():
        _make(folder.parent)
        folder.mkdir(exist_ok=True)
        _sync_names(folder.parent)


def _sync_names(folder: Path) -> None:
    """Waits until the names in the folder would survive a power cut, where this can be asked of it."""
    try:
        _sync(folder)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EACCES):  # not all file systems sync folders
            raise


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
