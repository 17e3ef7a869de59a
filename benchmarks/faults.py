"""Whether anything is ever lost: sweeps on three hosts, to which faults happen at random moments, until they end.

The hosts are network namespaces of this machine (that takes root), with PostgreSQL behind MLflow. Each sweep has a
seed of its own for what happens and when: worker processes, drivers, worker hosts and the head are killed, a host is
cut off and comes back, MLflow is away for a minute, a worker is killed every five seconds for a minute. After each
fault the sweep is submitted once more, as somebody would who finds it ended. In the end everything that the search
drew must be trained, once, and every number must be in MLflow, once.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
import yaml

from benchmarks.harness import Result, goal, main
from benchmarks.sweep_vs_peers import digits
from tests.outcome import complaints
from tests.three_hosts import WORKERS, Cluster, wait_until
from tuner.engine.journal import Journal

SWEEPS, FAULTS = 3, 3  # a sweep, before it is left alone
COPIES = 16  # of the digits: packs then take seconds
PAUSE_SECONDS = 8.0  # at most, between a sweep's recovery and the next fault
END_SECONDS = 400.0


def run(quick: bool = False) -> Result:
    """One sweep with one fault, or SWEEPS of them with FAULTS each."""
    return measure((0,), 1, long=False) if quick else measure(range(SWEEPS), FAULTS, long=True)


def measure(seeds: range | tuple[int, ...], faults: int, *, long: bool) -> Result:
    """What happened to the sweep of each seed, and what it lost. `long`: a minute where the text above says so."""
    found = []
    with tempfile.TemporaryDirectory(prefix="caviar-faults-") as name:
        cluster = Cluster(Path(name))
        try:
            _write(cluster.folder, trials=96 if long else 12)
            cluster.turn_on("head", *WORKERS, "client")
            for seed in seeds:
                found.append({"seed": seed, **one(cluster, f"sweep-{seed}", Random(seed), faults, long=long)})
        finally:
            cluster.close()
    return {"sweeps": found, "goals": goals(found)}


def one(cluster: Cluster, sweep: str, random: Random, faults: int, *, long: bool) -> Result:
    """A sweep that faults happen to: their names, the seconds it took in all, and what is wrong in the end."""
    nemesis = Nemesis(cluster, random, 60.0 if long else 5.0)
    began, happened = time.monotonic(), list[str]()
    kinds = nemesis.kinds()
    for name in random.sample(list(kinds), faults):
        _submit(cluster, sweep)
        wait_until(lambda: cluster.trainers() or _ended(cluster, sweep), 120, what="training to begin")
        time.sleep(random.uniform(0.0, PAUSE_SECONDS if long else 0.5))
        happened.append(name + " (after its end)" * _ended(cluster, sweep))
        kinds[name]()
    _submit(cluster, sweep)
    wait_until(lambda: _ended(cluster, sweep) and not cluster.drivers(), END_SECONDS, what=f"{sweep} to end")
    wrong = complaints(cluster.storage.child(f"sweeps/{sweep}"), cluster.database)
    return {"faults": happened, "seconds": round(time.monotonic() - began, 1), "wrong": wrong}


class Nemesis:
    """Does harm to a cluster, and makes it whole again. What it does is random, where there is a choice."""

    def __init__(self, cluster: Cluster, random: Random, seconds: float) -> None:
        self._cluster = cluster
        self._random = random
        self._seconds = seconds  # how long lasts what takes its time

    def kinds(self) -> dict[str, Callable[[], None]]:
        """What it can do, by the name of what is hit."""
        return {
            "worker process every 5 s": self.workers,
            "driver": self.driver,
            "worker host cut off": self.cut,
            "worker host without power": self.worker_host,
            "head without power": self.head,
            "MLflow away": self.mlflow,
        }

    def workers(self) -> None:
        until = time.monotonic() + self._seconds
        while time.monotonic() < until:
            for process in self._cluster.trainers()[:1]:
                process.kill()
            time.sleep(5.0)

    def driver(self) -> None:
        for process in self._cluster.drivers():
            process.kill()
        wait_until(lambda: not self._cluster.drivers())

    def cut(self) -> None:
        name = self._random.choice(WORKERS)
        self._cluster.cut(name)
        time.sleep(self._random.uniform(1.0, 15.0))
        self._cluster.mend(name)
        time.sleep(3.0)
        if not self._cluster.is_worker(name):
            self._cluster.join(name)

    def worker_host(self) -> None:
        name = self._random.choice(WORKERS)
        self._cluster.kill(name)
        time.sleep(self._random.uniform(0.0, 10.0))
        self._cluster.turn_on(name)

    def head(self) -> None:
        self._cluster.kill("head")
        self._cluster.turn_on("head", rejoin=WORKERS)

    def mlflow(self) -> None:
        bring_back = self._cluster.take_mlflow_away()
        time.sleep(self._seconds)
        bring_back()


def _write(folder: Path, trials: int) -> None:
    """The spec, and the data that it names."""
    with np.load(digits(folder)["source"]) as rows:
        np.savez(folder / "rows.npz", X=np.tile(rows["X"], (COPIES, 1)), y=np.tile(rows["y"], COPIES))
    spec = {
        "name": "faults",
        "data": {"source": "rows.npz"},
        "model": {"hidden_layers": {"int": [1, 2]}, "hidden_units": {"log_int": [64, 192]}},
        "train": {"batch_size": 16, "epoch_rows": 8 * 1024},
        "search": {"trials": trials},
        "stopping": {"asha": {"max_epochs": 9}},
        "objective": {"confirm": 1, "seeds": 2, "baseline": False},
    }
    (folder / "spec.yaml").write_text(yaml.safe_dump(spec), encoding="utf-8")


def _submit(cluster: Cluster, sweep: str) -> None:
    cluster.ask("submit", "spec.yaml", "--id", sweep)


def _ended(cluster: Cluster, sweep: str) -> bool:
    """Whether the sweep has its result."""
    entries = [entry["kind"] for _, entry in Journal(cluster.storage.child(f"sweeps/{sweep}")).entries()]
    return "result" in entries


def goals(found: list[Result]) -> list[Result]:
    """What was asked, and what came of it."""
    whole = sum(not one["wrong"] for one in found)
    faults = sum(len(one["faults"]) for one in found)
    told = f"{whole} of {len(found)} lost nothing in {faults} faults"
    return [goal("nothing lost or doubled, whatever is killed", told, whole == len(found))]


def sentence(result: Result) -> str:
    """The result in words."""
    found = result["sweeps"]
    whole = sum(not one["wrong"] for one in found)
    return f"{whole} of {len(found)} sweeps lost nothing and have nothing twice, whatever was killed."


def table(result: Result) -> list[Result]:
    """What happened to each sweep."""
    return [
        {
            "seed": one["seed"],
            "faults, in order": ", ".join(one["faults"]),
            "seconds": f"{one['seconds']:.0f}",
            "lost or doubled": len(one["wrong"]) or "nothing",
        }
        for one in result["sweeps"]
    ]


if __name__ == "__main__":
    main(run, sentence)
