"""Every benchmark runs on a tiny size and tells its result; the harness measures whole trees of processes."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
import torch

from benchmarks import (
    BY_NAME,
    NAMES,
    faults,
    flights_vs_peers,
    harness,
    mlflow_cost,
    mlflow_server,
    overhead,
    packing,
    plan,
    regret,
    regret_picture,
    retune_year,
    scale_data,
    sharing,
    start,
    sweep_vs_peers,
)
from benchmarks import __main__ as command
from benchmarks.__main__ import RESULTS
from benchmarks.contest import Contest, write_rows
from benchmarks.courses import Contest as Regrets
from benchmarks.courses import hold
from benchmarks.flights_vs_peers import Season
from benchmarks.harness import Result, measure
from benchmarks.peers.task import Answer
from benchmarks.report import BEGIN, END, into_readme, readme_table, results_page
from benchmarks.sweep_vs_peers import Round
from tests import monthly
from tuner.engine import build
from tuner.engine.journal import rows_to_json
from tuner.spec import from_mapping
from tuner.trial import Row

BUSY = "import time\nwhile time.process_time() < 1.0: pass\n"


def sweep(_: Path) -> Result:
    contenders = ("caviar", "ray_reuse", "sklearn_halving")  # Optuna is among the flights' peers
    return sweep_vs_peers.compare((Round(4, 1, contenders, epochs=3),))


def flights(folder: Path) -> Result:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((3000, 2))
    frame = pd.DataFrame(X, columns=["distance", "temp"])
    frame["time_hour"] = pd.date_range("2013-01-01", periods=3000, freq="10min", tz="UTC")
    frame["delay_class"] = np.where(X[:, 0] + rng.standard_normal(3000) > 0, "late", "early")
    frame.to_parquet(folder / "2013-01.parquet")
    season = Season("a few days", "*.parquet", days=3, trials=2, more=2, epochs=2, seeds=1)
    return flights_vs_peers.compare((season,), ("optuna_tpe",), folder)


def shapes(_: Path) -> Result:
    cases = (packing.Case(2, 64, 64, (1, 4)), packing.Case(2, 256, 64, (2,)))
    steps = {"cpu": packing.measure(cases, torch.device("cpu"), seconds=0.1)}
    return {"steps": steps, "goals": packing.goals(steps)}


def nothing(_: Path) -> Result:
    return overhead.measure((6, 12), 4, (60, 200))


def publishing(_: Path) -> Result:
    result = mlflow_cost.measure(4, 1, epochs=1)
    (off,), (on,) = result["cpu_seconds"]["off"], result["cpu_seconds"]["on"]
    assert off < 0.2, "the only child that ends during a search is the publisher"
    assert on > 1, "which imports mlflow"
    assert result["requests_per_trial"] > 1, "nothing else than requests brings a trial to a server"
    assert result["lost"] == 0 < result["metrics"]
    return result


def starting(_: Path) -> Result:
    result = start.measure(1)
    created, handed_out, trained = (seconds for (seconds,) in result["run"].values())
    assert max(result["help"]) < created < handed_out < trained
    return result


def rows(_: Path) -> Result:
    return scale_data.measure({2_000: 3, 20_000: 2})


def harm(_: Path) -> Result:
    """Told only: tests/test_hosts.py does all this to a cluster, which takes minutes."""
    found = [{"seed": 0, "faults": ["driver", "head without power"], "seconds": 1.0, "wrong": []}]
    return {"sweeps": found, "goals": faults.goals(found)}


def shared(_: Path) -> Result:
    """Told only: tests/test_share.py has sweeps share a cluster."""
    seconds = {"alone": [10.0], "both": [12.0]}
    return {"trials": 8, "seconds": seconds, "ratio": 1.2, "goals": sharing.goals(8, 1.2)}


def months(folder: Path) -> Result:
    rows = monthly.table("2013-01-01", "2013-04-01")
    monthly.deliver(folder, "all", rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CAVIAR_HOME", str(folder / "home"))
        return retune_year.measure(monthly.write(folder), range(2, 4), lambda month: rows[rows.time.dt.month == month])


def foretold(_: Path) -> Result:
    """Told only: tests/test_plan.py plans, and tests/test_cli.py runs."""
    planned = {"expected": 12.0, "low": 10.0, "high": 14.0}
    sizes = {"epochs": [20, 21], "disk_mib": [1.0, 1.1], "peak_mib": [1200, 1300]}
    sweeps = {"digits": [{"planned": planned, "seconds": 10.0, "planning": 9.0, **sizes}]}
    assert [one["met"] for one in plan.goals(sweeps)] == [True]
    assert [one["met"] for one in plan.goals({"late": [{**sweeps["digits"][0], "seconds": 18.0}]})] == [False]
    return {"sweeps": sweeps, "goals": plan.goals(sweeps)}


def regrets(folder: Path) -> Result:
    tiny = Regrets(("noisy",), ("random", "coarse_to_fine"), regret.RULES, shares=(0.25,), seeds=(0, 1), trials=8)
    courses = hold(tiny, folder)
    regret_picture.draw(tiny, courses, regret.floors(courses), folder / "regret.png")
    assert (folder / "regret.png").read_bytes().startswith(b"\x89PNG")
    return regret.measure(tiny, courses)


TINY: dict[str, Callable[[Path], Result]] = {
    "sweep_vs_peers": sweep,
    "flights_vs_peers": flights,
    "packing": shapes,
    "overhead": nothing,
    "mlflow_cost": publishing,
    "start": starting,
    "scale_data": rows,
    "faults": harm,
    "sharing": shared,
    "retune_year": months,
    "regret": regrets,
    "plan": foretold,
}


QUICK = ("packing", "overhead", "scale_data")  # of the others, the product's own tests run what they run


@pytest.mark.ray
@pytest.mark.usefixtures("ray_address")  # Ray takes its token once a process; commands start one of their own
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in QUICK else pytest.mark.bench) for name in TINY]
)
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
    assert found == {*NAMES, *BY_NAME} == set(TINY)


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


def test_counts_the_numbers_that_mlflow_lacks_or_has_otherwise(tmp_path: Path) -> None:
    nan = float("nan")
    row, diverged = Row("t0001", 2, 0.5, 0.25, 0.9, 0.1, 7.0), Row("t0002", 1, nan, nan, nan, 0.1, 7.0)
    entries = [{"kind": kind, "rows": rows_to_json([row, diverged])} for kind in ("rows", "done")]
    database = tmp_path / "mlflow.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE tags (run_uuid, key, value)")
        connection.execute("CREATE TABLE metrics (run_uuid, key, step, value)")
        connection.executemany("INSERT INTO tags VALUES (?, 'caviar.trial', ?)", [("a", "t0001"), ("b", "t0002")])
        logged = [("a", "train_loss", 2, 0.5), ("a", "val_loss", 2, 0.26), ("a", "val_accuracy", 1, 0.9)]
        rates = [("a", "learning_rate", 2, 0.1), ("b", "learning_rate", 1, 0.1)]
        connection.executemany("INSERT INTO metrics VALUES (?, ?, ?, ?)", [*logged, *rates])
        connection.commit()
    assert mlflow_cost.compare(entries, database) == (5, 2), "another value, and another epoch"


def test_counts_requests_but_looks_at_health() -> None:
    log = (
        'INFO:  127.0.0.1:1 - "GET /health HTTP/1.1" 200 OK\n'
        'INFO:  127.0.0.1:1 - "GET /api/2.0/mlflow/runs/get?run_id=7 HTTP/1.1" 200 OK\n'
        f'INFO:  127.0.0.1:1 - "PUT /api/2.0/mlflow-artifacts/artifacts/1/{"ab" * 16}/a.txt HTTP/1.1" 200 OK\n'
        f'INFO:  127.0.0.1:1 - "PUT /api/2.0/mlflow-artifacts/artifacts/1/{"cd" * 16}/a.txt HTTP/1.1" 500 Oh no\n'
    )
    artifact = "PUT /api/2.0/mlflow-artifacts/artifacts/1/ID/a.txt"
    assert mlflow_server.routes(log) == {"GET /api/2.0/mlflow/runs/get": 1, artifact: 2}


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="elsewhere it is the unique set size")
def test_own_memory_is_without_mapped_files(tmp_path: Path) -> None:
    np.save(tmp_path / "mapped.npy", np.ones(100 * 2**20, dtype=np.uint8))
    code = (
        f"import numpy\nmapped = numpy.load({str(tmp_path / 'mapped.npy')!r}, mmap_mode='r')\n"
        "held = bytearray(b'x') * (60 * 2**20)\nprint(mapped.sum(), flush=True)\ninput()"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert int(process.stdout.readline()) == 100 * 2**20
        own = scale_data.own_memory(process.pid) / 2**20
        resident = psutil.Process(process.pid).memory_info().rss / 2**20
        process.communicate("\n")
    assert 60 < own < 100
    assert resident > 160


def test_readme_has_the_figures_of_the_results() -> None:
    readme = (Path(harness.__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    block = readme.partition(BEGIN)[2].partition(END)[0].strip()
    assert block, "the README must have the lines between which `python -m benchmarks` puts its table"
    if RESULTS.exists():
        results = json.loads(RESULTS.read_text(encoding="utf-8"))
        assert block == readme_table(results), "run `python -m benchmarks --pages`"
        assert (RESULTS.parent / "RESULTS.md").read_text(encoding="utf-8") == results_page(results)


def test_results_of_other_benchmarks_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"{BEGIN}\n{END}\n")
    for name, place in (("RESULTS", "results.json"), ("PAGE", "RESULTS.md"), ("README", "README.md")):
        monkeypatch.setattr(command, name, tmp_path / place)
    known = {"machine": harness.machine(), "versions": harness.versions(), "seconds_in_all": 1.0}
    old = {"failed": "in May", "date": "2026-05-01", **known}
    goal = harness.goal("`caviar --help` in at most 0.3 s", "0.20 s", met=True)
    new = {"failed": "in June", "goals": [goal], "date": "2026-06-01", **known}
    command.save({"start": old, "scale_data": old})
    command.save({"start": new})
    saved = json.loads((tmp_path / "results.json").read_text())
    assert [saved[name]["date"] for name in ("start", "scale_data")] == ["2026-06-01", "2026-05-01"]
    assert "in May" in (tmp_path / "RESULTS.md").read_text()
    assert "0.20 s | met |" in readme.read_text()
    assert "| `scale_data` | to run at all | it failed | **missed** |" in readme.read_text()
    assert "2026-06-01" in readme.read_text()


def test_quick_runs_replace_no_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "save", lambda _: pytest.fail("a quick run was saved"))
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--quick", "packing"])
    assert command.main() == 0


def test_one_that_fails_does_not_keep_the_others_from_running(capsys: pytest.CaptureFixture[str]) -> None:
    results = command.run_all(["nothing_such", "packing"], quick=True)
    assert "No module named benchmarks.nothing_such" in results["nothing_such"]["failed"]
    assert results["packing"]["goals"]
    assert "packing: " in capsys.readouterr().out


def test_readme_table_goes_between_the_markers(tmp_path: Path) -> None:
    measured = {
        "machine": harness.machine(),
        "date": "2026-01-01",
        "goals": [harness.goal("10 times as fast", "12 times", met=True)],
    }
    readme = tmp_path / "README.md"
    readme.write_text(f"# Caviar\n{BEGIN}\nold\n{END}\nrest\n")
    into_readme(readme, readme_table({"sweep_vs_peers": measured}))
    text = readme.read_text()
    assert "| `sweep_vs_peers` | 10 times as fast | 12 times | met |" in text
    assert "old" not in text
    assert text.endswith("rest\n")
    readme.write_text("# Caviar\n")
    with pytest.raises(ValueError, match="must have the lines"):
        into_readme(readme, "table")
