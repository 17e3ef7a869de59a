"""Rows from a database: one query through SQLAlchemy, read only in effect, because nothing is committed."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd

from models.features import DataError
from tuner.data.formats import Table


def hide_secrets(url: str) -> str:
    """`url` without its password and without the values of its query parameters that look secret."""
    url = re.sub(r"(://[^:/@\s]*):[^/\s]*@", r"\1:***@", url)
    return re.sub(r"([?&][^=&\s]*(?:pass|pwd|secret|token|key)[^=&\s]*)=[^&\s]*", r"\1=***", url, flags=re.IGNORECASE)


def query_table(url: str, query: str) -> Table:
    """The rows of one query; nothing is committed. Rows without an order get one, by their content."""
    import sqlalchemy as sa

    shown = hide_secrets(url)
    try:
        address = sa.make_url(url)
        if address.get_backend_name() == "sqlite" and not _sqlite_exists(address.database):
            raise DataError(f"a database must exist, and {shown} does not: check the path")
        engine = sa.create_engine(address)
        try:
            with engine.connect() as connection:
                frame = pd.read_sql_query(sa.text(query), connection)
        finally:
            engine.dispose()
    except (sa.exc.SQLAlchemyError, ImportError) as error:
        told = str(error).replace(str(address.password), "***") if address.password else str(error)
        raise DataError(f"cannot read from {shown} ({told}): check url, driver and query") from None
    frame.columns = pd.Index([str(name) for name in frame.columns])
    order = np.argsort(pd.util.hash_pandas_object(frame, index=False).to_numpy(), kind="stable")
    return frame.iloc[order], list(frame.columns)


def _sqlite_exists(database: str | None) -> bool:
    return database in (None, "", ":memory:") or str(database).startswith("file:") or Path(str(database)).is_file()
