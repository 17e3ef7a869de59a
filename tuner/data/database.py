"""Rows from a database: one query through SQLAlchemy. It reads that database, and nothing else.

Whoever writes the spec may be a stranger to the one on whose machine it runs.
"""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api import types

from models.errors import DataError
from tuner.data.formats import Table

if TYPE_CHECKING:
    import sqlalchemy as sa

SERVERS = ("postgresql", "mysql", "mariadb", "mssql", "oracle", "snowflake", "redshift", "bigquery", "trino")
REACHING = ("local_infile", "allow_local_infile", "allow_local_infile_in_path")
SQLITE_RECURSIVE = 33  # a common table expression that refers to itself; sqlite3 has no name for it
READING = (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, SQLITE_RECURSIVE)


def hide_secrets(url: str) -> str:
    """`url`, or a text with URLs in it, without passwords and values of query parameters that look secret."""
    url = re.sub(r"(://[^:/@\s]*):[^/\s]*@", r"\1:***@", url)
    url = re.sub(r"([?&]odbc_connect)=[^&]*", r"\1=***", url, flags=re.IGNORECASE)
    return re.sub(r"([?&][^=&\s]*(?:pass|pwd|secret|token|key)[^=&\s]*)=[^&\s]*", r"\1=***", url, flags=re.IGNORECASE)


def query_table(url: str, query: str) -> Table:
    """The rows of one query; nothing is committed. Rows without an order get one, by their content."""
    import sqlalchemy as sa

    shown, password = hide_secrets(url), None
    try:
        address = sa.make_url(url)
        password = address.password
        if address.get_backend_name() == "sqlite" and not _sqlite_exists(address.database):
            raise DataError(f"a database must exist, and {shown} does not: check the path")
        _refuse_more_than_reading(address, shown)
        engine = sa.create_engine(address)
        if address.get_backend_name() == "sqlite":
            sa.event.listen(engine, "connect", _only_read)
        try:
            with engine.connect() as connection:
                frame = pd.read_sql_query(sa.text(_literal(query)), connection)
        finally:
            engine.dispose()
    except (sa.exc.SQLAlchemyError, pd.errors.DatabaseError, ImportError) as error:
        told = str(error).replace(password, "***") if password else str(error)
        # from None: a traceback would show the password that the message hides
        raise DataError(f"cannot read from {shown} ({hide_secrets(told)}): check url, driver and query") from None
    frame.columns = pd.Index([str(name) for name in frame.columns])
    return frame.iloc[_order(frame)], list(frame.columns)


def _order(frame: pd.DataFrame) -> NDArray[np.intp]:
    """An order of the rows that depends on their content alone: a database promises none."""
    hashable = frame.astype({name: str for name, dtype in frame.dtypes.items() if types.is_object_dtype(dtype)})
    return np.argsort(pd.util.hash_pandas_object(hashable, index=False).to_numpy(), kind="stable")


def _refuse_more_than_reading(address: sa.URL, shown: str) -> None:
    """DataError for databases that read and write files of this machine as they are asked to."""
    backend = address.get_backend_name()
    if backend not in SERVERS and backend != "sqlite":
        known = ", ".join(("sqlite", *SERVERS))
        raise DataError(f"a database must be one of {known}, and {shown} is {backend}: export its rows to Parquet")
    reaching = [name for name in address.query if name.lower() in REACHING]
    if reaching:
        raise DataError(f"a database's address must not set {reaching[0]}, which lets its server read files from here")


def _only_read(connection: sqlite3.Connection, _: object) -> None:
    """SQLite can attach, write and vacuum into other files: not here."""

    def decide(action: int, *_: object) -> int:
        return sqlite3.SQLITE_OK if action in READING else sqlite3.SQLITE_DENY

    connection.set_authorizer(decide)


def _sqlite_exists(database: str | None) -> bool:
    name = re.sub(r"^file:(//)?([^?]*).*", r"\2", str(database or ""))
    return name in ("", ":memory:") or Path(name).is_file()


def _literal(query: str) -> str:
    """`query` for `sqlalchemy.text`, in which an unescaped `:word` would ask for a parameter."""
    return re.sub(r"(?<![:\w\\]):(?=\w+(?!:))", r"\:", query)
