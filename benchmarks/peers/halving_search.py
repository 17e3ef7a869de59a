"""scikit-learn as its documentation shows it: HalvingRandomSearchCV over MLPClassifier, epochs as the resource.

MLPClassifier has neither batch norm nor inverse-time decay, and its momentum is undamped: another model in the same
space, trained anew at every rung.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from scipy.stats import loguniform, randint
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import HalvingRandomSearchCV, PredefinedSplit
from sklearn.neural_network import MLPClassifier

from benchmarks.peers import space
from benchmarks.peers.task import Answer, Task

PROCESSES = 2


class Widths:
    """One width for one to three layers, as MLPClassifier takes them."""

    def rvs(self, random_state: np.random.RandomState) -> tuple[int, ...]:
        layers = randint(space.HIDDEN_LAYERS[0], space.HIDDEN_LAYERS[1] + 1).rvs(random_state=random_state)
        return (round(loguniform(*space.HIDDEN_UNITS).rvs(random_state=random_state)),) * int(layers)


class Momentum:
    """1 - m is log-uniform."""

    def rvs(self, random_state: np.random.RandomState) -> float:
        return 1 - float(loguniform(*space.ONE_MINUS_MOMENTUM).rvs(random_state=random_state))


def main() -> None:
    """Runs the search and writes the answer."""
    task, _ = Task.parse(argparse.ArgumentParser(description=__doc__))
    X, y, X_val, y_val = (np.load(task.rows / f"{name}.npy") for name in ("X", "y", "X_val", "y_val"))
    search = HalvingRandomSearchCV(
        MLPClassifier(
            solver="sgd", nesterovs_momentum=False, tol=0, n_iter_no_change=task.epochs + 1, random_state=task.seed
        ),
        {
            "hidden_layer_sizes": Widths(),
            "learning_rate_init": loguniform(*space.LEARNING_RATE),
            "momentum": Momentum(),
            "batch_size": task.batch_sizes,
        },
        n_candidates=task.trials,
        factor=space.REDUCTION,
        resource="max_iter",
        min_resources=1,
        max_resources=task.epochs,
        scoring="neg_log_loss",
        cv=PredefinedSplit(np.r_[np.full(len(y), -1), np.zeros(len(y_val))]),
        refit=False,
        n_jobs=PROCESSES,
        random_state=task.seed,
    )
    search.fit(np.concatenate([X, X_val]), np.concatenate([y, y_val]))
    found = search.cv_results_
    losses = -np.asarray(found["mean_test_score"])
    best, now = float(np.nanmin(losses)), time.time()
    Answer(task.trials, int(np.sum(found["n_resources"])), best, [(now, best)]).write()


if __name__ == "__main__":
    main()
