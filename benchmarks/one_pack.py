"""A sweep's first pack without Ray, each half as a process of its own: `prepare HOME SPEC`, then `train HOME`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tuner.engine import sweep
from tuner.engine.objects import result_name
from tuner.engine.place import Place
from tuner.engine.storage import Storage
from tuner.spec import from_mapping

NAME = "sweep"
FIRST = 1  # the pack's number


def place(home: Path) -> Place:
    return Place(home, Storage(home / "storage"), "")


def prepare(home: Path, spec: dict[str, Any]) -> None:
    """Makes the snapshot, the sweep and its first pack, which is handed out to one worker."""
    where = place(home)
    sweep.create(from_mapping(spec), where, NAME)
    _, _, history = sweep.load(where.sweep(NAME))
    history.begin()
    (home / "entry").write_text(str(history.ask(1)), encoding="utf-8")


def train(home: Path) -> None:
    """Trains that pack as a worker does, which leaves its result in storage."""
    from tuner.engine.work import PackRun

    where = place(home)
    entry = int((home / "entry").read_text(encoding="utf-8"))
    pack = PackRun.of(where.sweep(NAME).uri, entry, str(where.snapshots))
    for _ in pack.run():
        pass


def result(home: Path) -> dict[str, Any]:
    """What the worker left: `rows`, `timings` and more."""
    found: dict[str, Any] = json.loads(place(home).sweep(NAME).read(result_name(FIRST)))
    return found


if __name__ == "__main__":
    if sys.argv[1] == "prepare":
        prepare(Path(sys.argv[2]), json.loads(sys.argv[3]))
    else:
        train(Path(sys.argv[2]))
