"""Replaying any prefix of a journal, and going on from there, gives the decisions of an undisturbed sweep."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest

from tests.simulation import make_ledger, train
from tuner.engine.history import CannotTrainError, History
from tuner.engine.journal import Entry, Journal, JournalError, rows_to_json
from tuner.engine.objects import give_up, result_name
from tuner.engine.storage import Storage
from tuner.trial import State


def work(storage: Storage, history: History, number: int) -> None:
    """What a worker does with the pack of entry `number`: leaves its result in storage."""
    pack = history.open[number]
    rows, timings, holdout = train(pack)
    result = {"rows": rows_to_json(rows), "timings": timings, "holdout": holdout, "seconds": 1.0}
    storage.write(result_name(pack.id), json.dumps(result).encode())


class Watched(Journal):
    """A journal that remembers how things stood when each entry was written."""

    def __init__(self, storage: Storage) -> None:
        super().__init__(storage)
        self.history: History | None = None
        self.stood: dict[int, object] = {}

    def append(self, entry: Entry, patience: float = 0.0) -> int:
        number = super().append(entry, patience)
        if self.history:
            self.stood[number] = state(self.history)
        return number


def run(
    storage: Storage,
    steps: int,
    *,
    seed: int,
    rule: str = "asha",
    sampler: str = "random",
    journal: Watched | None = None,
) -> History:
    """Replays what is there, then goes on for `steps` events or to the end."""
    ledger = make_ledger(30, rule, sampler=sampler)
    history = History(storage, journal or Journal(storage), ledger, clock=lambda: 0.0)
    if journal:
        journal.history = history
    history.replay()
    history.begin()
    random = Random(seed)
    queue = list(history.open)
    running: list[int] = []
    for _ in range(steps):
        while len(running) < 3 and (number := queue.pop(0) if queue else history.ask(3)):
            running.append(number)
        if history.ledger.finished:
            break
        number = running.pop(random.randrange(len(running)))
        work(storage, history, number)
        history.done(history.open[number].id)
    return history


def decisions(storage: Storage) -> list[object]:
    return [entry["pack"] for _, entry in Journal(storage).entries() if entry["kind"] == "pack"]


def state(history: History) -> object:
    ledger = history.ledger
    rows = {name: repr(rows) for name, rows in ledger.rows.items()}
    told = ledger.packs, ledger.halted, repr(ledger.rounds)
    return dict(ledger.states), rows, dict(ledger.holdout), dict(ledger.open), told


@pytest.mark.parametrize("rule", ["asha", "successive_halving", "hyperband", "pasha"])
@pytest.mark.parametrize("sampler", ["random", "coarse_to_fine", "tpe"])
def test_any_prefix_replays_to_the_same_state(tmp_path: Path, rule: str, sampler: str) -> None:
    whole = Storage(tmp_path / "whole")
    live = Watched(whole)
    done = run(whole, 10_000, seed=1, rule=rule, sampler=sampler, journal=live)
    assert done.ledger.finished
    prefix, written = Storage(tmp_path / "prefix"), 0
    journal = Journal(prefix)
    for length, (_, entry) in enumerate(Journal(whole).entries(), 1):
        journal.append(entry)
        history = History(prefix, Journal(prefix), make_ledger(30, rule, sampler=sampler))
        history.replay()
        written += entry["kind"] == "pack"
        assert history.ledger.packs == written
        assert state(history) == live.stood[length]


@pytest.mark.parametrize("sampler", ["random", "coarse_to_fine", "tpe"])
def test_a_sweep_interrupted_again_and_again_loses_and_doubles_nothing(tmp_path: Path, sampler: str) -> None:
    storage = Storage(tmp_path)
    for attempt in range(200):
        history = run(storage, steps=2, seed=attempt, sampler=sampler)
        if history.ledger.finished:
            break
    assert attempt > 5
    packs = decisions(storage)
    trained = [(trial["id"], pack["rung"]) for pack in packs for trial in pack["trials"]]
    assert len(trained) == len(set(trained))
    search = {trial["id"] for pack in packs for trial in pack["trials"] if trial["stage"] == "search"}
    assert len(search) == 30
    for rows in history.ledger.rows.values():
        assert [row.epoch for row in rows] == list(range(1, len(rows) + 1))


def test_a_result_that_was_left_behind_is_taken_in_without_training(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    history = run(storage, steps=1, seed=0)
    left = list(history.open)
    work(storage, history, left[0])
    again = run(storage, steps=0, seed=0)
    assert set(again.open) == set(left[1:])


def test_a_pack_whose_worker_reports_an_error_is_tried_in_halves(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    history = run(storage, steps=0, seed=0)
    number = history.ask(2)
    pack = history.open[number]
    give_up(storage, pack.id, MemoryError("3 GiB"))
    history.done(pack.id)
    assert number not in history.open
    half = history.open[history.ask(2)]
    assert half.trials == pack.trials[: len(pack.trials) // 2]
    assert "3 GiB" in half.reason


def test_a_pack_that_failed_while_nobody_drove_is_tried_again(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    history = run(storage, steps=1, seed=0)
    left = next(iter(history.open))
    give_up(storage, history.open[left].id, OSError("disk full"))
    assert left in run(storage, steps=0, seed=0).open


def test_where_every_trial_fails_the_sweep_stops_and_can_go_on(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    history = run(storage, steps=0, seed=0)

    def fail_all() -> None:
        while number := history.ask(1):
            pack = history.open[number]
            give_up(storage, pack.id, ImportError("no torch"))
            history.done(pack.id)

    with pytest.raises(CannotTrainError, match="every trial so far failed: ImportError: no torch"):
        fail_all()
    failed = [name for name, (state, _, _) in history.ledger.states.items() if state is State.FAILED]
    assert len(failed) == 2  # the third is open: mended, the sweep goes on with it
    assert run(storage, 10_000, seed=0).ledger.finished


@pytest.mark.parametrize("after", [True, False])
def test_an_interrupt_in_the_middle_of_an_append_leaves_a_journal_that_goes_on(tmp_path: Path, after: bool) -> None:
    storage = Storage(tmp_path)
    create, journal = storage.create, Journal(storage)

    def interrupted(name: str, data: bytes) -> None:
        if after:
            create(name, data)
        raise KeyboardInterrupt

    journal.append({"kind": "created"})
    storage.create = interrupted  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        journal.append({"kind": "attempt"})
    storage.create = create  # type: ignore[method-assign]
    journal.append({"kind": "ended"})
    kinds = [entry["kind"] for _, entry in journal.entries()]
    assert kinds == (["created", "attempt", "ended"] if after else ["created", "ended"])


def test_another_code_that_decides_otherwise_is_refused(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    run(storage, steps=3, seed=0)
    other = History(storage, Journal(storage), make_ledger(20))
    with pytest.raises(JournalError, match="another decision"):
        other.replay()
