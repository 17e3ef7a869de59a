"""A search that is given more to do: the same trials, trained further, as if it had been so from the start."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from tests.simulation import make_ledger
from tests.test_ledger import drive
from tuner.engine.history import History
from tuner.engine.journal import Journal
from tuner.engine.ledger import Ledger
from tuner.engine.result import figures
from tuner.engine.storage import Storage
from tuner.search import stopping
from tuner.search.stopping import RULES
from tuner.trial import Stage, State

COUNTS = {part: [1, 1, 1] for part in ("train", "validation", "holdout")}


def searched(ledger: Ledger) -> dict[str, object]:
    return {trial.id: (trial.seed, trial.params) for trial in ledger.trials.values() if trial.stage is Stage.SEARCH}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("trials", "max_epochs"), [(80, None), (None, 30), (80, 30)])
def test_an_extended_sweep_goes_on_with_what_it_has(rule: str, trials: int | None, max_epochs: int | None) -> None:
    ledger = make_ledger(40, rule)
    drive(ledger, 2, seed=1)
    before = {name: list(rows) for name, rows in ledger.rows.items()}
    assert ledger.extend(trials, max_epochs)
    assert not ledger.finished
    packs = drive(ledger, 2, seed=2)
    assert searched(ledger) == searched_of_a_sweep_of(trials or 40, rule)
    assert all(ledger.rows[name][: len(rows)] == rows for name, rows in before.items())
    for rows in ledger.rows.values():
        assert [row.epoch for row in rows] == list(range(1, len(rows) + 1))
    assert all(state.final for state, _, _ in ledger.states.values())
    longest = max(rows[-1].epoch for name, rows in ledger.rows.items() if ledger.trials[name].stage is Stage.SEARCH)
    assert longest == (max_epochs or 9)
    assert packs[-1].stage is Stage.REFIT
    found = figures(ledger, COUNTS)
    assert found["holdout"]["winner"] is not None
    assert math.isfinite(found["confirmed"]["val_loss_mean"])


def searched_of_a_sweep_of(trials: int, rule: str) -> dict[str, object]:
    whole = make_ledger(trials, rule)
    drive(whole, 2, seed=1)
    return searched(whole)


def test_without_stopping_everybody_is_trained_on() -> None:
    ledger = make_ledger(10, "none")
    drive(ledger, 2, seed=1)
    ledger.extend(max_epochs=12)
    drive(ledger, 2, seed=2)
    reached = {
        rows[-1].epoch
        for name, rows in ledger.rows.items()
        if ledger.states[name][0] is State.FINISHED and name[0] == "t" and "-" not in name
    }
    assert reached == {12}


def test_what_was_confirmed_and_trained_no_further_is_not_confirmed_again() -> None:
    ledger = make_ledger(40, "asha")
    drive(ledger, 2, seed=1)
    ledger.extend(trials=43)
    packs = drive(ledger, 2, seed=2)
    again = [trial.id for pack in packs if pack.stage is Stage.CONFIRM for trial in pack.trials]
    assert len(again) < 4
    assert len(set(ledger.trials)) == len(ledger.trials)


def test_totals_that_are_no_more_change_nothing() -> None:
    ledger = make_ledger(40, "asha")
    drive(ledger, 2, seed=1)
    assert not ledger.extend(40, 9)
    assert not ledger.extend(12, None)
    assert ledger.finished


def test_an_extension_while_the_best_are_confirmed_takes_them_back_into_the_search() -> None:
    ledger = make_ledger(40, "asha")
    while not any(pack.stage is Stage.CONFIRM for pack in ledger.open.values()):
        step(ledger)
    ledger.extend(trials=60)
    drive(ledger, 2, seed=3)
    assert len(searched(ledger)) == 60
    assert all(state.final for state, _, _ in ledger.states.values())


def step(ledger: Ledger) -> None:
    from tests.simulation import train

    if ledger.ask(1) is None or any(pack.stage is Stage.CONFIRM for pack in ledger.open.values()):
        return
    pack = next(iter(ledger.open.values()))
    ledger.tell(pack.id, *train(pack))


def test_an_extension_is_replayed(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    history = History(storage, Journal(storage), make_ledger(10, "none"))
    history.write("created")
    assert history.extend(20, 30)
    assert not history.extend(20, 30)
    number = history.ask(2)
    again = History(storage, Journal(storage), make_ledger(10, "none"))
    again.replay()
    assert again.ledger.terms.trials == 20
    assert again.ledger.rule.rungs == (9, 30)
    assert again.open == {number: history.open[number]}


@pytest.mark.parametrize("kind", ["asha", "successive_halving", "hyperband", "pasha"])
def test_rungs_grow_from_the_last(kind: str) -> None:
    rule = stopping.make(kind, 1, 20, 3)
    assert rule.rungs == (1, 3, 9, 20)
    rule.extend(81)
    assert rule.rungs == (1, 3, 9, 20, 60, 81)
    with pytest.raises(ValueError, match="can only grow"):
        rule.extend(80)
