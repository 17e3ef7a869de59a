"""Rows from a database: one query through SQLAlchemy, read only in effect, because nothing is committed."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api import types

from models.features import DataError
from tuner.data.formats import Table


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
        engine = sa.create_engine(address)
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


def _sqlite_exists(database: str | None) -> bool:
    return database in (None, "", ":memory:") or str(database).startswith("file:") or Path(str(database)).is_file()


def _literal(query: str) -> str:
    """`query` for `sqlalchemy.text`, in which an unescaped `:word` would ask for a parameter."""
    return re.sub(r"(?<![:\w\\]):(?=\w+(?!:))", r"\:", query)
