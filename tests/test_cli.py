"""The commands as users run them: one sweep on the digits, then everything that can be asked of it."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

import tuner
from models.classifier import Classifier
from models.features import Encoder
from models.inference import Inference
from models.layout import Layout
from tests.conftest import Home
from tests.ports import free_port
from tuner.cli import main
from tuner.spec import json_schema

pytestmark = pytest.mark.ray

SPEC: dict[str, Any] = {
    "name": "digits",
    "model": {"hidden_layers": {"int": [0, 2]}, "hidden_units": {"log_int": [16, 64]}},
    "search": {"trials": 18},
    "stopping": {"asha": {"max_epochs": 9}},
    "objective": {"confirm": 2, "seeds": 2},
}


@pytest.fixture(scope="module")
def spec(home: Home, digits: Path) -> Path:
    path = home.folder / "digits.yaml"
    path.write_text(yaml.safe_dump({**SPEC, "data": {"source": str(digits)}, "tracking": {"register": "digits"}}))
    return path


@pytest.fixture(scope="module")
def result(home: Home, spec: Path) -> dict[str, Any]:
    return home.answer("run", str(spec))


def test_check_says_what_would_be_searched(home: Home, spec: Path) -> None:
    said = home.caviar("check", str(spec)).stdout
    assert "18 trials over 7 axes" in said
    assert "64 columns" in said


def test_check_counts_the_points_that_a_grid_has(home: Home, spec: Path) -> None:
    """Momentum is nothing to sgd, so of 16 combinations 12 differ."""
    train = (
        "{learning_rate: {grid: [0.01, 0.03, 0.1, 0.3]}, optimizer: {choice: [sgd, momentum]}, batch_size: 64, "
        "momentum: {grid: [0.9, 0.99]}, learning_rate_decay: {schedule: constant}}"
    )
    options = ["model={hidden_layers: 0}", f"train={train}", "search={sampler: grid, trials: 50}"]
    overrides = [word for option in options for word in ("--set", option)]
    done = home.caviar("check", str(spec), *overrides, "--json")
    assert "12 trials over 3 axes" in done.stderr
    checked = json.loads(done.stdout)
    assert (checked["trials"], "leaves out" in done.stderr) == (12, False)
    assert checked["space"] == {
        "learning_rate": {"grid": [0.01, 0.03, 0.1, 0.3]},
        "momentum": {"grid": [0.9, 0.99]},
        "optimizer": {"choice": ["sgd", "momentum"]},
    }
    assert checked["fixed"]["batch_size"] == 64
    assert checked["classes"] == [str(digit) for digit in range(10)]
    assert checked["columns"] == [f"x{pixel}" for pixel in range(64)]
    checked = home.answer("check", str(spec), *overrides, "--set", "search.trials=7")
    assert checked["trials"] == 7
    grid, constant = checked["warnings"]
    assert grid.startswith("search.trials of 7 leaves out 5 of the 12 points of the grid")
    assert constant.startswith("constant in the training rows")


def test_check_tells_how_far_coarse_to_fine_may_go(home: Home, spec: Path) -> None:
    search = "{sampler: coarse_to_fine, trials: 20, rounds: 4, expand: true}"
    train = "{learning_rate: {log_uniform: [1.0e-2, 1]}}"
    done = home.caviar("check", str(spec), "--set", f"search={search}", "--set", f"train={train}")
    assert "coarse to fine: 4 rounds; from the second one on, 20% of each outside its box" in done.stderr + done.stdout
    assert "learning_rate begins with 0.01 to 1; its box may grow beyond" in done.stderr + done.stdout


def test_check_shows_where_the_search_starts(home: Home, spec: Path) -> None:
    grid = "{learning_rate: {grid: [0.01, 0.1]}, optimizer: sgd, batch_size: 64, learning_rate_decay: {schedule: sqrt}}"
    search = "{sampler: grid, points: 2, trials: 5, start: [{learning_rate: 0.07, decay_rate: 0.5, momentum: 0.9}]}"
    options = ["--set", "model={hidden_layers: 0}", "--set", f"train={grid}", "--set", f"search={search}"]
    done = home.caviar("check", str(spec), *options, "--json")
    said = " ".join(done.stderr.split())
    assert "50% of the trials in boxes of half-width 0.2 around them, the others by the grid sampler" in said
    assert "start 1; learning_rate 0.07 is not on its axis: 0.1 instead; not searched, so ignored: momentum" in said
    checked = json.loads(done.stdout)
    (start,) = checked["start"]
    assert (start["params"]["learning_rate"], start["params"]["decay_rate"]) == (0.1, 0.5)
    assert checked["trials"] == 5
    left = next(warning for warning in checked["warnings"] if "of the grid" in warning)
    assert left.startswith("search.trials of 5 leaves out 2 of the 4 points of the grid: the start and the boxes")
    none = home.answer("check", str(spec), *options, "--set", "search.trials=9", "--set", "search.focus.share=0")
    assert none["trials"] == 5  # the start and the grid, which ends


def test_one_is_not_told_in_the_plural() -> None:
    from rich.console import Console

    from tuner.review.describe import describe_data, describe_space
    from tuner.search.space import Axis, Space, Uniform

    parts = {part: [1] for part in ("train", "validation", "holdout")}
    about = {"class_counts": parts, "ranges": {}, "classes": ["a"], "source": {"data": "x.csv"}, "digest": "0"}
    console = Console(width=200)
    with console.capture() as captured:
        console.print(describe_data({**about, "features": {"x": "number"}, "warnings": []}))
        console.print(describe_space(Space((Axis("momentum", Uniform(0, 1)),)), 1))
    for words in ("1 column: x", "1 trial over 1 axis,"):
        assert words in captured.get()


def test_run_answers_in_json(result: dict[str, Any]) -> None:
    assert result["status"] == "finished"
    assert result["trials"] == sum(result["states"].values()) == 18
    assert set(result["best"]) >= {"trial", "params", "val_loss", "val_accuracy"}
    assert result["confirmed"]["seeds"] == 2
    assert result["confirmed"]["val_loss_std"] > 0
    assert (result["model_uri"], result["model_alias"]) == ("models:/digits/1", "champion")
    holdout = result["holdout"]
    assert holdout["class_prior"]["loss"] == pytest.approx(np.log(10), abs=0.02)
    assert holdout["winner"]["loss"] < 0.4 < holdout["class_prior"]["loss"]


def test_list_status_and_best_agree(home: Home, result: dict[str, Any]) -> None:
    [listed] = home.answer("list")["sweeps"]
    assert (listed["sweep"], listed["status"], listed["trials"]) == (result["sweep"], "finished", 18)
    assert home.answer("status", "digits")["model_uri"] == result["model_uri"]
    best = home.answer("best", result["sweep"])
    assert {key: best[key] for key in ("best", "confirmed", "verdict")} == {
        key: result[key] for key in ("best", "confirmed", "verdict")
    }
    leaderboard = best["leaderboard"]
    assert leaderboard[0]["val_loss"] == listed["best_val_loss"]
    assert result["best"]["trial"] in {row["trial"] for row in leaderboard[:2]}


def test_mlflow_shows_nested_runs(home: Home, result: dict[str, Any]) -> None:
    with sqlite3.connect(home.folder / ".caviar/mlflow.db") as database:
        children = database.execute(
            "SELECT run_uuid FROM tags WHERE key = 'mlflow.parentRunId' AND value = ?", (result["parent_run_id"],)
        ).fetchall()
        params = dict(
            database.execute(
                "SELECT params.key, params.value FROM params JOIN tags USING (run_uuid) "
                "WHERE tags.key = 'caviar.trial' AND tags.value = ?",
                (result["best"]["trial"],),
            )
        )
    assert len(children) == 18 + 2 * 2 + 8 + 2
    assert float(params["learning_rate"]) == result["best"]["params"]["learning_rate"]
    assert params["seed"] == str(result["best"]["seed"])


@pytest.mark.parametrize("model", ["sweep", "models:/digits@champion"])
def test_predict_takes_raw_columns(home: Home, digits: Path, result: dict[str, Any], model: str) -> None:
    name = result["sweep"] if model == "sweep" else model
    home.caviar("predict", name, str(digits), "--out", "predictions.csv")
    found = pd.read_csv(home.folder / "predictions.csv")
    labels = np.load(digits)["y"]
    assert list(found)[:-1] == [str(digit) for digit in range(10)]
    assert np.allclose(found.iloc[:, :10].sum(axis=1), 1)
    assert (found["prediction"] == labels).mean() > 0.95


def test_predict_answers_in_json(home: Home, digits: Path, result: dict[str, Any]) -> None:
    with np.load(digits) as arrays:
        np.savez(home.folder / "bare.npz", X=arrays["X"][:5])
    home.caviar("predict", result["sweep"], "bare.npz", "--out", "bare.csv")
    answer = home.answer("predict", result["sweep"], "bare.npz")
    found = pd.read_csv(home.folder / "bare.csv", dtype={"prediction": str})
    assert answer["classes"] == list(found)[:-1]
    assert answer["predictions"] == found["prediction"].tolist()
    assert np.array(answer["probabilities"]).tolist() == found.iloc[:, :10].to_numpy().tolist()


def test_predict_reads_texts_as_texts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A CSV file with nothing but digits in a column of texts."""
    codes = pd.DataFrame({"code": ["1", "02", "AA"]})
    encoder = Encoder.fit(codes, ["code"])
    layout = Layout(encoder.width, (), 2, batch_norm=False)
    classifier = Classifier(encoder, Inference(layout, torch.arange(1.0, layout.length + 1)[None], "relu", 2), "ab")
    monkeypatch.setattr("tuner.engine.tracking.classifier_of", lambda *_: classifier)
    codes.head(2).to_csv(tmp_path / "rows.csv", index=False)
    monkeypatch.setattr(sys, "argv", ["caviar", "predict", "models:/x/1", str(tmp_path / "rows.csv"), "--json"])
    with pytest.raises(SystemExit):
        main()
    answer = json.loads(capsys.readouterr().out)
    assert answer["probabilities"] == classifier.predict_proba(codes)[:2].tolist()


def test_a_home_without_sweeps_is_no_error(home: Home) -> None:
    new = Home(home.folder, {**home.env, "CAVIAR_HOME": "new"})
    assert "no sweeps in" in new.caviar("list").stdout
    assert new.answer("list") == {"sweeps": []}


def test_json_has_no_nan(home: Home, result: dict[str, Any]) -> None:
    """A refit has no validation rows, so its validation losses are NaN."""
    done = home.caviar("reproduce", result["sweep"], f"refit-{result['best']['trial']}", "--json")
    answer = json.loads(done.stdout, parse_constant=pytest.fail)
    assert answer["bitwise"]
    assert set(answer["val_losses"]) == {None}


def test_the_schema_and_the_version(home: Home) -> None:
    assert home.answer("schema") == json.loads(home.caviar("schema").stdout) == json_schema()
    assert home.caviar("--version").stdout == f"caviar {version('caviar')}\n"


def test_reproduce_is_bitwise(home: Home, result: dict[str, Any]) -> None:
    again = home.answer("reproduce", result["sweep"], result["best"]["trial"])
    assert again["bitwise"]
    with sqlite3.connect(home.folder / ".caviar/mlflow.db") as database:
        [(run,)] = database.execute(
            "SELECT run_uuid FROM tags WHERE key = 'caviar.trial' AND value = ?", (result["best"]["trial"],)
        )
    assert home.answer("reproduce", run) == again


def test_the_python_call_gives_the_same_sweep(
    home: Home, spec: Path, result: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAVIAR_HOME", str(home.folder / "python"))
    seen = []
    found = tuner.run(spec, overrides=["search.trials=6", "objective.confirm=0"], show=seen.append)
    assert len(found.trials.query("stage == 'search'")) == 6
    assert found.figures["confirmed"] is None
    assert seen[-1].status == "finished"
    first = found.trials.set_index("trial").loc["t0000"]
    with sqlite3.connect(home.folder / ".caviar/mlflow.db") as database:
        [(seed,)] = database.execute(
            "SELECT params.value FROM params JOIN tags USING (run_uuid) "
            "WHERE params.key = 'seed' AND tags.key = 'caviar.trial' AND tags.value = 't0000'"
        )
    assert str(first["seed"]) == seed


def test_mlflow_away_is_told_and_made_up_for(home: Home, spec: Path, tmp_path: Path) -> None:
    port = free_port()
    away = Home(home.folder, {**home.env, "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{port}"})
    options = ["--set", "search.trials=3", "--set", "objective.confirm=0", "--set", "objective.baseline=false"]
    done = away.caviar("run", str(spec), "--id", "away", *options)
    assert "caviar resume away" in done.stdout
    assert "model.json" in {file.name for file in (home.folder / ".caviar/storage/sweeps/away/model").iterdir()}
    store = f"sqlite:///{tmp_path}/server.db"
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", store, "--port", str(port)]
    server = subprocess.Popen(
        [*command, "--workers", "1", "--default-artifact-root", str(tmp_path / "artifacts")],
        env={**home.env, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: answers(port))
        again = away.answer("resume", "away")
        assert again["model_uri"] == "models:/digits/1"
        with sqlite3.connect(tmp_path / "server.db") as database:
            [(runs,)] = database.execute("SELECT count(*) FROM tags WHERE key = 'caviar.trial'")
        assert runs == 3 + 1
    finally:
        server.terminate()
        server.wait()


def test_a_running_sweep_is_not_driven_twice_and_survives_the_attempt(home: Home, spec: Path) -> None:
    driver = home.start("run", str(spec), "--id", "twice", "--set", "search.trials=2000")
    status = home.folder / ".caviar/storage/sweeps/twice/status.json"
    wait_until(lambda: status.exists() and json.loads(status.read_text())["status"] == "running")
    said = home.caviar("resume", "twice", code=3).stderr
    assert "is running on" in said
    assert "caviar resume" not in said
    driver.send_signal(signal.SIGINT)
    assert driver.wait(60) == 130
    assert json.loads(status.read_text())["status"] == "interrupted"
    with sqlite3.connect(home.folder / ".caviar/mlflow.db") as database:
        [(ended,)] = database.execute("SELECT status FROM runs WHERE name = 'twice'")
    assert ended == "KILLED"


def test_a_signal_that_comes_at_the_worst_place_is_heeded(home: Home, spec: Path) -> None:
    command = [sys.executable, "-m", "tests.lost", "run", str(spec), "--id", "signal", "--set", "search.trials=2000"]
    done = subprocess.run(
        command, check=False, env={**home.env, "CAVIAR_HOME": str(home.folder / ".caviar")}, capture_output=True
    )
    assert b"Exception ignored" in done.stderr
    assert done.returncode == 130, done.stderr
    found = home.answer("status", "signal")
    assert (found["status"], found["epochs"]) == ("interrupted", 0), "it trained on"


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.2)


def answers(port: int) -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1)
    except OSError:
        return False
    return True
