"""The database behind MLflow: whether it can be used, seen before anything is started."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy

SECONDS = 10
WITH_TIMEOUT = ("postgresql", "mysql")


def checked(url: str) -> str:
    """`url`, with an absolute path if it is SQLite. ValueError if no database answers there; no password is told."""
    try:
        parsed = sqlalchemy.make_url(url)
        if parsed.get_backend_name() == "sqlite":
            parsed = _on_disk(parsed)
        timeout = {"connect_timeout": SECONDS} if parsed.get_backend_name() in WITH_TIMEOUT else {}
        sqlalchemy.create_engine(parsed, connect_args=timeout, poolclass=sqlalchemy.NullPool).connect().close()
        return parsed.render_as_string(hide_password=False)
    except ModuleNotFoundError as error:
        raise ValueError(
            f"the database {shown(url)} needs the Python package {error.name}: install it, or name a driver that is "
            "installed, as in postgresql+psycopg2://"
        ) from None
    except sqlalchemy.exc.ArgumentError:  # it could not be read, so we know of no password to hide
        raise ValueError(
            "the database must be a URL such as postgresql://user:password@host/mlflow, and this one cannot be read"
        ) from None
    except sqlalchemy.exc.SQLAlchemyError as error:
        why = str(getattr(error, "orig", None) or error).strip().replace("\n", " ")
        raise ValueError(f"no database answers at {shown(url)}: {why}") from None


def _on_disk(url: sqlalchemy.URL) -> sqlalchemy.URL:
    """The SQLite file with its whole path. ValueError if it is none, or cannot be one."""
    file = Path(url.database or ":memory:").absolute()
    if file.name == ":memory:":
        raise ValueError("MLflow's database must be a file: write sqlite:////folder/mlflow.db")
    if not file.parent.is_dir():
        raise ValueError(f"{file.parent}, for MLflow's database, is no folder: make it, or name another one")
    if file.is_file() and file.stat().st_size and not _is_sqlite(file):
        raise ValueError(f"{file} is no SQLite database: name another file")
    return url.set(database=str(file))


def shown(url: str) -> str:
    """`url` for people: without password and options."""
    return sqlalchemy.make_url(url).set(query={}).render_as_string(hide_password=True)


def _is_sqlite(file: Path) -> bool:
    with file.open("rb") as start:
        return start.read(15) == b"SQLite format 3"
