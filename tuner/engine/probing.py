"""Times training where it will take place: on as many workers at once as the sweep would have, started as it would."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import psutil
import ray
from ray.exceptions import RayError

from tuner.engine import delivery
from tuner.engine.history import CannotTrainError
from tuner.engine.pace import Timing
from tuner.engine.presence import Presence
from tuner.trial import Value

AT_ONCE = 16  # workers that are timed: more would tell no more
PATIENCE_SECONDS = 60.0  # for the first worker: all may be busy with packs of other sweeps
OTHERS_SECONDS = 10.0  # for the rest


@dataclass(frozen=True, slots=True)
class Probed:
    """What was found. `arrival` are the seconds from when workers are asked for until they can train.

    `worker_bytes` is the memory that a worker has for itself before its first pack, `contested` says that other sweeps
    run, whose workers these are, too.
    """

    workers: int
    arrival: float
    timings: tuple[Timing, ...]
    worker_bytes: int
    contested: bool


class Prober:
    """A worker that trains nothing: it begins as one, and times what it is asked to."""

    def __init__(self, snapshots: Mapping[str, str], cpus: int, gpus: float) -> None:
        import torch

        from tuner.engine import pack, timing, work  # noqa: F401  # what a worker must import

        torch.set_num_threads(cpus)
        folder = delivery.at_hand(snapshots["snapshots"], snapshots["digest"], snapshots["node"])
        self._arrays = timing.arrays_of(Path(folder) / snapshots["digest"], gpu=gpus > 0)
        self._measure = timing.measure

    def ready(self) -> int:
        """Bytes of memory that no other process has."""
        return int(psutil.Process().memory_full_info().uss)

    def measure(self, probes: Sequence[Mapping[str, Value]]) -> list[Timing]:
        """See `timing.measure`."""
        return self._measure(self._arrays, probes)


def probe(
    snapshots: Path,
    digest: str,
    probes: Sequence[Mapping[str, Value]],
    *,
    cpus: int,
    gpus: float,
    max_workers: int | None,
) -> Probed:
    """Times `probes` on the Ray cluster that this process is connected to.

    CannotTrainError where no machine is large enough for a worker, or none is free for a minute.
    """
    presence = Presence(cpus, gpus, max_workers, patience=0.0)  # sweeps that run make room for this, too
    probers: list[Any] = []
    try:
        workers = presence.workers()
        where = delivery.source(str(snapshots), digest)
        began = time.monotonic()
        remote: Any = ray.remote(num_cpus=cpus, num_gpus=gpus, scheduling_strategy="SPREAD")(Prober)
        probers = [remote.remote(where, cpus, gpus) for _ in range(min(workers, AT_ONCE))]
        ready, sizes, arrival = _arrived(probers, began)
        found = [timing for one in ray.get([prober.measure.remote(list(probes)) for prober in ready]) for timing in one]
        return Probed(workers, arrival, tuple(found), max(sizes), presence.contested)
    except RayError as error:
        raise CannotTrainError(f"training cannot be timed, because a worker failed: {error}") from error
    finally:
        for prober in probers:
            ray.kill(prober)
        presence.withdraw()


def _arrived(probers: Sequence[Any], began: float) -> tuple[list[Any], list[int], float]:
    """Those that can train, their sizes, and the median seconds that they took to be there."""
    waiting = {prober.ready.remote(): prober for prober in probers}
    ready, sizes, seconds = list[Any](), list[int](), list[float]()
    while waiting:
        patience = OTHERS_SECONDS if ready else PATIENCE_SECONDS
        done, _ = ray.wait(list(waiting), num_returns=1, timeout=patience)
        if not done:
            break
        sizes.append(ray.get(done[0]))
        ready.append(waiting.pop(done[0]))
        seconds.append(time.monotonic() - began)
    if not ready:
        raise CannotTrainError(
            f"no worker of the cluster was free within {PATIENCE_SECONDS:.0f} s to time training: plan again when it "
            "has less to do, or name another in RAY_ADDRESS"
        )
    return ready, sizes, median(seconds)
