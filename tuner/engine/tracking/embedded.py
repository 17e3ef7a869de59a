"""The embedded store: one SQLite file, with the artifacts beside it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy

from tuner.engine.locks import locked
from tuner.engine.tracking import served_artifacts

if TYPE_CHECKING:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore


def prepare(uri: str) -> SqlAlchemyStore:
    """Opens the embedded store and makes its tables; once, because MLflow's migration fails in two processes."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore  # who asks a server need not wait for it

    path = _database(uri)
    served_artifacts.read_from(artifact_root(uri))
    with locked(path.with_suffix(".lock")):
        _let_readers_go_on(path)
        store = SqlAlchemyStore(uri, artifact_root(uri).as_uri())  # type: ignore[no-untyped-call]
        if not sqlalchemy.event.contains(store.engine, "connect", _commit_fast):
            sqlalchemy.event.listen(store.engine, "connect", _commit_fast)
            store.engine.dispose()  # what was opened before commits slowly
        return store


def artifact_root(uri: str) -> Path:
    """Where an embedded store keeps its artifacts."""
    return _database(uri).parent / "artifacts"


def _let_readers_go_on(path: Path) -> None:
    """Puts the database into WAL mode, in which it stays: readers go on while one process writes."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")


def _commit_fast(connection: sqlite3.Connection, _record: object) -> None:
    """In WAL mode a commit survives a kill without waiting for the disk; SQLAlchemy calls this for every connection."""
    connection.execute("PRAGMA synchronous=NORMAL")


def _database(uri: str) -> Path:
    return Path(sqlalchemy.make_url(uri).database or "mlflow.db").absolute()
