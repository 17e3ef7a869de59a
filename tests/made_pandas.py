"""A small panda on the digits, people who ask it for things, and what its journal says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tuner.engine.journal import Journal
from tuner.engine.panda import making, requests
from tuner.engine.panda.chronicle import Chronicle
from tuner.engine.panda.requests import Request, Verb
from tuner.engine.panda.session import Session
from tuner.engine.place import Place
from tuner.engine.storage import Storage
from tuner.spec import from_mapping
from tuner.trial import Row

EPOCHS = 12
Look = Callable[[Chronicle, Row], None]


def spec_of(digits: Path, **train: Any) -> dict[str, Any]:
    """A spec with nothing left to search."""
    fixed = {"optimizer": "momentum", "momentum": 0.9, "learning_rate": 0.3, "batch_size": 64, **train}
    return {
        "name": "bear",
        "data": {"source": str(digits)},
        "model": {"hidden_layers": 1, "hidden_units": 32},
        "train": {"learning_rate_decay": {"schedule": "inverse_time", "rate": 0.1}, **fixed},
        "stopping": {"none": {"max_epochs": EPOCHS}},
    }


def started(place: Place, digits: Path, name: str, **train: Any) -> Storage:
    """A panda of this name that nobody has trained yet."""
    return making.storage_of(place, making.start(from_mapping(spec_of(digits, **train)), place, name))


def told(panda: Storage, *plan: tuple[int, Request]) -> Look:
    """Somebody who asks for each of `plan`, in order, as soon as its epoch was trained."""
    left = list(plan)

    def look(_: Chronicle, row: Row) -> None:
        if left and row.epoch == left[0][0]:
            requests.ask(panda, left.pop(0)[1])

    return look


def trained(panda: Storage, place: Place, look: Look = lambda _chronicle, _row: None) -> str:
    """Trains the panda in this process, with every epoch stored; how that ends."""
    session = Session(panda, place.snapshots, look, commit_seconds=0.0)
    session.begin()
    return session.run()


def setting(**values: Any) -> Request:
    return Request(Verb.SET, values)


def chronicle_of(panda: Storage) -> Chronicle:
    return Chronicle.of(entry for _, entry in Journal(panda).entries())


PLAN = (
    (2, setting(learning_rate=0.1)),
    (4, setting(momentum=0.95, batch_size=32)),
    (7, Request(Verb.REWIND, {"weight_decay": 0.001}, 5)),
    (9, setting(learning_rate=0.03)),
)


def losses(panda: Storage) -> list[float]:
    """Those of the present line."""
    return [row.val_loss for row in chronicle_of(panda).rows]
