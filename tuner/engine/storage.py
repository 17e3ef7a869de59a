"""Objects written whole under a path or a URI (fsspec): the one place where durable bytes are made."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TypeVar

import fsspec
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_exponential

from tuner.engine import exclusive, files

T = TypeVar("T")
PATIENCE_SECONDS = 30.0  # how long a server of objects may be away


class StorageError(OSError):
    """A read or write of storage failed; the message names the path and the next step."""


class Storage:
    """A folder of objects. An object is there whole or not at all, and readers never see half of one.

    Names are relative POSIX paths. Every method raises StorageError when the storage itself fails.
    """

    def __init__(self, uri: str | Path) -> None:
        self.uri = str(uri)
        try:
            self._fs, root = fsspec.core.url_to_fs(self.uri)
        except (ImportError, ValueError) as error:
            raise StorageError(
                f"storage must be a folder or a URI that fsspec can open, not {self.uri}: {error}. "
                "For s3://bucket/folder: pip install 'caviar[s3]'"
            ) from error
        self._root = str(root).rstrip("/")
        self.is_local = "file" in _protocols(self._fs.protocol)
        self.is_shared = "memory" not in _protocols(self._fs.protocol)  # by all processes

    def path(self, name: str) -> str:
        """The full path of `name` (`.`: this folder); ValueError if it would leave this folder."""
        pure = PurePosixPath(name)
        if pure.is_absolute() or ".." in pure.parts:
            raise ValueError(f"storage name {name!r}: must be relative and without '..'")
        return f"{self._root}/{pure}" if pure.parts else self._root or "/"  # to S3, `folder/.` is another name

    def child(self, name: str) -> Storage:
        """The storage of the folder `name` in this one."""
        path = self.path(name)
        return Storage(path if self.is_local else self._fs.unstrip_protocol(path))

    def local(self, name: str) -> Path | None:
        """Where `name` lies on this machine's file system; None if the storage is remote."""
        return Path(self.path(name)) if self.is_local else None

    def read(self, name: str) -> bytes:
        """The object's bytes; FileNotFoundError if there is none."""
        return bytes(self._do("read", name, self._fs.cat_file, passing=FileNotFoundError))

    def read_all(self, names: Sequence[str]) -> list[bytes]:
        """The objects' bytes; many at a time where each is a request to a server."""
        if self.is_local or not names:
            return [self.read(name) for name in names]
        paths = [self.path(name) for name in names]
        found = self._do("read", names[0], lambda _: self._fs.cat(paths), passing=FileNotFoundError)
        return [bytes(found[path]) for path in paths]

    def write(self, name: str, data: bytes) -> None:
        """Replaces the object by `data`, whole."""
        if self.is_local:
            self._do("write", name, lambda path: files.write(Path(path), data, exclusive=False))
        else:
            self._do("write", name, lambda path: self._fs.pipe_file(path, data))

    def create(self, name: str, data: bytes) -> None:
        """Writes a new object; FileExistsError if the name is taken, even by a writer at the same moment."""
        if self.is_local:
            create = partial(files.write, data=data, exclusive=True)
            self._do("write", name, lambda path: create(Path(path)), passing=FileExistsError)
        else:
            self._do("write", name, lambda path: exclusive.create(self._fs, path, data), passing=FileExistsError)

    @contextmanager
    def file_to_read(self, name: str) -> Iterator[Path]:
        """A local file with the object's bytes for the time of the block; FileNotFoundError if there is none."""
        if local := self.local(name):
            if not local.exists():
                raise FileNotFoundError(f"no object {local}")
            yield local
            return
        with files.temporary(None) as temporary:
            self.download(name, temporary)
            yield temporary

    @contextmanager
    def file_to_write(self, name: str) -> Iterator[Path]:
        """A local file to be filled in the block; at its end it replaces the object, whole."""
        final = self.local(name)
        try:
            with files.temporary(final.parent if final else None) as temporary:
                yield temporary
                if final:
                    files.put(temporary, final, exclusive=False)
                else:
                    self.upload(temporary, name)
        except StorageError:
            raise
        except Exception as error:
            raise self._failed("write", name, error) from error

    def upload(self, file: Path, name: str) -> None:
        """Copies a local file to the object, whole and without holding it in memory; for remote storage."""
        self._do("write", name, lambda path: self._fs.put_file(str(file), path))

    def download(self, name: str, file: Path) -> None:
        """Copies the object to a local file; FileNotFoundError if there is none."""
        self._do("read", name, lambda path: self._fs.get_file(path, str(file)), passing=FileNotFoundError)

    def remove(self, name: str) -> None:
        """Removes the object; it need not be there."""
        with suppress(FileNotFoundError):
            self._do("remove", name, self._fs.rm_file, passing=FileNotFoundError)

    def exists(self, name: str) -> bool:
        """Whether the object is there now."""
        self._fs.invalidate_cache()
        return bool(self._do("read", name, self._fs.exists))

    def names(self, folder: str = ".") -> list[str]:
        """The names directly in `folder` now, sorted; none if there is no such folder."""
        self._fs.invalidate_cache()
        try:
            paths = self._do("list", folder, lambda path: self._fs.ls(path, detail=False), passing=FileNotFoundError)
        except FileNotFoundError:
            return []
        return sorted(name for name in (PurePosixPath(path).name for path in paths) if not name.startswith(".tmp-"))

    def _do(
        self,
        verb: str,
        name: str,
        action: Callable[[str], T],
        passing: type[OSError] | tuple[type[OSError], ...] = (),
    ) -> T:
        """Calls `action` with the object's path, for a while again and again where a server is away.

        Everything in here can be done twice. StorageError for all failures but those that pass.
        """
        path = self.path(name)
        again = Retrying(
            retry=retry_if_exception(_is_passing),
            stop=stop_after_delay(0 if self.is_local else PATIENCE_SECONDS),
            wait=wait_exponential(0.2, max=5.0),
            reraise=True,
        )
        try:
            return again(action, path)
        except passing:
            raise
        except Exception as error:
            raise self._failed(verb, name, error) from error

    def _failed(self, verb: str, name: str, error: Exception) -> StorageError:
        path = self.path(name)
        if self.is_local:
            advice = "Make the path readable and writable (and see that the disk has space)"
        else:
            path = self._fs.unstrip_protocol(path)
            advice = (
                "See that the bucket exists, and that endpoint and credentials are in the environment of every machine"
            )
        return StorageError(f"storage: cannot {verb} {path}: {error}. {advice}, then run the command again.")


def _is_passing(error: BaseException) -> bool:
    """Whether a server may have got over this error in a moment: it was away, busy or broken inside."""
    if isinstance(error, OSError):
        lasting = (FileNotFoundError, FileExistsError, PermissionError, IsADirectoryError, NotADirectoryError)
        return not isinstance(error, lasting) and error.errno != errno.EINVAL
    return bool({"ConnectionError", "HTTPClientError"} & {kind.__name__ for kind in type(error).__mro__})  # botocore's


def _protocols(protocol: str | tuple[str, ...]) -> tuple[str, ...]:
    return (protocol,) if isinstance(protocol, str) else protocol
