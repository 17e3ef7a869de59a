"""Every benchmark runs on a tiny size and tells its result; the harness measures whole trees of processes."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
import torch

from benchmarks import NAMES, flights_vs_peers, harness, overhead, packing, sweep_vs_peers
from benchmarks.contest import Contest, write_rows
from benchmarks.flights_vs_peers import Season
from benchmarks.harness import Result, measure
from benchmarks.peers.task import Answer
from benchmarks.report import BEGIN, END, into_readme, readme_table, results_page
from benchmarks.sweep_vs_peers import Round
from tuner.engine import build
from tuner.spec import from_mapping

BUSY = "import time\nwhile time.process_time() < 1.0: pass\n"


def sweep(_: Path) -> Result:
    contenders = ("caviar", "ray_reuse", "optuna_tpe", "sklearn_halving")
    return sweep_vs_peers.compare((Round(4, 1, contenders, epochs=3),))


def flights(folder: Path) -> Result:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((3000, 2))
    frame = pd.DataFrame(X, columns=["distance", "temp"])
    frame["time_hour"] = pd.date_range("2013-01-01", periods=3000, freq="10min", tz="UTC")
    frame["delay_class"] = np.where(X[:, 0] + rng.standard_normal(3000) > 0, "late", "early")
    frame.to_parquet(folder / "2013-01.parquet")
    season = Season("a few days", "*.parquet", days=3, trials=2, more=2, epochs=2, seeds=1)
    return flights_vs_peers.compare((season,), ("optuna_random",), folder)


def shapes(_: Path) -> Result:
    cases = (packing.Case(2, 64, 64, (1, 4)), packing.Case(2, 256, 64, (2,)))
    steps = {"cpu": packing.measure(cases, torch.device("cpu"), seconds=0.1)}
    return {"steps": steps, "goals": packing.goals(steps)}


def nothing(_: Path) -> Result:
    return overhead.measure((6, 12), 4, (60, 200))


TINY: dict[str, Callable[[Path], Result]] = {
    "sweep_vs_peers": sweep,
    "flights_vs_peers": flights,
    "packing": shapes,
    "overhead": nothing,
}


@pytest.mark.ray
@pytest.mark.parametrize("name", TINY)
def test_benchmark_runs_and_tells_its_result(name: str, tmp_path: Path) -> None:
    result = TINY[name](tmp_path)
    assert json.loads(json.dumps(result)) == result, "a result must survive results.json"
    told = import_module(f"benchmarks.{name}").sentence(result)
    assert told.endswith(".")
    known = {"date": "2026-01-01", "machine": harness.machine(), "versions": harness.versions(), "seconds_in_all": 1.0}
    page = results_page({name: {**result, **known}})
    assert told in page
    assert all(goal["goal"] in page for goal in result["goals"])


def test_every_benchmark_is_listed_and_has_a_tiny_size() -> None:
    folder = Path(harness.__file__).parent
    found = {file.stem for file in folder.glob("*.py") if "\ndef sentence(" in file.read_text()}
    assert found == set(NAMES) == set(TINY)


def test_rows_of_the_peers_are_those_of_caviar(tmp_path: Path) -> None:
    contest = Contest("digits", sweep_vs_peers.digits(tmp_path), 4, 9, (32,), 0)
    snapshot = build.snapshot(from_mapping(contest.spec({})), tmp_path / "snapshots")
    write_rows(snapshot, tmp_path / "rows")
    X, X_val = (np.load(tmp_path / "rows" / f"{name}.npy") for name in ("X", "X_val"))
    assert (len(X), len(X_val)) == (1079, 359)
    assert np.array_equal(np.concatenate([X, X_val]), snapshot.X[: 1079 + 359])
    assert contest.spec({})["train"]["momentum"] == {"one_minus_log_uniform": [0.9, 0.999]}


def test_measures_the_whole_tree(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys\n"
        f"children = [subprocess.Popen([sys.executable, '-c', {BUSY!r}]) for _ in range(2)]\n"
        "held = bytearray(200 * 2**20)\n"
        "[child.wait() for child in children]\n"
        "print('{\"x\": 1}')"
    )
    usage = measure([sys.executable, "-c", code], tmp_path)
    assert usage.answer == {"x": 1}
    assert usage.seconds > 1
    assert 1.2 < usage.cpu_seconds < 3, "two children of a second each, less a sample"
    assert usage.peak_mib > 200
    assert abs(time.time() - usage.began - usage.seconds) < 2


def test_ends_what_a_command_leaves_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness, "LINGER_SECONDS", 0.2)
    code = "import subprocess, time\nprint(subprocess.Popen(['sleep', '60']).pid, flush=True)\ntime.sleep(1)"
    pid = measure([sys.executable, "-c", code], tmp_path).answer
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_commands_see_no_settings_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://elsewhere")
    code = "import json, os; print(json.dumps(sorted(os.environ)))"
    seen = measure([sys.executable, "-c", code], tmp_path, {"CAVIAR_HOME": "here"}).answer
    assert "CAVIAR_HOME" in seen
    assert not {"RAY_ADDRESS", "MLFLOW_TRACKING_URI"} & set(seen)
    assert os.environ["RAY_ADDRESS"]


def test_failure_comes_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="no such spec"):
        measure([sys.executable, "-c", "raise SystemExit('no such spec')"], tmp_path)
    with pytest.raises(RuntimeError, match="longer than 1 s"):
        measure([sys.executable, "-c", "import time; time.sleep(60)"], tmp_path, timeout=1)


def test_answer_keeps_improvements_in_order_of_time() -> None:
    nan = float("nan")
    answer = Answer.of(2, [(3.0, 0.5), (1.0, 0.9), (2.0, nan), (4.0, 0.6), (5.0, 0.5), (6.0, 0.4)])
    assert answer.curve == [(1.0, 0.9), (3.0, 0.5), (6.0, 0.4)]
    assert (answer.best, answer.epochs) == (0.4, 6)


def test_readme_table_goes_between_the_markers(tmp_path: Path) -> None:
    measured = {"machine": harness.machine(), "goals": [harness.goal("10 times as fast", "12 times", met=True)]}
    readme = tmp_path / "README.md"
    readme.write_text(f"# Caviar\n{BEGIN}\nold\n{END}\nrest\n")
    into_readme(readme, readme_table({"sweep_vs_peers": measured}))
    text = readme.read_text()
    assert "| `sweep_vs_peers` | 10 times as fast | 12 times | yes |" in text
    assert "old" not in text
    assert text.endswith("rest\n")
    readme.write_text("# Caviar\n")
    with pytest.raises(ValueError, match="must have the lines"):
        into_readme(readme, "table")
