"""A panda: one model changed while it trains, rewound, killed, and still the model of its schedule."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.made_pandas import EPOCHS, PLAN, chronicle_of, losses, setting, started, told, trained
from tuner.engine.assignment import Assignment
from tuner.engine.journal import Journal
from tuner.engine.panda import line, making, requests
from tuner.engine.panda.requests import Request, Verb
from tuner.engine.place import Place
from tuner.engine.storage import Storage
from tuner.spec import from_mapping

ROOT = Path(__file__).parent.parent


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path, Storage(tmp_path / "storage"), "")


@pytest.fixture
def panda(place: Place, digits: Path) -> Storage:
    return started(place, digits, "po")


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
    return started(place, digits, "plain")


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


def test_what_was_done_is_not_done_again(panda: Storage, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """It dies after the rewind was written, and before the request for it was taken away."""
    plan = told(panda, (5, Request(Verb.REWIND, {}, 3)))

    def die(*_: Any) -> None:
        raise DiedError

    with monkeypatch.context() as patch:
        patch.setattr(requests, "done", die)
        with pytest.raises(DiedError):
            trained(panda, place, plan)
    assert len(requests.asked(panda)) == 1
    assert trained(panda, place, plan) == "finished"
    assert chronicle_of(panda).trained == EPOCHS + 2
    assert [entry["kind"] for _, entry in Journal(panda).entries()].count("rewound") == 1


def test_without_states_it_goes_on_all_the_same(plain: Storage, panda: Storage, place: Place) -> None:
    """A state is trained again where it is missing; without any change a panda is the sweep's trial."""
    stop = told(plain, (6, Request(Verb.STOP)))
    assert trained(plain, place, stop) == "stopped"
    for file in plain.names("state"):
        plain.remove(f"state/{file}")
    assert trained(plain, place) == "finished"
    assert trained(panda, place) == "finished"
    assert losses(plain) == losses(panda)


def test_one_that_diverges_can_be_rewound(panda: Storage, place: Place) -> None:
    assert trained(panda, place, told(panda, (3, setting(learning_rate=1e30)))) == "diverged"
    found = chronicle_of(panda)
    assert found.diverged
    with pytest.raises(ValueError, match=f"its loss was not finite at epoch {found.epoch}: rewind"):
        found.entry_for(setting(learning_rate=0.1))
    assert trained(panda, place) == "diverged"  # nothing has changed
    requests.ask(panda, Request(Verb.REWIND, {"learning_rate": 0.1}, 3))
    assert trained(panda, place) == "finished"
    assert line.reproduce(Assignment(panda, place.snapshots), chronicle_of(panda)).bitwise


def test_a_finished_one_is_trained_for_longer(panda: Storage, plain: Storage, place: Place) -> None:
    for one in (panda, plain):
        assert trained(one, place) == "finished"
        requests.ask(one, setting(epochs=EPOCHS + 3))
    requests.ask(plain, setting(learning_rate=0.05))
    assert trained(panda, place) == trained(plain, place) == "finished"
    assert chronicle_of(panda).entry_for(Request(Verb.REWIND, {"epochs": 5}, 3))["epochs"] == 5
    assert len(losses(panda)) == len(losses(plain)) == EPOCHS + 3
    assert losses(panda)[:EPOCHS] == losses(plain)[:EPOCHS]
    assert losses(panda)[EPOCHS] != losses(plain)[EPOCHS]


def test_a_learning_rate_that_is_set_is_that_of_the_next_epoch(panda: Storage, place: Place) -> None:
    """Its decay counts from there: lr / (1 + 0.1 * epochs since)."""
    assert trained(panda, place, told(panda, (4, setting(learning_rate=0.2)))) == "finished"
    rates = [row.learning_rate for row in chronicle_of(panda).rows]
    expected = [0.3 / (1 + 0.1 * epoch) for epoch in range(4)] + [0.2 / (1 + 0.1 * since) for since in range(8)]
    assert rates == pytest.approx(expected)


def test_what_cannot_be_is_refused_and_changes_nothing(panda: Storage, plain: Storage, place: Place) -> None:
    plan = (2, Request(Verb.REWIND, {}, 9)), (4, setting(beta1=0.5)), (6, setting(epochs=2))
    assert trained(panda, place, told(panda, *plan)) == trained(plain, place) == "finished"
    assert losses(panda) == losses(plain)
    refused = [entry["refused"] for _, entry in Journal(panda).entries() if entry["kind"] == "refused"]
    assert refused == [
        "the epoch must be from 0 to 2, the last of this line, not 9",
        "beta1 has no effect here: it is active only where optimizer is adam, and here it is momentum",
        "epochs must be a whole number of at least 6 (trained so far), got 2",
    ]


def test_what_is_searched_must_be_fixed(place: Place, digits: Path) -> None:
    spec = from_mapping({"name": "bear", "data": {"source": str(digits)}, "train": {"optimizer": "adam"}})
    with pytest.raises(ValueError, match="these are searched: learning_rate, hidden_units") as caught:
        making.start(spec, place)
    assert "--set train.learning_rate_decay.rate=" in str(caught.value)
    assert place.storage.names(making.FOLDER) == []


def test_what_is_asked_in_the_last_epoch_is_done(panda: Storage, place: Place) -> None:
    plan = told(panda, (EPOCHS, setting(epochs=EPOCHS + 2)), (EPOCHS + 2, Request(Verb.REWIND, {}, EPOCHS)))
    assert trained(panda, place, plan) == "finished"
    assert (chronicle_of(panda).epoch, chronicle_of(panda).trained) == (EPOCHS + 2, EPOCHS + 4)
