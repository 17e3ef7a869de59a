"""A panda as a user runs it: the command's answers, and a whole life with MLflow beside it."""

from __future__ import annotations

import json
import os
import socket
import time
from dataclasses import asdict
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.lost import lose
from tests.made_pandas import EPOCHS, chronicle_of, spec_of, started, told, trained
from tuner.cli import panda, panda_asking  # noqa: F401  # registers its commands
from tuner.cli.app import app
from tuner.engine import interrupts, status
from tuner.engine.journal import JournalError
from tuner.engine.panda import making, requests
from tuner.engine.panda.chronicle import Chronicle
from tuner.engine.panda.execution import execute
from tuner.engine.panda.requests import Request, Verb
from tuner.engine.place import Place
from tuner.spec import from_mapping
from tuner.trial import Row


def caviar(*words: str) -> str:
    """What the command prints; its errors are raised."""
    done = CliRunner().invoke(app, words)
    if done.exception:
        raise done.exception
    return done.stdout


def test_an_interrupted_one_goes_on_to_a_registered_model(place: Place, digits: Path) -> None:
    spec = {**spec_of(digits), "tracking": {"register": "bears"}}
    storage = making.storage_of(place, making.start(from_mapping(spec), place, "po"))

    def interrupt(_: Chronicle, row: Row) -> None:
        if row.epoch == 4:
            lose()

    with interrupts.raised(), pytest.raises(KeyboardInterrupt):
        execute(place, "po", interrupt)
    found, seen = chronicle_of(storage), status.read(storage)
    assert (found.status, found.epoch, seen and seen.status) == ("interrupted", 4, "interrupted")
    outcome = execute(place, "po")
    assert (outcome.ended, outcome.epoch, outcome.published.error) == ("finished", EPOCHS, None)
    assert outcome.published.model_uri == "models:/bears/1"
    assert outcome.result is not None
    assert outcome.result["holdout"]["winner"]["accuracy"] > 0.8
    run_id = outcome.published.parent_run_id
    assert f"{EPOCHS} epochs compared, equal to the last bit" in caviar("panda", "reproduce", str(run_id))


def test_two_processes_do_not_train_one_panda(place: Place, digits: Path) -> None:
    storage = started(place, digits, "po")
    said = status.Status("po", "bear", "running", host=socket.gethostname(), pid=os.getppid(), time=time.time())
    storage.write(status.NAME, json.dumps(asdict(said)).encode())
    with pytest.raises(JournalError, match=f"panda po is being trained on {socket.gethostname()}"):
        execute(place, "po")


def test_what_the_commands_say(place: Place, digits: Path) -> None:
    storage = started(place, digits, "po")
    assert trained(storage, place, told(storage, (3, Request(Verb.STOP)))) == "stopped"
    assert "takes effect with caviar panda resume po" in caviar("panda", "set", "p", "learning_rate=0.1")
    assert "rewind 2 momentum=0.5" in caviar("panda", "rewind", "po", "momentum=0.5", "--epoch", "2")
    assert [str(request) for _, request in requests.asked(storage)] == [
        "set learning_rate=0.1",
        "rewind 2 momentum=0.5",
    ]
    shown = json.loads(caviar("panda", "show", "po", "--json").splitlines()[-1])
    assert (shown["epoch"], shown["goal"], shown["schedule"]["changes"]) == (3, EPOCHS, [])
    for words, said in (
        (("set", "po", "hidden_units=3"), "hidden_units cannot change"),
        (("set", "nobody", "momentum=0.5"), "no panda 'nobody'"),
        (("rewind", "po", "--epoch", "4"), "must be from 0 to 2"),
        (("stop", "po"), "is not being trained"),
    ):
        with pytest.raises(ValueError, match=said):
            caviar("panda", *words)


def test_a_fan_out_leaves_its_best_to_be_adopted(place: Place, digits: Path) -> None:
    storage = started(place, digits, "po", learning_rate=0.001)
    assert trained(storage, place, told(storage, (2, Request(Verb.STOP)))) == "stopped"
    told_ = caviar("panda", "fan-out", "po", "--trials", "6", "--epochs", "2", "--width", "30")
    assert "6 continuations of po from epoch 2 to 4" in told_
    ((_, request),) = requests.asked(storage)
    assert (request.verb, request.epoch) == (Verb.REWIND, 2)
    assert set(request.values) == {"learning_rate", "momentum"}
    assert trained(storage, place) == "finished"
