"""What waits for a panda: it is part of how the panda will stand, and of what can be asked of it."""

from __future__ import annotations

import json
import os
import threading
import time
from dataclasses import asdict
from pathlib import Path

import pytest

from models.training import Evaluation
from tests.made_pandas import EPOCHS, PLAN, chronicle_of, losses, setting, started, told, trained
from tests.test_panda_execution import caviar
from tuner.engine import status
from tuner.engine.assignment import Assignment
from tuner.engine.journal import JournalError
from tuner.engine.panda import fan_out, line, making, requests
from tuner.engine.panda.board import Board
from tuner.engine.panda.chronicle import Chronicle
from tuner.engine.panda.execution import answer
from tuner.engine.panda.outlook import outlook
from tuner.engine.panda.requests import Request, Verb
from tuner.engine.panda.session import Session
from tuner.engine.place import Place
from tuner.engine.storage import Storage
from tuner.trial import Row


@pytest.fixture
def panda(place: Place, digits: Path) -> Storage:
    """One that has stopped after five epochs."""
    panda = started(place, digits, "po")
    assert trained(panda, place, told(panda, (5, Request(Verb.STOP)))) == "stopped"
    return panda


def rewind(epoch: int, **values: float) -> Request:
    return Request(Verb.REWIND, values, epoch)


def test_what_waits_counts_in_what_can_be_asked(panda: Storage, place: Place) -> None:
    assert "takes effect with caviar panda resume po" in caviar("panda", "rewind", "po", "--epoch", "2")
    with pytest.raises(ValueError, match="from 0 to 2, the last of this line, not 4"):
        caviar("panda", "rewind", "po", "--epoch", "4")
    requests.ask(panda, rewind(4))  # somebody was quicker
    said = " ".join(caviar("panda", "show", "po").split())
    assert "asked: rewind 2 asked: rewind 4, which will be refused: the epoch must be from 0 to 2" in said
    heard: list[str] = []
    session = Session(panda, place.snapshots, commit_seconds=0.0, tell=heard.append)
    session.begin()
    assert heard[0] == "rewind 2: in effect after epoch 2"
    assert heard[1].startswith("rewind 4: refused: the epoch must be from 0 to 2")
    assert (session.run(), outlook(panda).waiting) == ("finished", ())


def test_a_rewind_says_which_settings_it_brings_back(panda: Storage) -> None:
    began = outlook(panda).chronicle.schedule.params["learning_rate"]
    assert caviar("panda", "set", "po", "learning_rate=0.5", "momentum=0.5").endswith("caviar panda resume po\n")
    said = caviar("panda", "rewind", "po", "--epoch", "2", "momentum=0.7")
    assert said.endswith(f"takes effect with caviar panda resume po; learning_rate={began} again\n")


def test_a_diverged_one_that_will_be_rewound_can_be_changed(panda: Storage, place: Place) -> None:
    requests.ask(panda, setting(learning_rate=1e30))
    assert trained(panda, place) == "diverged"
    with pytest.raises(ValueError, match="not finite"):
        caviar("panda", "set", "po", "momentum=0.5")
    requests.ask(panda, rewind(3))
    assert "takes effect" in caviar("panda", "set", "po", "momentum=0.5")
    assert trained(panda, place) == "finished"
    assert chronicle_of(panda).schedule.shown(3)["momentum"] == 0.5


def test_a_change_at_the_end_says_what_it_takes_to_go_on(panda: Storage, place: Place) -> None:
    assert trained(panda, place) == "finished"
    told_ = caviar("panda", "set", "po", "learning_rate=0.01")
    assert f"takes effect with caviar panda resume po --epochs {EPOCHS + EPOCHS // 2}" in told_
    resumed = caviar("panda", "resume", "po")
    assert "what was set after its last epoch takes effect with caviar panda resume po --epochs" in resumed
    assert chronicle_of(panda).epoch == EPOCHS
    assert f"set epochs=14: in effect after epoch {EPOCHS}" in caviar("panda", "resume", "po", "--epochs", "14")
    assert chronicle_of(panda).rows[-1].epoch == 14


def test_a_goal_for_one_that_is_trained_elsewhere_is_refused_and_left_nowhere(panda: Storage) -> None:
    said = status.Status("po", "bear", "running", host=os.uname().nodename, pid=os.getppid(), time=time.time())
    panda.write(status.NAME, json.dumps(asdict(said)).encode())
    with pytest.raises(JournalError, match="is being trained on"):
        caviar("panda", "resume", "po", "--epochs", "100")
    assert requests.asked(panda) == []


def test_nobody_waits_for_an_answer_of_one_that_is_not_trained(panda: Storage) -> None:
    asked, began = requests.ask(panda, setting(momentum=0.5)), time.monotonic()
    assert answer(panda, asked, 0, seconds=30) is None
    assert time.monotonic() - began < 5


def test_a_fan_out_is_for_the_line_that_it_was_made_on(panda: Storage, place: Place) -> None:
    found, given = chronicle_of(panda), Assignment(panda, place.snapshots)
    made = fan_out.continued(given, found, 4, 6, [{"learning_rate": 1e-6}, {}])
    request = fan_out.adoption(found, made, 4, 6)
    assert request is not None
    requests.ask(panda, rewind(2, learning_rate=0.1))
    assert trained(panda, place) == "finished"
    before = losses(panda)
    requests.ask(panda, request)
    assert trained(panda, place) == "finished"
    assert losses(panda) == before
    assert [why for why in chronicle_of(panda).obeyed.values() if "fan out again" in why]


def test_a_fan_out_from_the_end_goes_on_to_where_its_best_came(place: Place, digits: Path) -> None:
    panda = started(place, digits, "low", learning_rate=0.0001)
    assert trained(panda, place) == "finished"
    found, given = chronicle_of(panda), Assignment(panda, place.snapshots)
    made = fan_out.continued(given, found, EPOCHS, EPOCHS + 2, [{}, {"learning_rate": 0.1}])
    request = fan_out.adoption(found, made, EPOCHS, EPOCHS + 2)
    assert request is not None
    requests.ask(panda, request)
    assert trained(panda, place) == "finished"
    assert losses(panda)[EPOCHS:] == [row.val_loss for row in made[1].rows]


def test_a_fan_out_that_is_interrupted_trains_no_further(
    panda: Storage, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    row_of = line.row_of

    def interrupted(found: Evaluation) -> Row:
        seen.append(found.epoch)
        if len(seen) == 2:
            raise KeyboardInterrupt
        return row_of(found)

    monkeypatch.setattr(line, "row_of", interrupted)
    tried = [{"batch_size": size} for size in (32, 64, 128, 256)]
    with pytest.raises(KeyboardInterrupt):
        fan_out.continued(Assignment(panda, place.snapshots), chronicle_of(panda), 5, 1000, tried)
    assert len(seen) < 100


def test_who_loses_a_start_leaves_nothing(place: Place, digits: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    panda = started(place, digits, "tw", learning_rate=0.05)
    spec = panda.read("spec.yaml")
    monkeypatch.setattr(making, "_free", lambda name, _: (name, panda))  # it was free a moment ago
    with pytest.raises(ValueError, match="panda tw exists already"):
        started(place, digits, "tw", learning_rate=0.01)
    assert panda.read("spec.yaml") == spec


def test_a_long_epoch_is_not_silent(panda: Storage) -> None:
    with Board(panda, lambda _found, _row: None, beat=0.02) as board:
        board.write(chronicle_of(panda), "running")
        times, deadline = set(), time.monotonic() + 30
        while len(times) < 3 and time.monotonic() < deadline:
            times.add(json.loads(panda.read(status.NAME))["time"])
        assert len(times) == 3
        board.write(chronicle_of(panda), "finished")
        at_end = panda.read(status.NAME)
        time.sleep(0.1)
    assert panda.read(status.NAME) == at_end
    assert "panda-status" not in {thread.name for thread in threading.enumerate()}


def test_the_best_of_a_line_is_known_without_looking_at_all_of_it(place: Place, digits: Path) -> None:
    panda = started(place, digits, "best")
    ask = told(panda, *PLAN)

    def look(found: Chronicle, row: Row) -> None:
        assert found.best() == min(found.rows, key=found.loss_of, default=None)
        ask(found, row)

    assert trained(panda, place, look) == "finished"
    chronicle = chronicle_of(panda)
    assert chronicle.best() == min(chronicle.rows, key=chronicle.loss_of)
