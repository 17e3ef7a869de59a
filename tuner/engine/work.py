"""What a worker does with one pack: load, train, leave the state and the result in storage. No Ray in here."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path

import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from models.classifier import Classifier
from models.config import Config
from models.training import Arrays, Evaluation, Slots, train
from models.inference import Inference, loss_and_accuracy
from tuner.data.snapshot import Snapshot
from tuner.engine.history import result_name
from tuner.engine.journal import Journal, pack_from_json, rows_to_json
from tuner.engine.storage import Storage
from tuner.trial import Pack, Row, Stage, Trial, seed_of

MODEL_FOLDER = "model"  # where the winner's refit is exported


def state_name(pack_id: int) -> str:
    """The object that holds the weights and optimizer states of a pack's trials at its end."""
    return f"state/{pack_id:06d}.safetensors"


class Assignment:
    """The sweep as a worker sees it: its data and the few settings that training needs; loaded once per process."""

    def __init__(self, sweep: Storage, spec: dict, snapshot: Snapshot) -> None:
        self.sweep = sweep
        self.order_seed = seed_of(spec["search"]["seed"], "order")
        self.epoch_rows: int | None = spec["train"]["epoch_rows"]
        self.keep_best = spec["objective"]["select"] == "best"
        self.snapshot = snapshot
        X, y = snapshot.arrays()
        self.X, self.y = torch.from_numpy(X), torch.from_numpy(y)

    def arrays(self, stage: Stage) -> Arrays:
        """The rows a trial of `stage` trains on and is compared on; a refit trains on both."""
        splits = self.snapshot.splits
        training, validation = splits["train"], splits["validation"]
        classes = len(self.snapshot.classes)
        if stage is Stage.REFIT:
            return Arrays(self.X, self.y, classes, slice(training.start, validation.stop), None)
        return Arrays(self.X, self.y, classes, training, validation)
