"""Ray's folder of sockets and logs, which must have a short path, and what stays of it in CAVIAR_HOME."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import stat
import tempfile
from pathlib import Path

PREFIX = "caviar-"


def make() -> str:
    """A new folder for Ray that no other user can enter: Ray itself would let everyone write there."""
    return str(Path(tempfile.mkdtemp(prefix=PREFIX)) / "ray")  # mode 0700; sockets allow for 107 characters


def logs(home: Path) -> Path:
    """Where the logs of this machine are: a home can be shared."""
    return home / "logs" / socket.gethostname()


def link(home: Path, files: str) -> None:
    """Shows the logs of the running Ray beside the others, as `ray`."""
    shown = logs(home) / "ray"
    _remove(shown)
    shown.symlink_to(Path(files) / "session_latest" / "logs")


def keep_logs(home: Path, files: str) -> None:
    """Moves the logs of the ended Ray into the home, in place of earlier ones, and removes its folder.

    Whatever a record says, nothing is touched but folders that `make` can have made.
    """
    folder = Path(files).parent
    if not _is_made(folder):
        return
    kept, session = logs(home) / "ray", Path(files) / "session_latest" / "logs"
    with contextlib.suppress(OSError):  # a full disk keeps nobody from ending a cluster
        source = session.resolve()
        if source.is_dir() and source.is_relative_to(folder.resolve()):
            _remove(kept)
            shutil.move(source, kept)
            kept.chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)


def keep_last_session(files: str) -> None:
    """Removes what ended Rays have left in the folder `files`, but for the newest session, whose logs may be wanted."""
    import psutil  # late, as every command looks for a cluster

    commands = [" ".join(one.info["cmdline"] or ()) for one in psutil.process_iter(["cmdline"])]
    for session in sorted(Path(files).glob("session_[0-9]*"))[:-1]:  # named by when they began
        if not any(session.name in command for command in commands):
            shutil.rmtree(session, ignore_errors=True)


def _is_made(folder: Path) -> bool:
    """Whether it is this user's, and where and called as `make` has it."""
    try:
        found = folder.lstat()
    except OSError:
        return False
    named = folder.name.startswith(PREFIX) and folder.parent == Path(tempfile.gettempdir())
    return named and stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()


def _remove(path: Path) -> None:
    if path.is_symlink():
        path.unlink()
    else:
        shutil.rmtree(path, ignore_errors=True)
