"""The tables of re-tuning and the connection to the database that holds them: SQLite, or a server's."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_fixed

BUSY_SECONDS = 60
READS = "caviar_reads"
TABLES = sa.MetaData()
MODELS = sa.Table(
    "retune_models",
    TABLES,
    sa.Column("model", sa.String(255), primary_key=True),
    sa.Column("fence", sa.BigInteger, nullable=False),
    sa.Column("owner", sa.String(255), nullable=False),
    sa.Column("until", sa.Float, nullable=False),
)
PERIODS = sa.Table(
    "retune_periods",
    TABLES,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("model", sa.String(255), nullable=False),
    sa.Column("period", sa.String(32), nullable=False),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("state", sa.String(32), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("fence", sa.BigInteger, nullable=False),
    sa.Column("updated", sa.Float, nullable=False),
    sa.Column("data", sa.JSON, nullable=False),
    sa.UniqueConstraint("model", "period"),
)
AUDIT = sa.Table(
    "retune_audit",
    TABLES,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("time", sa.Float, nullable=False),
    sa.Column("model", sa.String(255), nullable=False),
    sa.Column("period", sa.String(32), nullable=False),
    sa.Column("fence", sa.BigInteger, nullable=False),
    sa.Column("who", sa.String(255), nullable=False),
    sa.Column("before", sa.String(32), nullable=False),
    sa.Column("after", sa.String(32), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
)


def connect(url: str) -> sa.Engine:
    """An engine for the database `url`, with the tables in it. sqlalchemy.exc.SQLAlchemyError where that fails."""
    address = sa.make_url(url)
    lite = address.get_backend_name() == "sqlite"
    engine = sa.create_engine(address, connect_args={"timeout": BUSY_SECONDS} if lite else {})
    if lite:
        _one_writer_at_a_time(engine)
    kinds = retry_if_exception_type((sa.exc.OperationalError, sa.exc.ProgrammingError, sa.exc.IntegrityError))
    for attempt in Retrying(retry=kinds, stop=stop_after_attempt(5), wait=wait_fixed(0.2), reraise=True):
        with attempt:  # two may make them at once, and looking first is no lock
            TABLES.create_all(engine)
    return engine


def reading(engine: sa.Engine) -> sa.Connection:
    """A connection that only reads: also beside a transaction that writes."""
    return engine.execution_options(**{READS: True}).connect()


def insert_once(engine: sa.Engine, table: sa.Table) -> Any:
    """An insertion into `table` that does nothing where the row is there already."""
    dialect = sqlite if engine.dialect.name == "sqlite" else postgresql
    return dialect.insert(table).on_conflict_do_nothing()


def _one_writer_at_a_time(engine: sa.Engine) -> None:
    """A transaction of SQLite begins as a writer, so that what it reads first is still so when it writes.

    But for those of `reading`, which wait for nobody.
    """

    def plain(connection: Any, _: object) -> None:
        connection.isolation_level = None  # else the driver begins transactions of its own

    def begin(connection: sa.Connection) -> None:
        reads = connection.get_execution_options().get(READS, False)
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")

    sa.event.listen(engine, "connect", plain)
    sa.event.listen(engine, "begin", begin)
