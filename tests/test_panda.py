"""A panda: one model changed while it trains, rewound, killed, and still the model of its schedule."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tuner.engine.assignment import Assignment
from tuner.engine.journal import Journal
from tuner.engine.panda import line, making, requests
from tuner.engine.panda.chronicle import Chronicle
from tuner.engine.panda.requests import Request, Verb
from tuner.engine.panda.session import Session
from tuner.engine.storage import Storage
from tuner.engine.sweep import Place
from tuner.spec import from_mapping
from tuner.trial import Row

EPOCHS = 12
Look = Callable[[Chronicle, Row], None]
ROOT = Path(__file__).parent.parent


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path, Storage(tmp_path / "storage"), "")


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


@pytest.fixture
def panda(place: Place, digits: Path) -> Storage:
    return making.storage_of(place, making.start(from_mapping(spec_of(digits)), place, "po"))


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


def test_it_replays_to_the_last_bit(panda: Storage, place: Place) -> None:
    assert trained(panda, place, told(panda, *PLAN)) == "finished"
    found = chronicle_of(panda)
    assert [(one.epoch, dict(one.values)) for one in found.schedule.changes] == [
        (2, {"learning_rate": 0.1}),
        (4, {"momentum": 0.95, "batch_size": 32}),
        (5, {"weight_decay": 0.001}),
        (9, {"learning_rate": 0.03}),
    ]
    assert (found.epoch, found.trained) == (EPOCHS, EPOCHS + 2)
    assert line.reproduce(Assignment(panda, place.snapshots), found).bitwise


@pytest.fixture
def plain(place: Place, digits: Path) -> Storage:
    return making.storage_of(place, making.start(from_mapping(spec_of(digits)), place, "plain"))


def test_three_edits_a_rewind_and_two_kills_replay_to_the_same_loss(panda: Storage, place: Place) -> None:
    """The kills are SIGKILLs: right after a rewind was written, and in an epoch of which nothing is stored."""
    for moment, asked in (("rewound", PLAN[:3]), ("epoch 8", ()), ("never", PLAN[3:])):
        for epoch, request in asked:
            panda.write(f"plan/{epoch:02d}", str(request).encode())
        child = [sys.executable, "-m", "tests.panda_child", panda.uri, str(place.snapshots), moment]
        done = subprocess.run(child, check=False, cwd=ROOT, capture_output=True, text=True, timeout=120)
        assert done.returncode == (0 if moment == "never" else -9), done.stderr
    found = chronicle_of(panda)
    entries = [entry["kind"] for _, entry in Journal(panda).entries()]
    assert (entries.count("attempt"), entries.count("rewound"), entries.count("changed")) == (3, 1, 3)
    assert (found.epoch, len(found.schedule.changes)) == (EPOCHS, 4)
    again = line.reproduce(Assignment(panda, place.snapshots), found)
    assert again.rows[-1].val_loss == pytest.approx(found.rows[-1].val_loss, rel=1e-6)
    assert again.bitwise


class DiedError(BaseException):
    """What a kill is in one process."""


@pytest.mark.parametrize("at", range(2, 38, 5))
def test_a_death_at_any_write_loses_nothing(
    panda: Storage, place: Place, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = told(panda, *PLAN)
    written = iter(range(1, 10_000))

    def mortal(do: Callable[..., Any]) -> Callable[..., Any]:
        def count(self: Storage, name: str, *rest: Any) -> Any:
            asking = do.__name__ == "create" and name.startswith("inbox")
            if not asking and next(written) == at:
                raise DiedError
            return do(self, name, *rest)

        return count

    for verb in ("create", "remove", "file_to_write"):
        monkeypatch.setattr(Storage, verb, mortal(getattr(Storage, verb)))
    with pytest.raises(DiedError):
        trained(panda, place, plan)
    assert trained(panda, place, plan) == "finished"
    found = chronicle_of(panda)
    assert found.epoch == EPOCHS
    assert not requests.asked(panda)
    assert line.reproduce(Assignment(panda, place.snapshots), found).bitwise


def test_without_states_it_goes_on_all_the_same(plain: Storage, panda: Storage, place: Place) -> None:
    """A state is trained again where it is missing; without any change a panda is the sweep's trial."""
    stop = told(plain, (6, Request(Verb.STOP)))
    assert trained(plain, place, stop) == "stopped"
    for file in plain.names("state"):
        plain.remove(f"state/{file}")
    assert trained(plain, place) == "finished"
    assert trained(panda, place) == "finished"
    assert losses(plain) == losses(panda)


def losses(panda: Storage) -> list[float]:
    return [row.val_loss for row in chronicle_of(panda).rows]
