"""Plans a sweep: starts all that it would start, times what it would do, and ends. Makes no sweep."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil

from tuner.engine import build, stages
from tuner.engine.conclusion import DRAIN_SECONDS
from tuner.engine.pace import Pace, Sizes
from tuner.engine.place import Place
from tuner.engine.plan import Surroundings
from tuner.engine.probes import middle, probes
from tuner.engine.rehearsals import Sweeps
from tuner.engine.storage import Storage
from tuner.search import samplers
from tuner.spec import Spec, from_mapping
from tuner.trial import Value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tuner.data.snapshot import Snapshot
    from tuner.engine.probing import Probed

# What is the same in every sweep, from the journals of sweeps of the digits on 2 cores (AMD EPYC). Where Ray's start
# takes longer than RAY_SECONDS, Tune's takes as many times as long. The end took 3.8 to 7.8 s on a quiet machine and on
# a busy one: most of it is waiting.
RAY_SECONDS = 3.9  # importing and starting it there; a cluster that is joined is up already
TUNE_SECONDS = 2.0  # the journal, and what Tune does before a worker begins, beside its start
END_SECONDS = 5.0  # the result, importances, the model in MLflow, and the end of Ray and of the publisher meanwhile
PACK_SECONDS = 0.03  # what Ray Tune takes for a pack, and the worker for its files: the benchmark `overhead`
OBJECTS = 4  # that are written and read for a pack, in storage
TRIAL_CPU_SECONDS = 0.004  # of the driver and of the publisher, who take cores from the workers: `mlflow_cost`
REQUEST_SECONDS = 0.01  # a server of MLflow answers one
REHEARSED = 5000  # trials; a rehearsal takes 0.25 ms for each
REHEARSED_OF = {"tpe": 400}  # each of its draws looks at all trials before: 5 ms in a sweep of 400, 20 ms of 2000
PUBLISHER_BYTES = 230 * 2**20  # of memory, once it has imported mlflow
INTERPRETER_SECONDS = 0.15  # until a command's first line


@dataclass(frozen=True, slots=True)
class Survey:
    """What was found out: how fast training is, what is around it, and a usual trial (in the middle of those timed).

    `start` has the seconds of each part of a sweep's start: data, Ray, workers. `free` is this machine's free memory in
    bytes, None where the workers are elsewhere; `contested` says that the cluster has other sweeps.
    """

    pace: Pace
    around: Surroundings
    usual: Mapping[str, Value]
    start: Mapping[str, float]
    free: int | None
    contested: bool


def survey(spec: Spec, snapshot: Snapshot, place: Place, preparing: float) -> Survey:
    """Starts or joins Ray, and times training on its workers. `preparing` are the seconds until the snapshot was there.

    OSError and CannotTrainError where the sweep itself could not be run, either.
    """
    ledger, resources = build.ledger(spec, build.facts(snapshot)), spec.resources
    timed = probes(ledger.space, build.sampler(spec), ledger.cost, spec.search.trials)
    usual = middle(timed)
    if spec.objective.baseline:
        timed.append(stages.baseline(ledger)[0].trials[0].params)  # always trained, and like no trial of some spaces
    began = time.monotonic()
    from tuner.engine import driver, probing  # noqa: F401  # as a sweep does, which takes its time
    from tuner.engine.connect import ray_cluster

    own = not os.environ.get("RAY_ADDRESS")
    free = psutil.virtual_memory().available if own else None
    with ray_cluster(place.home):
        connecting = time.monotonic() - began
        found = probing.probe(
            place.snapshots,
            snapshot.digest,
            timed,
            cpus=resources.cpus_per_worker,
            gpus=resources.gpus_per_worker,
            max_workers=resources.max_workers,
        )
        others = _memory() + PUBLISHER_BYTES if own else None
    slow = max(connecting / RAY_SECONDS, 1.0) if own else 1.0
    start = {
        "data": INTERPRETER_SECONDS + preparing,
        "ray": connecting,
        "workers": found.arrival + slow * TUNE_SECONDS,
    }
    tracking = spec.tracking.uri or place.tracking
    around = _around(tracking, place.storage, found, start=sum(start.values()), others=others)
    return Survey(Pace(_sizes(spec, snapshot), found.timings), around, usual, start, free, found.contested)


def sweeps(spec: Spec, snapshot: Snapshot) -> Sweeps:
    """The spec's sweep, and those that differ from it by their number of trials."""
    facts, plain = build.facts(snapshot), spec.model_dump(by_alias=True)

    def other(trials: int, points: int | None = spec.search.points) -> Spec:
        """A spec that differs in its number of trials, but not in the points of its grid, if it has one."""
        return from_mapping(plain, [f"search.trials={trials}", f"search.points={'null' if points is None else points}"])

    def size(trials: int) -> tuple[int, int | None]:
        sampler = build.sampler(other(trials))
        return samplers.drawn(sampler, trials), samplers.points(sampler)

    return Sweeps(
        size=size,
        ledger=lambda trials, points: build.ledger(other(trials, points), facts),
        whole=REHEARSED_OF.get(spec.search.sampler, REHEARSED),
        kept=spec.stopping.keep,
    )


def _around(tracking: str, storage: Storage, found: Probed, *, start: float, others: int | None) -> Surroundings:
    cores = os.cpu_count() or 1
    return Surroundings(
        workers=found.workers,
        start=start,
        pack=PACK_SECONDS + OBJECTS * _round_trip(storage),
        trial=TRIAL_CPU_SECONDS / cores if others is not None else 0.0,
        end=END_SECONDS,
        request=REQUEST_SECONDS if tracking.startswith("http") else 0.0,
        patience=DRAIN_SECONDS,
        worker_bytes=found.worker_bytes,
        other_bytes=others,
    )


def _sizes(spec: Spec, snapshot: Snapshot) -> Sizes:
    rows = {part: where.stop - where.start for part, where in snapshot.splits.items()}
    inputs, classes = snapshot.encoder.width, len(snapshot.classes)
    stored = sum(file.stat().st_size for file in snapshot.directory.iterdir())
    return Sizes(inputs, classes, rows["train"], rows["validation"], stored, spec.train.epoch_rows)


def _round_trip(storage: Storage) -> float:
    """Seconds in which a small object is written and read."""
    name = f"plan-{os.getpid()}"
    began = time.monotonic()
    storage.write(name, b"plan")
    storage.read(name)
    seconds = time.monotonic() - began
    storage.remove(name)
    return seconds / 2


def _memory() -> int:
    """Bytes of this process and all that it has started; what they share is counted once where the system says it."""
    found = 0
    mine = psutil.Process()
    for process in (mine, *mine.children(recursive=True)):
        try:
            used = process.memory_full_info()
        except psutil.Error:  # it has just ended
            continue
        found += int(getattr(used, "pss", 0) or used.uss)
    return found
