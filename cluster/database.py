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
            if parsed.database in (None, "", ":memory:"):
                raise ValueError(f"{url} is no file: write sqlite:////folder/mlflow.db")
            return parsed.set(database=str(Path(str(parsed.database)).absolute())).render_as_string(hide_password=False)
        timeout = {"connect_timeout": SECONDS} if parsed.get_backend_name() in WITH_TIMEOUT else {}
        sqlalchemy.create_engine(parsed, connect_args=timeout, poolclass=sqlalchemy.NullPool).connect().close()
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
    return url


def shown(url: str) -> str:
    """`url` for people: without password and options."""
    return sqlalchemy.make_url(url).set(query={}).render_as_string(hide_password=True)
