"""SIGKILL at twenty seeded moments, of the driver and of workers: the sweep ends as if nothing had happened."""

from __future__ import annotations

import sqlite3
import subprocess
import time
from collections import Counter, defaultdict
from pathlib import Path
from random import Random

import psutil
import pytest
import yaml

from tests.conftest import Home
from tuner.engine.journal import Journal
from tuner.engine.storage import Storage

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(600)]

MOMENTS = 20
TRIALS = 54


@pytest.fixture(scope="module")
def spec(home: Home, digits: Path) -> Path:
    """Synchronous halving, so that the outcome does not depend on who comes back first."""
    path = home.folder / "kill.yaml"
    values = {
        "name": "kill",
        "data": {"source": str(digits)},
        "model": {"hidden_layers": {"int": [1, 2]}, "hidden_units": {"log_int": [32, 128]}},
        "train": {"batch_size": {"choice": [32, 64]}},
        "search": {"trials": TRIALS},
        "stopping": {"successive_halving": {"max_epochs": 27}},
        "objective": {"confirm": 2, "seeds": 2},
    }
    path.write_text(yaml.safe_dump(values))
    return path


@pytest.fixture(scope="module")
def undisturbed(home: Home, spec: Path) -> dict[str, object]:
    return home.answer("run", str(spec), "--id", "undisturbed")


@pytest.fixture(scope="module")
def disturbed(home: Home, spec: Path) -> tuple[dict[str, object], Counter[str]]:
    """The same sweep, killed again and again; its result, and what was killed how often."""
    random, kills = Random(7), Counter[str]()
    driver = home.start("run", str(spec), "--id", "disturbed")
    for moment in range(MOMENTS):
        if driver.poll() is not None:
            driver = home.start("resume", "disturbed")
        early = moment % 10 == 9  # now and then before any worker is up
        wait_for(lambda driver=driver, early=early: early or driver.poll() is not None or len(workers()) > 0)
        time.sleep(random.uniform(0.0, 1.5))
        wait_for(lambda driver=driver, early=early: early or driver.poll() is not None or len(workers()) > 0)
        if early or random.random() < 0.4:
            driver.kill()
            driver.wait()
            kills["driver"] += 1
        else:
            kills["worker"] += kill_one(workers(), random)
    driver.kill()
    driver.wait()
    return home.answer("resume", "disturbed"), kills


def test_it_was_killed_often_enough(disturbed: tuple[dict[str, object], Counter[str]]) -> None:
    kills = disturbed[1]
    assert kills.total() >= MOMENTS - 2  # a worker may be between two packs
    assert min(kills["driver"], kills["worker"]) >= 4


def test_the_outcome_is_that_of_an_undisturbed_sweep(
    disturbed: tuple[dict[str, object], Counter[str]], undisturbed: dict[str, object]
) -> None:
    for key in ("status", "trials", "epochs", "states", "best", "confirmed", "holdout"):
        assert disturbed[0][key] == undisturbed[key]


def test_no_trial_is_lost_or_doubled(home: Home, disturbed: object) -> None:
    entries = [entry for _, entry in Journal(Storage(home.folder / ".caviar/storage/sweeps/disturbed")).entries()]
    done = {entry["pack"] for entry in entries if entry["kind"] == "done"}
    packs = [entry["pack"] for entry in entries if entry["kind"] == "pack" and entry["pack"]["id"] in done]
    trained = Counter((trial["id"], pack["rung"]) for pack in packs for trial in pack["trials"])
    assert set(trained.values()) == {1}
    assert len({trial["id"] for pack in packs for trial in pack["trials"] if trial["stage"] == "search"}) == TRIALS
    steps = defaultdict(list)
    for entry in entries:
        if entry["kind"] == "done":
            for trial, epoch, *_ in entry["rows"]:
                steps[trial].append(epoch)
    assert all(epochs == list(range(1, len(epochs) + 1)) for epochs in steps.values())


def test_mlflow_has_each_run_and_each_step_once(home: Home, disturbed: object) -> None:
    with sqlite3.connect(home.folder / ".caviar/mlflow.db") as database:
        tagged = "SELECT run_uuid, value FROM tags WHERE key = ?"
        sweeps = dict(database.execute(tagged, ("caviar.sweep",)))
        named = database.execute(tagged, ("caviar.trial",))
        trials = {run: trial for run, trial in named if sweeps[run] == "disturbed"}
        query = "SELECT run_uuid, step FROM metrics WHERE key = 'train_loss' ORDER BY step"
        metrics = database.execute(query).fetchall()
        statuses = dict(database.execute("SELECT run_uuid, status FROM runs"))
    assert len(set(trials.values())) == len(trials) == TRIALS + 4 + 8 + 2  # confirmations, baselines, refits
    assert sum(sweep == "disturbed" for sweep in sweeps.values()) == len(trials) + 1  # and the parent
    steps = defaultdict(list)
    for run, step in metrics:
        steps[run].append(step)
    assert all(steps[run] == list(range(1, len(steps[run]) + 1)) for run in trials)
    assert {statuses[run] for run in trials} <= {"FINISHED", "FAILED"}


def test_resuming_a_finished_sweep_changes_nothing(home: Home, disturbed: tuple[dict[str, object], object]) -> None:
    folder = home.folder / ".caviar/storage/sweeps/disturbed/journal"
    before = sorted(folder.iterdir())
    assert home.answer("resume", "disturbed") == disturbed[0]
    assert sorted(folder.iterdir()) == before


def workers() -> list[psutil.Process]:
    """The processes that train packs now."""
    found = [child for child in psutil.Process().children(recursive=True) if "Trainable" in name_of(child)]
    return sorted(found, key=lambda process: process.pid)


def kill_one(processes: list[psutil.Process], random: Random) -> int:
    """Kills one of `processes`; 0 if there is none."""
    if not processes:
        return 0
    random.choice(processes).kill()
    return 1


def name_of(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


def wait_for(condition: object, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise subprocess.TimeoutExpired("wait_for", seconds)
        time.sleep(0.05)
