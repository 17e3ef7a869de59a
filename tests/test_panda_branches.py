"""A panda that goes on from elsewhere: from a sweep's trial, or as the best of its own continuations."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.made_pandas import EPOCHS, chronicle_of, losses, setting, spec_of, started, told, trained
from tuner.engine import reproduce, sweep
from tuner.engine.assignment import Assignment
from tuner.engine.panda import fan_out, line, making, requests
from tuner.engine.panda.requests import Request, Verb
from tuner.engine.place import Place
from tuner.engine.storage import Storage
from tuner.engine.work import PackRun
from tuner.spec import from_mapping


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("branches")
    return Place(folder, Storage(folder / "storage"), "")


@pytest.fixture(scope="module")
def searched(place: Place, digits: Path) -> str:
    """A sweep whose trials have been trained for 4 epochs, in a worker's code, without Ray."""
    spec = spec_of(digits, learning_rate={"log_uniform": [0.03, 0.3]}, momentum=0.8)
    spec |= {"search": {"trials": 4}, "stopping": {"none": {"max_epochs": 4}}}
    name = sweep.create(from_mapping(spec), place, "searched")
    storage = place.sweep(name)
    _, ledger, history = sweep.load(storage)
    history.begin()
    while len(ledger.rows) < 4 and (number := history.ask(1)):
        pack = history.open[number]
        list(PackRun.of(storage.uri, number, str(place.snapshots)).run())
        history.done(pack.id)
    return name


def test_a_trial_is_adopted_with_its_state_or_without(place: Place, searched: str) -> None:
    _, ledger, _ = sweep.load(place.sweep(searched))
    alone = reproduce.retrain(place.sweep(searched), place.snapshots, ledger.trials["t0002"], EPOCHS)
    for name, with_state in (("with", True), ("without", False)):
        panda = making.storage_of(place, making.adopt(searched, "t0002", place, name, EPOCHS))
        (state,) = panda.names("state")
        assert state.startswith("000004-")
        if not with_state:
            panda.remove(f"state/{state}")
        assert chronicle_of(panda).epoch == 4
        assert trained(panda, place) == "finished"
        assert losses(panda) == [row.val_loss for row in alone]
        found = chronicle_of(panda)
        assert found.created["panda"]["origin"] == {"sweep": searched, "trial": "t0002", "epoch": 4}
        assert line.reproduce(Assignment(panda, place.snapshots), found).bitwise


def test_what_cannot_be_adopted_is_told(place: Place, searched: str) -> None:
    with pytest.raises(ValueError, match="no trial 't9999' with evaluations"):
        making.adopt(searched, "t9999", place, "nothing")
    with pytest.raises(ValueError, match="--epochs must be at least 4"):
        making.adopt(searched, "t0001", place, "nothing", 3)
    assert "nothing" not in place.storage.names(making.FOLDER)


def test_the_best_continuation_is_what_the_panda_then_does(place: Place, digits: Path) -> None:
    panda = started(place, digits, "fan", learning_rate=0.003)
    plan = (3, setting(weight_decay=0.01)), (5, Request(Verb.STOP))
    assert trained(panda, place, told(panda, *plan)) == "stopped"
    found, given = chronicle_of(panda), Assignment(panda, place.snapshots)
    tried = fan_out.drawn(found, 3, ["learning_rate", "momentum", "batch_size"], 9, 8.0)
    made = fan_out.continued(given, found, 3, 7, tried)
    assert [row.epoch for row in made[0].rows] == [4, 5, 6, 7]
    assert [row.val_loss for row in made[0].rows][:2] == losses(panda)[3:]  # the first goes on as it is
    request = fan_out.adoption(found, made, 3, 7)
    assert request is not None  # its learning rate is far too small
    assert len(fan_out.table(found, made).splitlines()) == 8
    requests.ask(panda, request)
    assert trained(panda, place) == "finished"
    best = fan_out.best_of(found, made)
    assert losses(panda)[3:7] == [row.val_loss for row in best.rows]
    assert min(losses(panda)[3:7]) < min(row.val_loss for row in made[0].rows)
    assert line.reproduce(given, chronicle_of(panda)).bitwise


def test_nothing_is_adopted_that_is_no_better(place: Place, digits: Path) -> None:
    panda = started(place, digits, "content")
    given, found = Assignment(panda, place.snapshots), chronicle_of(panda)
    made = fan_out.continued(given, found, 0, 2, [{}, {"learning_rate": 1e-6}, {"learning_rate": 1e30}])
    assert fan_out.adoption(found, made, 0, 2) is None
