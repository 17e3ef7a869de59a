"""What is wrong is said at once, in one message, with exit code 2, and nothing is started."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tuner.cli import main

Run = Callable[..., str]


@pytest.fixture
def caviar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command in this process and returns what it says; checks that it refuses and started nothing."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"a": rng.normal(size=600), "b": rng.choice(["x", "y"], 600), "label": rng.integers(0, 3, 600)}
    )
    frame.to_csv(tmp_path / "good.csv", index=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CAVIAR_HOME", raising=False)

    def call(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["caviar", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 2
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        assert not Path(".caviar/storage/sweeps").exists()
        said = capsys.readouterr().err
        assert "Traceback" not in said
        return said

    return call


@pytest.fixture
def run(caviar: Run) -> Run:
    """Runs `caviar run` on a spec."""

    def call(spec: str, *options: str) -> str:
        Path("spec.yaml").write_text(spec)
        return caviar("run", "spec.yaml", *options)

    return call


def test_an_id_that_is_no_folder_name(run: Run) -> None:
    for wrong in ("a/b", "..", "", "it's"):
        assert "a sweep's id must be letters, digits, '.', '_' and '-', at most 64" in run(GOOD, "--id", wrong)


GOOD = "name: s\ndata: {source: good.csv, target: label}\n"


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (GOOD + "train: {learning_rat: 0.1}\n", ["learning_rat", "learning_rate", "line 3"]),
        (GOOD + "train: {learning_rate: {uniform: [1, 0.1]}}\n", ["learning_rate", "low must be below high"]),
        (GOOD + "train: {learning_rate: {log_uniform: [0, 1]}}\n", ["learning_rate", "above 0"]),
        (GOOD + "train: {momentum: {one_minus_log_uniform: [0.9, 1]}}\n", ["momentum", "below 1"]),
        (GOOD + "train: {batch_size: {grid: []}}\n", ["batch_size", "grid []: needs at least one value"]),
        ("name: s\ndata: {source: good.csv, target: lable}\n", ["lable", "label"]),
        ("name: s\ndata: {source: missing.csv, target: label}\n", ["missing.csv", "none matches"]),
        (GOOD + "train: {batch_size: 4096}\n", ["4,096", "rows", "--set train.batch_size=32"]),
        (GOOD + "train: {batch_size: 128, epoch_rows: 100}\n", ["epoch_rows", "128", "100", "line 3"]),
        (GOOD + "tracking: {register: a/b}\n", ["tracking.register", "'a/b'", "without any of /"]),
    ],
)
def test_a_wrong_spec_is_explained(run: Run, spec: str, words: list[str]) -> None:
    said = run(spec)
    for word in words:
        assert word in said


def test_all_errors_come_at_once(run: Run) -> None:
    said = run("nme: s\ndata: {source: good.csv, target: label}\ntrain: {momentum: 1.5}\nsearch: {trials: 0}\n")
    for word in ("nme: unknown", "name: missing", "momentum: must be", "trials: must be"):
        assert word in said


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda frame: frame.assign(label=1), ["two classes", "label"]),
        (lambda frame: frame.assign(label=[*[0, 1] * 299, 0, 2]), ["every class", "'2' (1 row)"]),
        (lambda frame: frame.assign(label=[np.inf, *[0, 1] * 299, 0]), ["finite", "label"]),
        (lambda frame: frame.assign(a=np.nan), ["'a'", "has none"]),
        (lambda frame: frame.iloc[:0], ["must have rows", "good.csv"]),
    ],
    ids=["one class", "class only in the holdout", "infinite label", "all missing", "no rows"],
)
def test_unusable_data_are_explained(
    run: Run, change: Callable[[pd.DataFrame], pd.DataFrame], words: list[str]
) -> None:
    frame = change(pd.read_csv("good.csv"))
    frame = frame.assign(when=pd.date_range("2020-01-01", periods=len(frame), freq="h"))
    frame.to_csv("good.csv", index=False)
    said = run("name: s\ndata: {source: good.csv, target: label, time: when}\n")
    for word in words:
        assert word in said


def test_an_empty_file_is_named(run: Run) -> None:
    Path("good.csv").write_bytes(b"")
    assert "good.csv: a file must hold data" in run(GOOD)


def test_storage_that_cannot_be_written_is_named(run: Run) -> None:
    Path("occupied").write_text("a file")
    assert "occupied" in run(GOOD, "--storage", "occupied/inside")


@pytest.mark.parametrize("sweep", ["", "a/b", "../a", "a b", "a:1", "-a", ".a", "a" * 65])
def test_an_id_is_checked_before_any_work(run: Run, sweep: str) -> None:
    said = run(GOOD, f"--id={sweep}")
    assert repr(sweep) in said
    assert "letters, digits" in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["ui", "--port", "99999999"], ["--port", "65535"]),
        (["ui", "--port", "0"], ["--port"]),
        (["list", "--storage", "/nonexistent"], ["no storage /nonexistent"]),
        (["predict", "sweep", "good.csv", "--out", "nowhere/out.csv"], ["--out", "nowhere is no folder"]),
        (["predict", "sweep", "good.csv", "--out", "."], ["--out", "directory"]),
        (["status", ""], ["empty text"]),
    ],
)
def test_a_wrong_option_is_explained(caviar: Run, arguments: list[str], words: list[str]) -> None:
    said = caviar(*arguments)
    for word in words:
        assert word in said


def test_what_a_grid_leaves_out_is_said_before_any_work(run: Run) -> None:
    missing = "name: s\ndata: {source: missing.csv, target: label}\nsearch: {sampler: grid, points: 3, trials: 4}\n"
    fixed = "model: {hidden_layers: 0}\ntrain: {optimizer: sgd, batch_size: {choice: [32, 64]}, "
    said = run(f"{missing}{fixed}learning_rate_decay: {{schedule: constant}}}}\n", "--json")
    assert "warning: search.trials of 4 leaves out 2 of the 6 points of the grid: set it to 6 to try all" in said


def test_an_override_is_checked_like_the_file(run: Run) -> None:
    assert "search.trials=many" in run(GOOD, "--set", "search.trials=many")
