"""The database of periods, as the commands of re-tuning open it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tuner.cli.app import own_home

if TYPE_CHECKING:
    from tuner.retune.periods import Periods

DATABASE = "CAVIAR_DATABASE"


@contextlib.contextmanager
def periods_opened() -> Iterator[Periods]:
    """The database of periods. ValueError where it cannot be meant, OSError where it does not answer, also later."""
    from sqlalchemy.exc import ArgumentError, SQLAlchemyError

    from tuner.retune.periods import Periods, StaleClaimError

    try:
        periods = Periods(_url())
    except (ArgumentError, ModuleNotFoundError) as error:
        form = "such as postgresql+psycopg2://user@host/name"
        raise ValueError(f"{DATABASE} must be the URL of an SQLite or PostgreSQL database, {form}: {error}") from error
    except SQLAlchemyError as error:
        raise OSError(_away(error)) from error
    with contextlib.closing(periods):
        try:
            yield periods
        except SQLAlchemyError as error:
            raise OSError(_away(error)) from error
        except StaleClaimError as error:
            raise OSError(f"{error}; nothing is lost") from error


def is_named() -> bool:
    """Whether the user says which database is meant; else it is a file of this machine."""
    return bool(os.environ.get(DATABASE))


def _url() -> str:
    """Where the periods are kept: CAVIAR_DATABASE, else a file in CAVIAR_HOME."""
    named = os.environ.get(DATABASE)
    if named:
        return named
    own_home().mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{own_home() / 'retune.db'}"


def _away(error: Exception) -> str:
    cause = " ".join(str(getattr(error, "orig", None) or error).split())
    return f"the database of periods does not answer: {cause}\nnothing is lost: try again when it does"
