"""Which sweep is meant, and where its MLflow is: read from the first entry of each journal."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tuner.engine.sweep import Place


@dataclass(frozen=True, slots=True)
class Made:
    """A sweep as it was made: its id, its spec's name, when (seconds since 1970), and the MLflow it is shown in."""

    sweep: str
    name: str
    time: float
    tracking: str


class NoSweepError(ValueError):
    """There is no sweep of that name."""


def find_sweep(text: str, where: Place) -> str:
    """The sweep that `text` means: its id, the beginning of one id, or a spec file's newest sweep.

    ValueError if there is none, or several.
    """
    names = where.storage.names("sweeps")
    if text in names:
        return text
    if not text.strip():
        raise ValueError("a sweep must be named by its id, its beginning or a spec, not by an empty text")
    if Path(text).is_file():
        return _newest_of(text, where)
    found = [name for name in names if name.startswith(text)]
    if len(found) == 1:
        return found[0]
    if found:
        some = ", ".join(found[-1:-4:-1])
        raise ValueError(f"sweep {text!r} could be any of {len(found)}, such as {some}: write more of its id")
    raise NoSweepError(f"no sweep {text!r} in {where.storage.uri}: `caviar list` shows those there are")


def newest(where: Place, *, name: str | None = None, tracking: str | None = None) -> Made | None:
    """The sweep that was made last, of the spec `name` and shown at `tracking` where these are given."""
    fitting = [one for one in _all(where) if name in (None, one.name) and tracking in (None, one.tracking)]
    return max(fitting, key=lambda one: one.time, default=None)


def tracking_of(sweep: str, where: Place) -> str:
    """The MLflow that the sweep is shown in: its spec's, else this user's."""
    return _made(sweep, where).tracking


def _newest_of(spec: str, where: Place) -> str:
    from tuner.spec import load

    name = load(spec).name
    found = newest(where, name=name)
    if found is None:
        raise NoSweepError(f"no sweep in {where.storage.uri} has the name of {spec}, {name!r}: `caviar run {spec}`")
    return found.sweep


def _all(where: Place) -> Iterator[Made]:
    for sweep in where.storage.names("sweeps"):
        with contextlib.suppress(FileNotFoundError):  # killed while it was made
            yield _made(sweep, where)


def _made(sweep: str, where: Place) -> Made:
    from tuner.engine.journal import Journal

    entry = Journal(where.sweep(sweep)).read(1)
    return Made(sweep, entry["name"], entry["time"], entry["spec"]["tracking"]["uri"] or where.tracking)
