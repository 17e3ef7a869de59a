"""What a worker times for a plan: a few steps of some trials, alone and side by side. No Ray in here."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

import torch

from models.config import Config
from models.inference import loss_and_accuracy
from models.training import Arrays, Slots, train
from tuner.data.snapshot import Snapshot
from tuner.engine.pace import TOGETHER, Timing
from tuner.trial import Value

ROUNDS = 3
ROUND_SECONDS = 0.05
MOST_STEPS = 100  # of a round
SLOW_SECONDS = 0.5  # a step that takes longer is not timed side by side: nothing is gained there
EVALUATED = 20_000  # rows that are enough to know what a row costs
HARMLESS = 1e-4  # a learning rate by which nothing diverges; it changes no time


def arrays_of(snapshot: Path, gpu: bool) -> Arrays:
    """The rows of the snapshot in the folder `snapshot`, where a worker has them."""
    found, device = Snapshot.open(snapshot), torch.device("cuda" if gpu else "cpu")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")  # nobody writes to it
        X, y = (torch.from_numpy(array).to(device) for array in (found.X, found.y))
    return Arrays(X, y, len(found.classes), found.splits["train"], found.splits["validation"])


def measure(arrays: Arrays, probes: Sequence[Mapping[str, Value]]) -> list[Timing]:
    """Times the trials with the hyperparameters `probes`, each one alone and TOGETHER of it side by side."""
    return [timing for params in probes for timing in _timed(arrays, params)]


def _timed(arrays: Arrays, params: Mapping[str, Value]) -> Iterator[Timing]:
    config = replace(Config.of(params, 0), learning_rate=HARMLESS)
    for number in (1, TOGETHER):
        began = time.perf_counter()
        labels = [str(slot) for slot in range(number)]
        slots = Slots.start(labels, [config] * number, arrays.X.shape[1], arrays.classes)
        begin = time.perf_counter() - began
        steps = _steps(slots, arrays)
        yield Timing(dict(params), number, steps, _evaluation(slots, arrays), begin)
        if median(steps) > SLOW_SECONDS:
            return


def _steps(slots: Slots, arrays: Arrays) -> tuple[float, ...]:
    """Seconds of a minibatch of all slots, by rounds; what is done for the first time is done before."""
    once = _round(slots, arrays, 2) / 2
    count = round(min(max(ROUND_SECONDS / once, 1), MOST_STEPS))
    return tuple(_round(slots, arrays, count) / count for _ in range(ROUNDS))


def _round(slots: Slots, arrays: Arrays, steps: int) -> float:
    began, bare = time.perf_counter(), replace(arrays, validation=None)
    rows = steps * slots.configs[0].batch_size
    for _ in train(slots, bare, order_seed=0, to_epoch=slots.epoch + 1, epoch_rows=rows):
        pass
    return time.perf_counter() - began


def _evaluation(slots: Slots, arrays: Arrays) -> float:
    """Seconds of an evaluation of all slots as training does it, in groups; what many rows take is told from some."""
    if arrays.validation is None:
        return 0.0
    rows, train_rows = (_first(arrays, part) for part in (arrays.validation, arrays.train))
    looks_back = slots.configs[0].normalised and slots.configs[0].bn_statistics == "second_pass"
    seconds = []
    for _ in range(2):  # the first one warms up
        folding = looking = 0.0
        for group in slots.groups():
            began = time.perf_counter()
            network = group.inference(arrays.X[train_rows])
            folded = time.perf_counter()
            loss_and_accuracy(network, arrays.X[rows], arrays.y[rows])[0].tolist()  # waits for a GPU
            folding, looking = folding + folded - began, looking + time.perf_counter() - folded
        more_folding = _share(arrays.train, train_rows) if looks_back else 1.0
        seconds.append(folding * more_folding + looking * _share(arrays.validation, rows))
    return seconds[-1]


def _first(arrays: Arrays, part: slice) -> slice:
    start, stop, _ = part.indices(len(arrays.X))
    return slice(start, min(stop, start + EVALUATED))


def _share(whole: slice, part: slice) -> float:
    """How many times `part` is in `whole`."""
    return float((whole.stop - whole.start) / max(part.stop - part.start, 1))
