"""MLflow follows the journal: complete, once, whatever is killed, and without the driver waiting for it."""

from __future__ import annotations

import itertools
import json
import math
import multiprocessing
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.protos import databricks_pb2

from tests import sweeps
from tests.ports import free_port
from tuner.data.source import read
from tuner.engine import tracking
from tuner.engine.journal import Journal
from tuner.engine.storage import Storage
from tuner.engine.tracking.cursor import Cursor
from tuner.engine.tracking.embedded import prepare
from tuner.engine.tracking.projection import PARENT, Projection
from tuner.engine.tracking.publisher import publish
from tuner.engine.tracking.runs import Measure
from tuner.engine.tracking.store import MlflowStore
from tuner.trial import State

ROOT = Path(__file__).parent.parent
FORK = multiprocessing.get_context("fork")  # the child has MLflow imported already


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An embedded store without runs; making its tables takes seconds."""
    home = tmp_path_factory.mktemp("empty")
    MlflowStore(tracking.embedded_uri(home))
    return home / "mlflow.db"


@pytest.fixture
def uri(tmp_path: Path, empty: Path) -> str:
    """An embedded store for one test."""
    (tmp_path / "home").mkdir()
    with closing(sqlite3.connect(empty)) as source, closing(sqlite3.connect(tmp_path / "home" / "mlflow.db")) as copy:
        source.backup(copy)
    return tracking.embedded_uri(tmp_path / "home")


def runs_of(uri: str, sweep: str = "flights-1") -> dict[str, Run]:
    """The sweep's runs by trial, "" for the parent; fails on doubles."""
    client = MlflowClient(uri)
    found: dict[str, Run] = {}
    for run in client.search_runs([e.experiment_id for e in client.search_experiments()], max_results=5000):
        if run.data.tags.get("caviar.sweep") == sweep:
            name = run.data.tags.get("caviar.trial", "")
            assert name not in found, f"{name} has two runs"
            found[name] = run
    return found


def assert_complete(uri: str, trials: int, sweep: str = "flights-1") -> dict[str, Run]:
    """Every trial once, with every evaluation once, under its parent, and in the right status."""
    client, found = MlflowClient(uri), runs_of(uri, sweep)
    assert sorted(found) == ["", "refit-0", *(f"t{i:04d}" for i in range(trials))]
    parent = found[""].info.run_id
    for number in range(trials):
        run = found[f"t{number:04d}"]
        epochs = 3 if run.data.tags["caviar.rung"] == "1" else 1
        history = client.get_metric_history(run.info.run_id, "val_loss")
        assert [m.step for m in history] == list(range(1, epochs + 1))
        expected = [sweeps.row(run.info.run_name, number, epoch) for epoch in range(1, epochs + 1)]
        assert [(str(m.value), m.timestamp) for m in history] == [
            (str(r.val_loss), round(r.time * 1000)) for r in expected
        ]
        assert run.info.status == ("FAILED" if number % 8 == 3 else "FINISHED")
        assert run.data.tags["mlflow.parentRunId"] == parent
        assert run.data.params["learning_rate"] == str(0.1 / (number + 1))
        assert run.data.params["seed"] == str(2**62 + number)
    assert found[""].info.status == "FINISHED"
    return found


def cursor_of(folder: Path) -> dict[str, Any]:
    """What lies beside the journal of the sweep in `folder`."""
    found: dict[str, Any] = json.loads((folder / "sweep" / "tracking.json").read_text())
    return found


def process(*args: Any, **kwargs: Any) -> Any:
    """`publish` in a process of its own, started."""
    started = FORK.Process(target=publish, args=args, kwargs=kwargs, daemon=True)
    started.start()
    return started


# -- the projection ----------------------------------------------------------------------------------------------


def fold(entries: list[dict[str, Any]]) -> Projection:
    projection = Projection()
    for number, entry in enumerate(entries, 1):
        projection.apply(number, {"time": sweeps.START + number, **entry})
    return projection


def test_rows_that_come_twice_count_once() -> None:
    once = list(sweeps.entries(16, 5))
    twice = [copy for entry in once for copy in ([entry, entry] if entry["kind"] == "rows" else [entry])]
    measures = [{n: [m.key for m in r.measures] for n, r in fold(e).runs.items() if n} for e in (once, twice)]
    assert measures[0] == measures[1]
    epochs = [m for m in fold(twice).runs[PARENT].measures if m.key == "epochs"]
    assert epochs[-1].value == 16 + 5 * 2 + 3


def test_the_parent_shows_the_search_over_time() -> None:
    measures: dict[str, list[float]] = {}
    for measure in fold(list(sweeps.entries(16, 8))).runs[PARENT].measures:
        measures.setdefault(measure.key, []).append(measure.value)
    assert measures["trials_rung_0"] == [8, 16]
    assert measures["trials_rung_1"] == [5]
    assert measures["best_val_loss"] == sorted(measures["best_val_loss"], reverse=True)
    assert measures["trials_finished"] == [1, 2, 7, 16]  # first those that diverge, then those at the last rung
    assert measures["confirmed_val_loss_mean"] == [0.27]


def test_statuses_follow_kills_and_resumption() -> None:
    everything = list(sweeps.entries(8, 4))
    middle = next(i for i, e in enumerate(everything) if e["kind"] == "done") + 1
    cut = everything[:middle]
    open_trials = {"t0000", "t0001", "t0002"}
    killed = fold([*cut, {"kind": "ended", "status": "interrupted", "reason": "Ctrl-C"}])
    assert {n for n, r in killed.runs.items() if r.status == "KILLED"} == {PARENT, *open_trials}
    assert killed.runs["t0003"].status == "FAILED"  # it had diverged before
    again = fold([*cut, {"kind": "ended", "status": "interrupted"}, {"kind": "attempt", "host": "there"}])
    assert {again.runs[name].status for name in (PARENT, *open_trials)} == {"RUNNING"}
    assert again.runs[PARENT].ended is None
    assert fold([*cut, {"kind": "ended", "status": "failed"}]).runs[PARENT].status == "FAILED"


# -- the embedded store ------------------------------------------------------------------------------------------


def test_a_sweep_in_the_embedded_store(tmp_path: Path, uri: str) -> None:
    sweeps.write(tmp_path / "sweep", 12, 5)
    assert publish(str(tmp_path / "sweep"), uri)
    found = assert_complete(uri, 12)
    parent, client = found[""], MlflowClient(uri)
    assert parent.data.metrics["best_val_loss"] == 0.135
    assert parent.data.metrics["holdout_loss_winner"] == 0.3
    assert parent.data.tags["mlflow.note.content"].startswith("### flights")
    assert parent.data.tags["caviar.storage"] == str(tmp_path / "sweep")
    assert parent.inputs.dataset_inputs[0].dataset.digest == "d" * 32
    names = {file.path for file in client.list_artifacts(parent.info.run_id)}
    assert names >= {"spec.yaml", "leaderboard.csv", "leaderboard.json", "summary.md", "result.json", "rounds.json"}
    assert str(tmp_path / "home" / "artifacts") in parent.info.artifact_uri
    diverged, refit = found["t0003"].data, found["refit-0"].data
    assert diverged.tags["caviar.state"] == State.DIVERGED
    assert math.isnan(diverged.metrics["val_loss"])
    assert "val_loss" not in refit.metrics
    assert refit.metrics["holdout_loss"] == 0.3
    assert (refit.tags["caviar.stage"], refit.tags["caviar.source"]) == ("refit", "t0000")
    cursor = json.loads((tmp_path / "sweep" / "tracking.json").read_text())
    assert (cursor["parent_run_id"], cursor["error"]) == (parent.info.run_id, None)

    (tmp_path / "sweep" / "tracking.json").unlink()  # whoever lost the cursor sends all again, and changes nothing
    assert publish(str(tmp_path / "sweep"), uri)
    again = assert_complete(uri, 12)
    assert {n: r.info.run_id for n, r in again.items()} == {n: r.info.run_id for n, r in found.items()}
    for key in parent.data.metrics:
        histories = [client.get_metric_history(parent.info.run_id, key)]
        assert len({(m.step, m.timestamp, m.value) for m in histories[0]}) == len(histories[0])

    trial = tracking.run_of(uri, found["t0000"].info.run_id)
    assert (trial.sweep, trial.trial, trial.seed) == ("flights-1", "t0000", 2**62)
    assert trial.params == {k: str(v) for k, v in sweeps.trial(0).params.items()}
    assert trial.rows == [sweeps.row("t0000", 0, epoch) for epoch in (1, 2, 3)]
    with pytest.raises(ValueError, match="not a trial"):
        tracking.run_of(uri, parent.info.run_id)
    with pytest.raises(ValueError, match="no run"):
        tracking.run_of(uri, "0" * 32)


TABLES = {
    "runs": "name, status, start_time, end_time, source_type, source_name, user_id, lifecycle_stage, entry_point_name",
    "tags": "key, tags.value",
    "params": "key, params.value",
    "metrics": "key, metrics.value, timestamp, step, is_nan",
    "latest_metrics": "key, latest_metrics.value, timestamp, step, is_nan",
}


def rows_of(database: Path, parent: str) -> dict[str, list[tuple[object, ...]]]:
    """All that MLflow's tables hold of the runs, by the runs' names instead of their ids."""
    found = {}
    with sqlite3.connect(database) as connection:
        for table, columns in TABLES.items():
            join = "" if table == "runs" else "JOIN runs USING (run_uuid)"
            query = f"SELECT runs.name, {columns} FROM {table} {join}"  # noqa: S608
            rows = [tuple("PARENT" if v == parent else v for v in row) for row in connection.execute(query)]
            found[table] = sorted(rows, key=repr)
        [(location,)] = connection.execute("SELECT artifact_uri FROM runs WHERE name = 't0000'")
        [(run,)] = connection.execute("SELECT run_uuid FROM runs WHERE name = 't0000'")
        assert location.endswith(f"{run}/artifacts")
    return found


@pytest.mark.parametrize("size", [1, 3, 100])
def test_many_runs_at_once_are_written_as_mlflow_writes_them(
    tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tuner.engine.tracking.publisher.ENTRIES", size)
    storage = sweeps.write(tmp_path / "sweep", trials=20, size=4)
    found = []
    for way in ("one by one", "at once"):
        uri = tracking.embedded_uri(tmp_path / way)
        with monkeypatch.context() as patch:
            if way == "one by one":
                patch.setattr("tuner.engine.tracking.store.prepare", lambda uri: prepare(uri) and None)
            assert publish(storage.uri, uri)
        parent = Cursor.read(storage, uri).parent_run_id
        found.append(rows_of(tmp_path / way / "mlflow.db", parent))
    assert len(found[0]["metrics"]) > 100
    assert {value for *_, value in found[0]["metrics"]} == {0, 1}, "some must be NaN"
    for table in TABLES:
        assert found[1][table] == found[0][table], table


def test_the_embedded_store_serves_readers_beside_a_writer_and_leaves_other_databases_as_they_are(
    uri: str, tmp_path: Path
) -> None:
    store = MlflowStore(uri)
    assert store.embedded is not None
    with store.embedded.engine.connect() as connection:
        modes = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous")]
        assert modes == ["wal", 1]
    with closing(sqlite3.connect(tmp_path / "t.db")) as other:
        other.execute("CREATE TABLE t AS SELECT 1 AS a, 'x' AS b")
        other.commit()
    before = (tmp_path / "t.db").read_bytes()
    assert len(read(None, sql_url=f"sqlite:///{tmp_path}/t.db", sql_query="SELECT * FROM t", target="b")) == 1
    assert (tmp_path / "t.db").read_bytes() == before


def test_the_store_knows_a_measure_that_comes_twice(uri: str) -> None:
    store = MlflowStore(uri)
    run = store.create(store.experiment("x"), "t", {}, 1.0, None)
    measures = [Measure("a", value, 5000, step) for step, value in enumerate([0.1, math.nan, math.inf, 0.1])]
    for part in (measures[:2], measures, measures[1:]):
        store.log(run, part, {"p": "1"}, {"t": "2"})
    assert [m.step for m in store.client.get_metric_history(run, "a")] == [0, 1, 2, 3]


def test_many_measures_go_in_several_requests(uri: str) -> None:
    store = MlflowStore(uri)
    run = store.create(store.experiment("x"), "t", {}, 1.0, None)
    store.log(run, [Measure("a", step / 7, step, step) for step in range(2500)], {"p": "1"}, {"t": "2"})
    assert len(store.client.get_metric_history(run, "a")) == 2500


def test_kills_of_the_publisher_at_any_moment(tmp_path: Path, uri: str) -> None:
    sweeps.write(tmp_path / "sweep", 40, 5)
    MlflowStore(uri).client.search_experiments()
    rng = random.Random(0)
    for _ in range(12):
        victim = process(str(tmp_path / "sweep"), uri)
        victim.join(rng.uniform(0.05, 0.5))
        victim.kill()
        victim.join()
    assert publish(str(tmp_path / "sweep"), uri)
    assert_complete(uri, 40)


def test_runs_made_just_before_a_kill_are_taken_over(tmp_path: Path, uri: str) -> None:
    store = MlflowStore(uri)
    experiment = store.experiment("flights")
    own = {"caviar.sweep": "flights-1", "caviar.uid": "uid of flights-1"}
    parent = store.create(experiment, "flights-1", own, sweeps.START, None)
    store.create(experiment, "t0000", {**own, "caviar.trial": "t0000"}, sweeps.START, parent)
    sweeps.write(tmp_path / "sweep", 4, 4)
    assert publish(str(tmp_path / "sweep"), uri)
    found = assert_complete(uri, 4)
    assert found[""].info.run_id == parent
    assert found[""].data.params["search.trials"] == "4"
    assert "spec.yaml" in {file.path for file in store.client.list_artifacts(parent)}


def test_a_double_that_a_slow_server_left_is_removed(tmp_path: Path, uri: str) -> None:
    sweeps.write(tmp_path / "sweep", 4, 4)
    assert publish(str(tmp_path / "sweep"), uri)
    before = runs_of(uri)
    store = MlflowStore(uri)
    double = before["t0001"].data.tags
    store.create(before[""].info.experiment_id, "t0001", {k: double[k] for k in double if "caviar" in k}, 1.0, None)
    assert publish(str(tmp_path / "sweep"), uri)
    assert {n: r.info.run_id for n, r in assert_complete(uri, 4).items()} == {
        n: r.info.run_id for n, r in before.items()
    }


def test_many_processes_make_the_store_once(tmp_path: Path) -> None:
    uri = tracking.embedded_uri(tmp_path / "fresh")
    started = [FORK.Process(target=prepare, args=(uri,)) for _ in range(3)]
    for each in started:
        each.start()
    for each in started:
        each.join(60)
    assert [each.exitcode for each in started] == [0, 0, 0]
    for sweep in ("one", "two"):
        sweeps.write(tmp_path / sweep, 4, 4, sweep=sweep)
    both = [process(str(tmp_path / sweep), uri) for sweep in ("one", "two")]
    for each in both:
        each.join(60)
    for sweep in ("one", "two"):
        assert_complete(uri, 4, sweep)


def test_a_driver_that_vanishes_and_comes_back(tmp_path: Path, uri: str) -> None:
    everything = list(sweeps.entries(8, 4))
    middle = next(i for i, e in enumerate(everything) if e["kind"] == "done") + 1
    journal, closed = Journal(Storage(tmp_path / "sweep")), threading.Event()
    sweeps.append(journal, iter(everything[:middle]))
    closed.set()  # the driver is gone, and wrote no end
    assert publish(str(tmp_path / "sweep"), uri, closed=closed)
    before = runs_of(uri)
    assert {n: r.info.status for n, r in before.items()} == {
        "": "KILLED", "t0000": "KILLED", "t0001": "KILLED", "t0002": "KILLED", "t0003": "FAILED",
    }  # fmt: skip
    assert before[""].data.tags["caviar.state"] == "interrupted"

    sweeps.append(journal, iter([{"kind": "attempt", "host": "there"}]))
    assert publish(str(tmp_path / "sweep"), uri)
    resumed = runs_of(uri)
    assert {resumed[n].info.status for n in ("", "t0000", "t0001", "t0002")} == {"RUNNING"}
    assert resumed[""].data.tags["caviar.state"] == "running"

    sweeps.append(journal, iter(everything[middle:]))
    assert publish(str(tmp_path / "sweep"), uri)
    after = assert_complete(uri, 8)
    assert {n: after[n].info.run_id for n in before} == {n: r.info.run_id for n, r in before.items()}


def test_a_run_deleted_by_hand_does_not_hold_up_the_others(tmp_path: Path, uri: str) -> None:
    everything = list(sweeps.entries(8, 4))
    journal = Journal(Storage(tmp_path / "sweep"))
    sweeps.append(journal, iter(everything[:5]))
    assert publish(str(tmp_path / "sweep"), uri)
    deleted = runs_of(uri)["t0001"].info.run_id
    MlflowClient(uri).delete_run(deleted)
    sweeps.append(journal, iter(everything[5:]))
    assert not publish(str(tmp_path / "sweep"), uri)
    assert "t0001" in cursor_of(tmp_path)["error"]
    found = runs_of(uri)
    assert "t0001" not in found
    assert found[""].info.status == found["t0000"].info.status == "FINISHED"

    MlflowClient(uri).restore_run(deleted)
    assert publish(str(tmp_path / "sweep"), uri)
    assert_complete(uri, 8)
    assert cursor_of(tmp_path)["error"] is None


def test_two_sweeps_of_one_id_are_kept_apart(tmp_path: Path, uri: str) -> None:
    for uid, trials in (("first", 4), ("second", 8)):
        sweeps.write(tmp_path / uid / "sweep", trials, 4, uid=uid)
        assert publish(str(tmp_path / uid / "sweep"), uri)
    store = MlflowStore(uri)
    both = [store.find(store.experiment("flights"), uid, "caviar.trial") for uid in ("first", "second")]
    assert [len(runs) for runs in both] == [4 + 2, 8 + 2]
    assert len({run.run_id for runs in both for run in runs.values()}) == 4 + 8 + 2 * 2


def test_an_experiment_that_mlflow_refuses_is_told_and_sent_once_it_is_there(tmp_path: Path, uri: str) -> None:
    client = MlflowClient(uri)
    deleted = client.create_experiment("flights", artifact_location=(tmp_path / "artifacts").as_uri())
    client.delete_experiment(deleted)
    sweeps.write(tmp_path / "sweep", 4, 4)
    assert not publish(str(tmp_path / "sweep"), uri, drain_seconds=0)
    assert "experiment 'flights' was deleted; restore it" in cursor_of(tmp_path)["error"]
    client.restore_experiment(deleted)
    assert publish(str(tmp_path / "sweep"), uri)
    assert_complete(uri, 4)


# -- models ------------------------------------------------------------------------------------------------------


def test_the_winner_is_registered_once_and_served_on_raw_columns(tmp_path: Path, uri: str) -> None:
    for sweep in ("one", "two"):
        sweeps.write(tmp_path / sweep, 4, 4, sweep=sweep, model=True)
        assert publish(str(tmp_path / sweep), uri)
    (tmp_path / "two" / "tracking.json").unlink()
    assert publish(str(tmp_path / "two"), uri)
    client = MlflowClient(uri)
    versions = {int(v.version): v.tags for v in client.search_model_versions("name = 'delays'")}
    assert {number: tags["caviar.sweep"] for number, tags in versions.items()} == {1: "one", 2: "two"}
    assert versions[2]["confirmed_val_loss_mean"] == "0.27"
    aliases = client.get_registered_model("delays").aliases
    assert {name: int(number) for name, number in aliases.items()} == {"champion": 1, "challenger": 2}
    assert json.loads((tmp_path / "two" / "tracking.json").read_text())["model_uri"] == "models:/delays/2"

    expected = sweeps.classifier().predict_proba(sweeps.FRAME)
    found = tracking.classifier_of(uri, "models:/delays@champion").predict_proba(sweeps.FRAME)
    assert np.array_equal(found, expected)
    with pytest.raises(ValueError, match="no model"):
        tracking.classifier_of(uri, "models:/delays@nobody")

    sweeps.FRAME.to_csv(tmp_path / "rows.csv", index=False)
    environment = {**os.environ, "MLFLOW_TRACKING_URI": uri, "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"}
    command = [sys.executable, "-m", "mlflow", "models", "predict", "-m", "models:/delays@champion"]
    command += ["--env-manager", "local", "-t", "csv", "-i", "rows.csv"]
    served = subprocess.run(command, env=environment, cwd=tmp_path, check=True, capture_output=True, text=True)
    rows = json.loads(served.stdout)["predictions"]
    assert np.allclose([[row["a"], row["b"]] for row in rows], expected, rtol=1e-6)


@pytest.mark.parametrize("code", ["PERMISSION_DENIED", "INTERNAL_ERROR"], ids=["refused", "broken"])
def test_a_registry_that_fails_is_told_and_holds_nothing_back(
    tmp_path: Path, uri: str, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise MlflowException("no\nmodels here", getattr(databricks_pb2, code))

    sweeps.write(tmp_path / "sweep", 4, 4, model=True)
    with monkeypatch.context() as broken:
        broken.setattr(MlflowClient, "create_registered_model", fail)
        assert not publish(str(tmp_path / "sweep"), uri, drain_seconds=0)
    parent = assert_complete(uri, 4)[""]
    assert parent.data.metrics["holdout_loss_winner"] == 0.3
    assert "leaderboard.csv" in {file.path for file in MlflowClient(uri).list_artifacts(parent.info.run_id)}
    assert "no models here" in cursor_of(tmp_path)["error"]

    assert publish(str(tmp_path / "sweep"), uri)
    assert cursor_of(tmp_path)["model_uri"] == "models:/delays/1"
    assert cursor_of(tmp_path)["error"] is None
    assert len(MlflowClient(uri).search_logged_models([parent.info.experiment_id])) == 1


def test_a_name_that_no_model_can_have_is_told(tmp_path: Path, uri: str) -> None:
    sweeps.classifier().save(tmp_path / "sweep" / "model")
    first, *rest = sweeps.entries(4, 4, model=True)
    first["spec"]["tracking"]["register"] = "a/b"
    sweeps.append(Journal(Storage(tmp_path / "sweep")), iter([first, *rest]))
    assert not publish(str(tmp_path / "sweep"), uri)
    assert_complete(uri, 4)
    assert "the winner's model is not published: Invalid model name 'a/b'" in cursor_of(tmp_path)["error"]


# -- the process, and servers ------------------------------------------------------------------------------------


def test_the_process_outlives_ctrl_c_and_ends_with_its_driver(tmp_path: Path, uri: str) -> None:
    journal = Journal(Storage(tmp_path / "sweep"))
    sweeps.append(journal, itertools.islice(sweeps.entries(4, 4), 3))
    command = [sys.executable, "-m", "tuner.engine.tracking", str(tmp_path / "sweep")]
    environment = {**os.environ, "MLFLOW_TRACKING_URI": uri}
    with subprocess.Popen(command, stdin=subprocess.PIPE, cwd=ROOT, env=environment) as publisher:
        wait_until((tmp_path / "sweep" / "tracking.json").exists)
        publisher.send_signal(signal.SIGINT)
        time.sleep(0.5)
        assert publisher.poll() is None
        assert publisher.stdin
        publisher.stdin.close()  # as any death of the driver does
        assert publisher.wait(30) == 0
    assert {run.info.status for run in runs_of(uri).values()} == {"KILLED"}


def test_a_server_that_is_away_is_told_and_nothing_is_lost(tmp_path: Path) -> None:
    sweeps.write(tmp_path / "sweep", 40, 10, model=True)
    port = free_port()
    uri, home = f"http://127.0.0.1:{port}", tmp_path / "server"
    publisher = process(str(tmp_path / "sweep"), uri, closed=threading.Event(), longest_pause=0.5)
    state = tmp_path / "sweep" / "tracking.json"
    wait_until(lambda: state.exists() and "refused" in (json.loads(state.read_text())["error"] or ""))
    with server(home, port):
        wait_until(lambda: json.loads(state.read_text())["cursor"] > 0 or len(runs_of(uri)) > 30)
    assert publisher.is_alive()  # the server was killed while the publisher was at work
    assert json.loads(state.read_text())["cursor"] < 10
    with server(home, port):
        publisher.join(60)
        assert publisher.exitcode == 0
        found = assert_complete(uri, 40)
        assert json.loads(state.read_text())["error"] is None
        names = {file.path for file in MlflowClient(uri).list_artifacts(found[""].info.run_id)}
        assert names >= {"spec.yaml", "leaderboard.csv", "summary.md"}
        assert len(tracking.classifier_of(uri, "models:/delays@champion").classes) == 2


def test_an_unreachable_server_costs_seconds_and_says_so(tmp_path: Path) -> None:
    sweeps.write(tmp_path / "sweep", 4, 4)
    begun = time.monotonic()
    assert not publish(str(tmp_path / "sweep"), f"http://127.0.0.1:{free_port()}", drain_seconds=1)
    assert time.monotonic() - begun < 10
    assert "refused" in json.loads((tmp_path / "sweep" / "tracking.json").read_text())["error"]


@contextmanager
def server(home: Path, port: int) -> Iterator[None]:
    """A real MLflow server; killed in the end."""
    home.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += [
        "--backend-store-uri",
        f"sqlite:///{home}/mlflow.db",
        "--artifacts-destination",
        str(home / "artifacts"),
    ]
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with subprocess.Popen(
        command, cwd=home, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        try:
            wait_until(lambda: answers(f"http://127.0.0.1:{port}/health"))
            yield
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as response:  # noqa: S310  # our own loopback
            return bool(response.status == 200)
    except OSError:
        return False


def wait_until(condition: Any, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
