"""Ray Tune as its documentation shows it: a function trainable, ASHAScheduler, MLflowLoggerCallback."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import ray
import torch
from ray import tune
from ray.air.integrations.mlflow import MLflowLoggerCallback
from ray.tune.experiment import Trial
from ray.tune.schedulers import ASHAScheduler

from benchmarks.peers import space
from benchmarks.peers.network import Rows, train
from benchmarks.peers.task import Answer, Task


def trainable(config: dict[str, Any], rows: Rows, epochs: int) -> None:
    """One trial: reports after every epoch."""
    torch.manual_seed(config["seed"])
    for loss, accuracy in train(config, rows, epochs):
        tune.report({"val_loss": loss, "val_accuracy": accuracy})


class Curve(tune.Callback):
    """Notes when each result came in."""

    def __init__(self) -> None:
        self.evaluations: list[tuple[float, float]] = []

    def on_trial_result(
        self,
        iteration: int,
        trials: list[Trial],
        trial: Trial,
        result: dict[Any, Any],
        **info: Any,
    ) -> None:
        del iteration, trials, trial, info
        self.evaluations.append((time.time(), result["val_loss"]))


def main() -> None:
    """Runs the search and writes the answer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reuse", action="store_true", help="reuse_actors")
    parser.add_argument("--mlflow", action="store_true", help="log to MLflow (SQLite)")
    task, given = Task.parse(parser)
    ray.init(address="local")  # never somebody else's cluster
    layers, units = space.HIDDEN_LAYERS, space.HIDDEN_UNITS
    curve = Curve()
    callbacks: list[tune.Callback] = [curve]
    if given.mlflow:
        callbacks.append(MLflowLoggerCallback(tracking_uri="sqlite:///mlflow.db", experiment_name="digits"))
    tuner = tune.Tuner(
        tune.with_resources(
            tune.with_parameters(trainable, rows=Rows.load(task.rows), epochs=task.epochs), resources={"cpu": 1}
        ),
        param_space={
            "hidden_layers": tune.randint(layers[0], layers[1] + 1),
            "hidden_units": tune.lograndint(units[0], units[1] + 1),
            "learning_rate": tune.loguniform(*space.LEARNING_RATE),
            "one_minus_momentum": tune.loguniform(*space.ONE_MINUS_MOMENTUM),
            "decay_rate": tune.loguniform(*space.DECAY_RATE),
            "batch_size": tune.choice(task.batch_sizes),
            "seed": tune.randint(0, 2**31 - 1),
        },
        tune_config=tune.TuneConfig(
            metric="val_loss",
            mode="min",
            num_samples=task.trials,
            scheduler=ASHAScheduler(max_t=task.epochs, grace_period=1, reduction_factor=space.REDUCTION),
            search_alg=tune.search.BasicVariantGenerator(random_state=task.seed),
            reuse_actors=given.reuse,
        ),
        run_config=tune.RunConfig(storage_path=str(Path.cwd() / "results"), callbacks=callbacks),
    )
    results = tuner.fit()
    if results.num_errors:
        raise SystemExit(f"{results.num_errors} trials failed: {results.errors[0]}")
    Answer.of(len(results), curve.evaluations).write()


if __name__ == "__main__":
    main()
