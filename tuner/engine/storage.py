"""Objects written whole under a path or a URI (fsspec): the one place where durable bytes are made."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import fsspec


class StorageError(OSError):
    """A read or write of storage failed; the message names the path and the next step."""


class Storage:
    """A folder of objects. An object is there whole or not at all, and readers never see half of one.

    Names are relative POSIX paths. Every method raises StorageError when the storage itself fails.
    """

    def __init__(self, uri: str | Path) -> None:
        self.uri = str(uri)
        self._fs, root = fsspec.core.url_to_fs(self.uri)
        self._root = str(root).rstrip("/")
        self.is_local = "file" in _protocols(self._fs.protocol)
        self.is_shared = "memory" not in _protocols(self._fs.protocol)  # by all processes

    def path(self, name: str) -> str:
        """The full path of `name`; ValueError if it would leave this folder."""
        pure = PurePosixPath(name)
        if pure.is_absolute() or ".." in pure.parts:
            raise ValueError(f"storage name {name!r}: must be relative and without '..'")
        return f"{self._root}/{pure}"

    def child(self, name: str) -> Storage:
        """The storage of the folder `name` in this one."""
        path = self.path(name)
        return Storage(path if self.is_local else self._fs.unstrip_protocol(path))

    def local(self, name: str) -> Path | None:
        """Where `name` lies on this machine's file system; None if the storage is remote."""
        return Path(self.path(name)) if self.is_local else None

    def read(self, name: str) -> bytes:
        """The object's bytes; FileNotFoundError if there is none."""
        try:
            return bytes(self._fs.cat_file(self.path(name)))
        except FileNotFoundError:
            raise
        except Exception as error:
            raise self._failed("read", name, error) from error

    def write(self, name: str, data: bytes) -> None:
        """Replaces the object by `data`, whole."""
        try:
            if self.is_local:
                _write_locally(Path(self.path(name)), data, exclusive=False)
            else:
                self._fs.pipe_file(self.path(name), data)
        except Exception as error:
            raise self._failed("write", name, error) from error

    def create(self, name: str, data: bytes) -> None:
        """Writes a new object; FileExistsError if the name is taken, even by a writer at the same moment."""
        try:
            if self.is_local:
                _write_locally(Path(self.path(name)), data, exclusive=True)
            else:
                self._fs.pipe_file(self.path(name), data, mode="create")
        except FileExistsError:
            raise
        except Exception as error:
            raise self._failed("write", name, error) from error

    @contextmanager
    def file_to_read(self, name: str) -> Iterator[Path]:
        """A local file with the object's bytes for the time of the block; FileNotFoundError if there is none."""
        if local := self.local(name):
            if not local.exists():
                raise FileNotFoundError(f"no object {local}")
            yield local
            return
        with tempfile.NamedTemporaryFile() as file:
            file.write(self.read(name))
            file.flush()
            yield Path(file.name)

    @contextmanager
    def file_to_write(self, name: str) -> Iterator[Path]:
        """A local file to be filled in the block; at its end it replaces the object, whole."""
        path = self.local(name)
        try:
            with _temporary(path.parent if path else None) as temporary:
                yield temporary
                if path:
                    _sync(temporary)
                    temporary.replace(path)
                else:
                    self._fs.put_file(str(temporary), self.path(name))
        except Exception as error:
            raise self._failed("write", name, error) from error

    def exists(self, name: str) -> bool:
        try:
            self._fs.invalidate_cache()
            return bool(self._fs.exists(self.path(name)))
        except Exception as error:
            raise self._failed("read", name, error) from error

    def names(self, folder: str = ".") -> list[str]:
        """The names directly in `folder`, sorted; none if there is no such folder."""
        try:
            self._fs.invalidate_cache()
            paths = self._fs.ls(self.path(folder), detail=False)
        except FileNotFoundError:
            return []
        except Exception as error:
            raise self._failed("list", folder, error) from error
        return sorted(name for name in (PurePosixPath(path).name for path in paths) if not name.startswith(".tmp-"))

    def _failed(self, verb: str, name: str, error: Exception) -> StorageError:
        return StorageError(
            f"storage: cannot {verb} {self.path(name)}: {error}. "
            "Make the path readable and writable (and see that the disk has space), then run the command again."
        )


def _protocols(protocol: str | tuple[str, ...]) -> tuple[str, ...]:
    return (protocol,) if isinstance(protocol, str) else protocol


def _write_locally(path: Path, data: bytes, *, exclusive: bool) -> None:
    with _temporary(path.parent) as temporary:
        temporary.write_bytes(data)
        _sync(temporary)
        if exclusive:
            os.link(temporary, path)  # unlike a rename, a link fails where the name is taken
        else:
            temporary.replace(path)


@contextmanager
def _temporary(folder: Path | None) -> Iterator[Path]:
    """The name of an empty file that is gone after the block."""
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".tmp-", dir=folder)
    os.close(handle)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def _sync(path: Path) -> None:
    """Waits until the file's bytes would survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
