"""The embedded store: one SQLite file, with the artifacts beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

from tuner.engine.locks import locked
from tuner.engine.tracking import served_artifacts


def prepare(uri: str) -> SqlAlchemyStore:
    """Opens the embedded store and makes its tables; once, because MLflow's migration fails in two processes."""
    path = _database(uri)
    served_artifacts.read_from(artifact_root(uri))
    with locked(path.with_suffix(".lock")):
        return SqlAlchemyStore(uri, artifact_root(uri).as_uri())  # type: ignore[no-untyped-call]


def artifact_root(uri: str) -> Path:
    """Where an embedded store keeps its artifacts."""
    return _database(uri).parent / "artifacts"


def tune_sqlite(connection: Any, _record: Any) -> None:
    """Lets readers go on while one process writes; called by SQLAlchemy for every new connection."""
    if type(connection).__module__.startswith("sqlite3"):
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")


def _database(uri: str) -> Path:
    return Path(sqlalchemy.make_url(uri).database or "mlflow.db").absolute()
