"""What MLflow costs: requests and CPU a trial, the sweep's time with tracking on and off, and whether all arrived.

The same search on the digits, in turn without and with an embedded store (SQLite in WAL mode, a new one each time),
from the making of the sweep to the last number in MLflow. CPU is that of the whole publishing process, its imports and
the making of MLflow's tables included: it is the only child that ends meanwhile, so the kernel counts it exactly.
Requests are those in the access log of a real MLflow server that the same search is published to, the sweep's own and
its artifacts included, over the number of trials. A metric is lost if a finite number of the journal is not in MLflow's
database at its trial and epoch with the same value, to the last bit.
"""

from __future__ import annotations

import math
import resource
import sqlite3
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.contest import CAVIAR, Contest
from benchmarks.harness import Result, goal, main, middle
from benchmarks.mlflow_server import mlflow_server
from benchmarks.search import search
from benchmarks.sweep_vs_peers import BATCH_SIZES, digits
from tuner.engine.connect import ray_cluster
from tuner.engine.journal import Entry, rows_from_json
from tuner.engine.tracking import embedded_uri

METRICS = ("train_loss", "val_loss", "val_accuracy", "learning_rate")
LOGGED = """
    SELECT tags.value, metrics.step, metrics.key, metrics.value FROM metrics
    JOIN tags ON tags.run_uuid = metrics.run_uuid AND tags.key = 'caviar.trial'
"""


@dataclass(frozen=True, slots=True)
class One:
    """One search: its wall time, the CPU time of the publishing process, and the journal it left."""

    seconds: float
    cpu_seconds: float
    entries: list[Entry]


def run(quick: bool = False) -> Result:
    """Searches of 1,000 trials, three of each kind."""
    return measure(16, 1, epochs=3) if quick else measure(1_000, 3, epochs=27)


def measure(trials: int, pairs: int, epochs: int) -> Result:
    """`seconds` of each search by kind; the rest are medians and sums over the tracked ones."""
    with tempfile.TemporaryDirectory(prefix="caviar-bench-") as name:
        home = Path(name)
        spec = Contest("digits", digits(home), trials, epochs, BATCH_SIZES, 0).spec(CAVIAR["caviar"])
        off, on, lost = list[One](), list[One](), list[tuple[int, int]]()
        with ray_cluster(home):
            once({**spec, "search": {**spec["search"], "trials": 2}}, home, "warm-up")
            for pair in range(pairs):
                store = home / f"store{pair}"
                store.mkdir()
                off.append(once(spec, home, f"off{pair}"))
                on.append(once(spec, home, f"on{pair}", embedded_uri(store)))
                lost.append(compare(on[-1].entries, store / "mlflow.db"))
            with mlflow_server(home) as server:
                served = once(spec, home, "served", server.uri)
                asked = server.requests()
                lost.append(compare(served.entries, server.database))
    both = {"off": off, "on": on}
    found: Result = {
        "trials": trials,
        "seconds": {kind: [round(each.seconds, 2) for each in ones] for kind, ones in both.items()},
        "cpu_seconds": {kind: [round(each.cpu_seconds, 3) for each in ones] for kind, ones in both.items()},
        "cpu_ms_per_trial": middle([each.cpu_seconds / trials * 1e3 for each in on]),
        "requests_per_trial": round(asked.total() / trials, 2),
        "requests": dict(asked.most_common()),
        "metrics": sum(wanted for wanted, _ in lost),
        "lost": sum(missing for _, missing in lost),
    }
    found["slower"] = round(middle(found["seconds"]["on"]) / middle(found["seconds"]["off"]) - 1, 3)
    return {**found, "goals": goals(found)}


def once(spec: dict[str, Any], home: Path, name: str, tracking: str | None = None) -> One:
    """One search, until MLflow has all of it."""
    cpu, clock = children_seconds(), time.perf_counter()
    found = search(spec, home, name, tracking)
    return One(time.perf_counter() - clock, children_seconds() - cpu, found.entries)


def children_seconds() -> float:
    """CPU seconds of the children of this process that have ended; Ray's live on."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def compare(entries: Sequence[Entry], database: Path) -> tuple[int, int]:
    """How many finite numbers the journal has, and how many of them MLflow lacks or has otherwise."""
    wanted = {
        (row.trial, row.epoch, key): getattr(row, key)
        for entry in entries
        if entry["kind"] in ("rows", "done")
        for row in rows_from_json(entry["rows"])
        for key in METRICS
        if math.isfinite(getattr(row, key))
    }
    with closing(sqlite3.connect(database)) as connection:
        logged = {(trial, step, key): value for trial, step, key, value in connection.execute(LOGGED)}
    return len(wanted), sum(logged.get(place) != value for place, value in wanted.items())


def goals(found: Result) -> list[Result]:
    """What was asked, and what was measured."""
    requests, cpu, trials = found["requests_per_trial"], found["cpu_ms_per_trial"], f"{found['trials']:,} trials"
    lost, total = found["lost"], found["metrics"]
    return [
        goal("at most 3 requests a trial", f"{requests:.2f}", requests <= 3),
        goal("at most 30 ms of CPU a trial", f"{cpu:.3g} ms", cpu <= 30),
        goal(f"at most 10% of the wall time at {trials}", f"{found['slower']:.1%}", found["slower"] <= 0.1),
        goal("no metric lost", f"{lost:,} of {total:,}", lost == 0 < total),
    ]


def sentence(result: Result) -> str:
    """The result in words."""
    off, on = (middle(result["seconds"][kind]) for kind in ("off", "on"))
    return (
        f"Publishing a sweep of {result['trials']:,} trials takes {result['requests_per_trial']:.2f} requests and "
        f"{result['cpu_ms_per_trial']:.3g} ms of CPU a trial, and the sweep takes {on:.1f} s instead of {off:.1f} s; "
        f"of {result['metrics']:,} numbers {result['lost']:,} were lost."
    )


def table(result: Result) -> list[Result]:
    """The requests by route."""
    return [
        {"request": f"`{route}`", "in all": f"{count:,}", "a trial": f"{count / result['trials']:.3f}"}
        for route, count in result["requests"].items()
    ]


if __name__ == "__main__":
    main(run, sentence)
