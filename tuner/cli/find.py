"""Which sweep or panda is meant, and where its MLflow is: read from the first entry of each journal."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tuner.engine.place import Place
    from tuner.engine.storage import Storage

SWEEPS, PANDAS = "sweeps", "pandas"


@dataclass(frozen=True, slots=True)
class Made:
    """A sweep or panda as it was made: where it is, its id, its spec's name, when (seconds since 1970), its MLflow."""

    storage: Storage
    id: str
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
    if text in where.storage.names(PANDAS):
        raise NoSweepError(f"{text} is a panda, not a sweep: `caviar panda show {text}`, `caviar panda --help`")
    raise NoSweepError(f"no sweep {text!r} in {where.storage.uri}: `caviar list` shows those there are")


def find_shown(text: str, where: Place) -> Made:
    """The sweep that `text` means, or else the panda of this id. ValueError if there is neither."""
    try:
        return _made(where.storage.child(f"{SWEEPS}/{find_sweep(text, where)}"), where)
    except NoSweepError:
        if text not in where.storage.names(PANDAS):
            raise
        return _made(where.storage.child(f"{PANDAS}/{text}"), where)


def newest(where: Place, *folders: str, name: str | None = None, tracking: str | None = None) -> Made | None:
    """What was made last in these folders, of the spec `name` and shown at `tracking` where these are given."""
    fitting = [one for one in _all(where, folders) if name in (None, one.name) and tracking in (None, one.tracking)]
    return max(fitting, key=lambda one: one.time, default=None)


def _newest_of(spec: str, where: Place) -> str:
    from tuner.spec import load

    name = load(spec).name
    found = newest(where, SWEEPS, name=name)
    if found is None:
        raise NoSweepError(f"no sweep in {where.storage.uri} has the name of {spec}, {name!r}: `caviar run {spec}`")
    return found.id


def _all(where: Place, folders: Iterable[str]) -> Iterator[Made]:
    for folder in folders:
        for name in where.storage.names(folder):
            with contextlib.suppress(FileNotFoundError):  # killed while it was made
                yield _made(where.storage.child(f"{folder}/{name}"), where)


def _made(storage: Storage, where: Place) -> Made:
    from tuner.engine.journal import Journal

    entry = Journal(storage).read(1)
    tracking = entry["spec"]["tracking"]["uri"] or where.tracking
    return Made(storage, entry["sweep"], entry["name"], entry["time"], tracking)
