"""Caviar and its peers on one search: the same rows, space, trials and epochs, each as a command of its own."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from benchmarks.harness import Result, Usage, measure
from benchmarks.peers import space
from benchmarks.peers.task import Answer
from tuner.data.snapshot import Snapshot
from tuner.engine import build
from tuner.engine.journal import Journal, rows_from_json
from tuner.engine.storage import Storage
from tuner.spec import from_mapping

CAVIAR = {
    "caviar": {"confirm": 0, "baseline": False},  # the peers have neither; the winner is refitted all the same
    "caviar_full": {},
}
PEERS = {
    "ray": ["ray_tune", "--mlflow"],
    "ray_reuse": ["ray_tune", "--mlflow", "--reuse"],
    "ray_reuse_no_mlflow": ["ray_tune", "--reuse"],
    "optuna_random": ["optuna_halving", "--sampler", "random"],
    "optuna_tpe": ["optuna_halving", "--sampler", "tpe"],
    "sklearn_halving": ["halving_search"],
}
WORDS = {
    "caviar": "Caviar (MLflow on)",
    "caviar_full": "Caviar (MLflow on, with baseline and confirmation)",
    "ray": "Ray Tune (MLflow on)",
    "ray_reuse": "Ray Tune (MLflow on, actors reused)",
    "ray_reuse_no_mlflow": "Ray Tune (actors reused)",
    "optuna_random": "Optuna random",
    "optuna_tpe": "Optuna TPE",
    "sklearn_halving": "scikit-learn HalvingRandomSearchCV",
}


@dataclass(frozen=True, slots=True)
class Contest:
    """One search. `data` is that section of a spec; where rows are split at random, the seed draws them, too."""

    name: str
    data: Mapping[str, Any]
    trials: int
    epochs: int
    batch_sizes: tuple[int, ...]
    seed: int

    def spec(self, objective: Mapping[str, Any]) -> dict[str, Any]:
        """What Caviar is asked."""
        return {
            "name": self.name,
            "data": dict(self.data),
            "model": {
                "initial_weights": "torch",  # as the peers'
                "hidden_layers": {"int": list(space.HIDDEN_LAYERS)},
                "hidden_units": {"log_int": list(space.HIDDEN_UNITS)},
            },
            "train": {
                "optimizer": "momentum",
                "learning_rate": {"log_uniform": list(space.LEARNING_RATE)},
                "momentum": {"one_minus_log_uniform": [1 - end for end in reversed(space.ONE_MINUS_MOMENTUM)]},
                "batch_size": {"choice": list(self.batch_sizes)},
                "learning_rate_decay": {"schedule": "inverse_time", "rate": {"log_uniform": list(space.DECAY_RATE)}},
            },
            "search": {"sampler": "random", "trials": self.trials, "seed": self.seed},
            "stopping": {"asha": {"min_epochs": 1, "max_epochs": self.epochs, "reduction": space.REDUCTION}},
            "objective": dict(objective),
        }


@dataclass(frozen=True, slots=True)
class Entry:
    """One contender's search: what it took, and what it found."""

    usage: Usage
    answer: Answer

    @property
    def figures(self) -> Result:
        found = {"trials": self.answer.trials, "epochs": self.answer.epochs, "best_loss": round(self.answer.best, 5)}
        return {**self.usage.figures, **found}

    def seconds_to(self, loss: float) -> float | None:
        """From its start to its first evaluation that is no worse than `loss`; None if there is none."""
        reached = [time - self.usage.began for time, found in self.answer.curve if found <= loss]
        return round(reached[0], 2) if reached else None


def hold(contest: Contest, contenders: Iterable[str]) -> dict[str, Entry]:
    """Runs the contenders in turn, on the same rows."""
    with tempfile.TemporaryDirectory(prefix="caviar-bench-") as name:
        folder = Path(name)
        snapshot = build.snapshot(from_mapping(contest.spec({})), folder / "snapshots")
        rows = folder / "rows"
        write_rows(snapshot, rows)
        entries = {}
        for contender in contenders:
            home = folder / contender
            home.mkdir()
            if contender in CAVIAR:
                entries[contender] = run_caviar(contest, CAVIAR[contender], home, snapshot.digest)
            else:
                entries[contender] = run_peer(contest, PEERS[contender], home, rows)
        return entries


def write_rows(snapshot: Snapshot, folder: Path) -> None:
    """Training and validation rows of the snapshot, encoded, where `benchmarks.peers.network.Rows` finds them."""
    folder.mkdir()
    train, validation = snapshot.splits["train"], snapshot.splits["validation"]
    for name, array, part in (
        ("X", snapshot.X, train),
        ("y", snapshot.y, train),
        ("X_val", snapshot.X, validation),
        ("y_val", snapshot.y, validation),
    ):
        np.save(folder / f"{name}.npy", array[part])


def run_caviar(contest: Contest, objective: Mapping[str, Any], home: Path, digest: str) -> Entry:
    """`caviar run SPEC --json` as a user runs it, in an empty home; its rows must have `digest`."""
    (home / "spec.yaml").write_text(yaml.safe_dump(contest.spec(objective), sort_keys=False), encoding="utf-8")
    command = [str(Path(sys.executable).with_name("caviar")), "run", "spec.yaml", "--json"]
    usage = measure(command, home, {"CAVIAR_HOME": str(home / "home")})
    figures = usage.answer
    sweep = Storage(home / "home/storage/sweeps" / figures["sweep"])
    found = json.loads(sweep.read("snapshot.json"))["digest"]
    if found != digest:
        raise RuntimeError(f"all contenders must see the same rows, but Caviar saw {found} and the peers {digest}")
    evaluations = [
        (row.time, row.val_loss)
        for _, entry in Journal(sweep).entries()
        if entry["kind"] == "done"
        for row in rows_from_json(entry["rows"])
    ]
    searched = Answer.of(figures["trials"], evaluations)
    return Entry(usage, Answer(figures["trials"], figures["epochs"], figures["best"]["val_loss"], searched.curve))


def run_peer(contest: Contest, peer: list[str], home: Path, rows: Path) -> Entry:
    """One of `PEERS`, in an empty folder."""
    module, *options = peer
    asked = {"--rows": rows, "--trials": contest.trials, "--epochs": contest.epochs, "--seed": contest.seed}
    flat = [str(part) for pair in asked.items() for part in pair]
    sizes = ["--batch-sizes", *map(str, contest.batch_sizes)]
    command = [sys.executable, "-m", f"benchmarks.peers.{module}", *options, *flat, *sizes]
    usage = measure(command, home, {"PYTHONWARNINGS": "ignore"})
    return Entry(usage, Answer.read(home))
