"""The sweep's run in MLflow as a control surface, seen from both sides: with a real store between them."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from tests import sweeps
from tuner.engine import control
from tuner.engine.control import Command, Verb
from tuner.engine.journal import Journal
from tuner.engine.storage import Storage
from tuner.engine.tracking import publish, remote_sweeps
from tuner.engine.tracking.remote import RemoteSweeps
from tuner.engine.tracking.store import MlflowStore
from tuner.engine.tracking.surface import ANSWER, COMMAND, Surface

STATUS = {"name": "flights", "status": "running", "rungs": [[1, 4]], "host": "elsewhere", "trials": 64, "created": 1.0}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> MlflowStore:
    return MlflowStore(f"sqlite:///{tmp_path_factory.mktemp('store') / 'mlflow.db'}")


@pytest.fixture
def sweep(tmp_path: Path, store: MlflowStore) -> Storage:
    """A sweep that runs, published so far."""
    storage = Storage(tmp_path)
    made = list(sweeps.entries(6, 3, sweep=tmp_path.name))[:6]
    sweeps.append(Journal(storage), iter(made))
    storage.write(
        "status.json",
        json.dumps({**STATUS, "sweep": tmp_path.name, "time": time.time(), "running": ["a"] * 9}).encode(),
    )
    assert publish(storage.uri, store.uri)
    return storage


def look(sweep: Storage, store: MlflowStore, *, last: bool = False) -> RemoteSweeps:
    """One look of the publisher at the sweep's run; then what others see."""
    run_id = json.loads(sweep.read("tracking.json"))["parent_run_id"]
    Surface(sweep).look(store, run_id, "finished", last=last)
    return remote_sweeps(store.uri)


def test_a_command_goes_to_the_driver_and_is_answered(sweep: Storage, store: MlflowStore, tmp_path: Path) -> None:
    there = look(sweep, store)
    seen = there.find(tmp_path.name)
    assert (seen.status.status, seen.status.trials) == ("running", 64)
    there.tell(seen, Command(Verb.EXTEND, trials=128))
    assert there.answer(seen) is None
    look(sweep, store)
    assert control.asked(sweep) == Command(Verb.EXTEND, trials=128)
    assert there.answer(seen) == "extend trials=128: accepted"
    assert COMMAND not in store.tags(seen.run_id)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("halt", "a command must be one of stop, pause, resume, extend"),
        ("stop now", "only extend takes limits"),
        ("extend", "extend needs trials=N"),
        ("extend trials=-1", "only extend takes limits"),
        ("stop\n../../x", "only extend takes limits"),
    ],
)
def test_what_is_no_command_is_answered_and_cleared(sweep: Storage, store: MlflowStore, text: str, said: str) -> None:
    run_id = json.loads(sweep.read("tracking.json"))["parent_run_id"]
    store.set_tag(run_id, COMMAND, text)
    look(sweep, store)
    tags = store.tags(run_id)
    assert said in tags[ANSWER]
    assert COMMAND not in tags
    assert control.asked(sweep) is None


def test_who_commands_a_sweep_that_has_ended_is_told(sweep: Storage, store: MlflowStore, tmp_path: Path) -> None:
    there = look(sweep, store)
    seen = there.find(tmp_path.name)
    there.tell(seen, Command(Verb.STOP))
    look(sweep, store, last=True)
    assert there.answer(seen) == "stop: the sweep has ended"
    assert there.find(tmp_path.name).status.status == "finished"
    assert control.asked(sweep) is None


def test_a_sweep_is_found_by_its_beginning_and_by_nothing_that_is_no_name(
    sweep: Storage, store: MlflowStore, tmp_path: Path
) -> None:
    there = look(sweep, store)
    assert there.find(tmp_path.name[:-1]).sweep == tmp_path.name
    for name in ("x' OR '1'='1", "flights-2", "%"):
        with pytest.raises(ValueError, match="no sweep"):
            there.find(name)


def test_a_store_that_is_away_is_one_error() -> None:
    with pytest.raises(OSError, match=r"nothing answers at http://127\.0\.0\.1:9"):
        remote_sweeps("http://127.0.0.1:9").all()
