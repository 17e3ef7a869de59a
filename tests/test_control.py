"""People and a running sweep: paused and resumed by the command, stopped by a tag in MLflow, resumed, extended."""

from __future__ import annotations

import json
import sqlite3
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.conftest import Home
from tests.test_kill import workers
from tuner.engine.control import Command, Verb
from tuner.engine.journal import Journal
from tuner.engine.storage import Storage
from tuner.engine.tracking import remote_sweeps

pytestmark = [pytest.mark.ray, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def spec(home: Home, digits: Path) -> Path:
    """Trials long enough to be caught in the middle; no stopping, so that the outcome is the same in any order."""
    path = home.folder / "long.yaml"
    values = {
        "name": "long",
        "data": {"source": str(digits)},
        "model": {"hidden_layers": 1, "hidden_units": {"log_int": [64, 256]}},
        "train": {"batch_size": 16, "optimizer": "momentum"},
        "search": {"trials": 8},
        "stopping": {"none": {"max_epochs": 150}},
        "objective": {"confirm": 0, "baseline": False},
    }
    path.write_text(yaml.safe_dump(values))
    return path


@pytest.fixture(scope="module")
def commanded(home: Home, spec: Path) -> Storage:
    """A sweep that was paused, resumed, stopped through MLflow, resumed, and extended once it had finished."""
    sweep = Storage(home.folder / ".caviar/storage/sweeps/commanded")
    driver = home.start("run", str(spec), "--id", "commanded")
    wait_for(lambda: evaluated(sweep) > 8)
    assert home.answer("pause", "commanded")["status"] == "paused"
    wait_for(lambda: not workers())
    assert driver.poll() is None
    assert home.answer("resume", "commanded")["status"] == "running"
    before = evaluated(sweep)
    wait_for(lambda: evaluated(sweep) > before + 8)
    there = remote_sweeps(f"sqlite:///{home.folder}/.caviar/mlflow.db")
    there.tell(there.find("commanded"), Command(Verb.STOP))
    assert driver.wait(60) == 130
    assert home.answer("status", "commanded")["status"] == "stopped"
    assert "KILLED" in statuses(home)
    assert "RUNNING" not in statuses(home)
    assert there.answer(there.find("commanded")) == "stop: accepted"
    assert home.answer("resume", "commanded")["status"] == "finished"
    assert home.answer("extend", "commanded", "--trials", "+2", "--max-epochs", "155")["trials"] == 10
    return sweep


def test_the_outcome_is_that_of_a_sweep_that_was_told_nothing(home: Home, spec: Path, commanded: Storage) -> None:
    sets = ("--set", "search.trials=10", "--set", "stopping.none.max_epochs=155")
    home.answer("run", str(spec), "--id", "undisturbed", *sets)
    undisturbed = Storage(home.folder / ".caviar/storage/sweeps/undisturbed")
    assert curves(commanded, "t") == curves(undisturbed, "t")


def test_packs_went_on_where_they_were_told_to_end(commanded: Storage) -> None:
    entries = [entry for _, entry in Journal(commanded).entries()]
    assert [entry["kind"] for entry in entries if entry["kind"] in ("paused", "ended", "extended")] == [
        "paused",
        "ended",
        "ended",
        "extended",
        "ended",
    ]
    trained = [entry["pack"] for entry in entries if entry["kind"] == "done"]
    assert len(trained) == len(set(trained))
    assert not [name for name in commanded.names("state") if "partial" in name]


def test_mlflow_shows_one_run_a_trial_with_every_step_once(home: Home, commanded: Storage) -> None:
    with sqlite3.connect(home.folder / ".caviar/mlflow.db") as database:
        tagged = "SELECT run_uuid, value FROM tags WHERE key = ?"
        mine = {run for run, sweep in database.execute(tagged, ("caviar.sweep",)) if sweep == "commanded"}
        trials = {run: trial for run, trial in database.execute(tagged, ("caviar.trial",)) if run in mine}
        metrics = database.execute(
            "SELECT run_uuid, step FROM metrics WHERE key = 'train_loss' ORDER BY step"
        ).fetchall()
        models = database.execute("SELECT count(*) FROM model_versions").fetchall()
    assert len(set(trials.values())) == len(trials)
    assert set(statuses(home)) == {"FINISHED"}
    steps = defaultdict(list)
    for run, step in metrics:
        steps[run].append(step)
    for run, trial in trials.items():
        assert steps[run] == list(range(1, (155 if trial.startswith("t") else len(steps[run])) + 1))
    assert models is not None


def test_a_sweep_that_has_ended_cannot_be_stopped_and_says_how_it_stands(home: Home, commanded: Storage) -> None:
    assert home.answer("stop", "commanded")["status"] == "finished"
    said = home.caviar("extend", "commanded", "--trials", "10", code=2).stderr
    assert "10 trials of up to 155 epochs already" in said
    assert "+N" in home.caviar("extend", "commanded", "--trials", "many", code=2).stderr
    for less in (("--trials", "3"), ("--max-epochs", "81")):
        assert "can only grow" in home.caviar("extend", "commanded", *less, code=2).stderr
    assert "finished" in home.caviar("watch", "commanded").stdout


def curves(sweep: Storage, beginning: str) -> dict[str, list[object]]:
    """The evaluations of the trials whose names begin so, without times."""
    found = defaultdict(list)
    for _, entry in Journal(sweep).entries():
        if entry["kind"] == "done":
            for trial, *row in entry["rows"]:
                if trial.startswith(beginning):
                    found[trial].append(row[:-1])
    return dict(found)


def evaluated(sweep: Storage) -> int:
    """How many epochs its status tells of."""
    return json.loads(sweep.read("status.json"))["epochs"] if sweep.exists("status.json") else 0


def statuses(home: Home) -> list[str]:
    with sqlite3.connect(home.folder / ".caviar/mlflow.db") as database:
        query = "SELECT status FROM runs JOIN tags USING (run_uuid) WHERE key = 'caviar.sweep' AND value = 'commanded'"
        return [status for (status,) in database.execute(query)]


def wait_for(condition: Callable[[], bool], seconds: float = 90.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.1)
