"""Optuna as its documentation shows it: SuccessiveHalvingPruner, two processes on one journal file, no MLflow."""

from __future__ import annotations

import argparse
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import MaxTrialsCallback

from benchmarks.peers import space
from benchmarks.peers.task import Answer, Task

STUDY = "search"
PROCESSES = 2


def work(number: int, task: Task, sampler: str) -> list[tuple[float, float]]:
    """One of the processes: takes trials until there are enough; returns (time, loss) of its evaluations."""
    import torch

    from benchmarks.peers.network import Rows, train

    torch.set_num_threads(1)
    rows = Rows.load(task.rows)
    evaluations: list[tuple[float, float]] = []

    def objective(trial: optuna.Trial) -> float:
        params = {
            "hidden_layers": trial.suggest_int("hidden_layers", *space.HIDDEN_LAYERS),
            "hidden_units": trial.suggest_int("hidden_units", *space.HIDDEN_UNITS, log=True),
            "learning_rate": trial.suggest_float("learning_rate", *space.LEARNING_RATE, log=True),
            "one_minus_momentum": trial.suggest_float("one_minus_momentum", *space.ONE_MINUS_MOMENTUM, log=True),
            "decay_rate": trial.suggest_float("decay_rate", *space.DECAY_RATE, log=True),
            "batch_size": trial.suggest_categorical("batch_size", task.batch_sizes),
        }
        torch.manual_seed(task.seed * 1_000_003 + trial.number)
        best = float("inf")
        for epoch, (loss, _) in enumerate(train(params, rows, task.epochs), 1):
            evaluations.append((time.time(), loss))
            best = min(best, loss)
            trial.report(loss, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
        return best

    seed = 2 * task.seed + number
    study = optuna.load_study(
        study_name=STUDY,
        storage=storage(),
        sampler=optuna.samplers.TPESampler(seed=seed) if sampler == "tpe" else optuna.samplers.RandomSampler(seed=seed),
        pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=space.REDUCTION),
    )
    study.optimize(objective, callbacks=[MaxTrialsCallback(task.trials, states=None)])
    return evaluations


def storage() -> JournalStorage:
    """The journal file in the working folder."""
    return JournalStorage(JournalFileBackend("journal.log"))


def main() -> None:
    """Runs the search and writes the answer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sampler", choices=("random", "tpe"), required=True)
    task, given = Task.parse(parser)
    study = optuna.create_study(storage=storage(), study_name=STUDY, direction="minimize")
    with ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("spawn")) as pool:
        done = pool.map(partial(work, task=task, sampler=given.sampler), range(PROCESSES))
        evaluations = [evaluation for part in done for evaluation in part]
    Answer.of(len(study.trials), evaluations).write()


if __name__ == "__main__":
    main()
