"""The sweep as a worker sees it: its data, mapped once per process, and the settings that training needs."""

from __future__ import annotations

import warnings
from functools import lru_cache
from pathlib import Path

import torch

from models.inference import Inference
from models.training import Arrays, loss_and_accuracy
from tuner.data.snapshot import Snapshot
from tuner.engine.journal import Journal
from tuner.engine.storage import Storage
from tuner.trial import Stage, seed_of


class Assignment:
    """What all packs of one sweep share in one process."""

    def __init__(self, sweep: Storage, snapshots: Path) -> None:
        created = Journal(sweep).read(1)
        spec = created["spec"]
        self.sweep = sweep
        self.snapshot = Snapshot.open(snapshots / created["snapshot"]["digest"])
        self.order_seed = seed_of(spec["search"]["seed"], "order")
        self.epoch_rows: int | None = spec["train"]["epoch_rows"]
        objective = spec["objective"]
        self.keep_best: str | None = objective["metric"] if objective["select"] == "best" else None
        torch.set_num_threads(spec["resources"]["cpus_per_worker"])  # the order of sums depends on it
        self.device = torch.device("cuda" if spec["resources"]["gpus_per_worker"] > 0 else "cpu")
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The given NumPy array is not writable")  # nobody writes to it
            self._X = torch.from_numpy(self.snapshot.X).to(self.device)
            self._y = torch.from_numpy(self.snapshot.y).to(self.device)

    def arrays(self, stage: Stage) -> Arrays:
        """The rows that a trial of `stage` trains on and is compared on; a refit trains on both."""
        splits, classes = self.snapshot.splits, len(self.snapshot.classes)
        if stage is Stage.REFIT:
            both = slice(splits["train"].start, splits["validation"].stop)
            return Arrays(self._X, self._y, classes, both, None)
        return Arrays(self._X, self._y, classes, splits["train"], splits["validation"])

    def holdout(self, inference: Inference) -> tuple[float, float]:
        """Loss and accuracy of one network on the rows that no search looks at."""
        rows = self.snapshot.splits["holdout"]
        loss, accuracy = loss_and_accuracy(inference, self._X[rows], self._y[rows])
        return float(loss[0]), float(accuracy[0])


@lru_cache(maxsize=4)
def assignment(sweep_uri: str, snapshots: str) -> Assignment:
    """The sweep's assignment, opened once per process."""
    return Assignment(Storage(sweep_uri), Path(snapshots))
