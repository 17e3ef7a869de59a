"""What a trial costs beside its training: whole sweeps of nearly nothing to train, and the decisions alone.

Sweeps go through Ray Tune, two workers, journal and state files; their trials are softmax regressions on 48 rows, so
that a trial's share of the time from the first pack to the last is orchestration. Idle workers are those of a search on
the digits, until its last new trial is handed out. Decisions are those of the ledger that the driver asks, in a
simulation: draws, rungs, promotions, packs and their results, without anything around them.
"""

from __future__ import annotations

import math
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from benchmarks.contest import CAVIAR, Contest
from benchmarks.harness import Result, goal, main
from benchmarks.search import search
from benchmarks.sweep_vs_peers import BATCH_SIZES, digits
from tuner.engine.connect import ray_cluster
from tuner.engine.ledger import Ledger
from tuner.engine.packing import CostModel
from tuner.engine.records import Terms
from tuner.search import samplers, stopping
from tuner.search.space import Axis, Choice, LogUniform, Space
from tuner.trial import Pack, Row, Stage

WORKERS = 8  # of the simulation
SWEEPS, DIGITS, DECISIONS = (100, 1_000, 10_000), 400, (10_000, 100_000, 1_000_000)


def run(quick: bool = False) -> Result:
    """All three parts."""
    return measure((50, 200), 20, (1_000, 10_000)) if quick else measure(SWEEPS, DIGITS, DECISIONS)


def measure(sweeps: tuple[int, ...], trials: int, decisions: tuple[int, ...]) -> Result:
    """`sweeps` and `decisions` by number of trials; `idle` of a search on the digits with `trials` trials."""
    found: Result = {"sweeps": {}}
    with tempfile.TemporaryDirectory(prefix="caviar-bench-") as name:
        home = Path(name)
        with ray_cluster(home):
            for count in sweeps:
                found["sweeps"][str(count)] = sweep(nothing(home, count), home, f"s{count}", count)
            contest = Contest("digits", digits(home), trials, 27, BATCH_SIZES, 0)
            found["idle"] = round(search(contest.spec(CAVIAR["caviar"]), home, "digits").idle(), 3)
    found["decisions"] = {str(count): decide(count) for count in decisions}
    return {**found, "goals": goals(found)}


def nothing(folder: Path, trials: int) -> dict[str, Any]:
    """A spec of trials that take well below a millisecond an epoch."""
    draw = np.random.default_rng(0)
    X = draw.standard_normal((80, 4))
    np.savez(folder / "nothing.npz", X=X, y=X[:, 0] > 0)
    data = {"source": str(folder / "nothing.npz"), "validation": {"fraction": 0.2}, "holdout": {"fraction": 0.2}}
    return {
        "name": "nothing",
        "data": data,
        "model": {"hidden_layers": 0},
        "train": {"optimizer": "momentum", "learning_rate": {"log_uniform": [1e-3, 0.1]}, "batch_size": 32},
        "search": {"sampler": "random", "trials": trials, "seed": 0},
        "stopping": {"asha": {"min_epochs": 1, "max_epochs": 9, "reduction": 3}},
        "objective": {"confirm": 0, "baseline": False},
    }


def sweep(spec: dict[str, Any], home: Path, name: str, trials: int) -> Result:
    """Milliseconds a trial, and seconds that went into training itself."""
    found = search(spec, home, name)
    return {
        "ms_per_trial": round(found.seconds / trials * 1e3, 3),
        "packs": len(found.done),
        "seconds": round(found.seconds, 3),
        "training_seconds": round(found.training, 3),
    }


def decide(trials: int) -> Result:
    """Microseconds of CPU a decision (one trial at one rung), over all and in the last tenth of the search."""
    axes = (Axis("learning_rate", LogUniform(1e-4, 1.0)), Axis("batch_size", Choice((32, 64, 128))))
    space = Space(axes, {"hidden_layers": 0})
    cost = CostModel(inputs=64, classes=10, rows=1_000, shape_of=lambda trial: trial.params["batch_size"])
    terms = Terms(seed=0, trials=trials, confirm=0, baseline=False)
    ledger = Ledger(terms, space, samplers.make("random", space, 0, trials), stopping.make("asha", 1, 27, 3), cost)
    random, decided = Random(0), 0
    spent = asked = 0.0
    marks = [(0, 0.0)]
    while True:
        began = time.process_time()
        while len(ledger.open) < WORKERS and ledger.ask(WORKERS):
            pass
        asked += time.process_time() - began
        if not ledger.open:
            break
        pack = ledger.open[random.choice(list(ledger.open))]
        rows = results(pack, random)
        began = time.process_time()
        ledger.tell(pack.id, rows, [(pack.trials[0].id, len(rows), 5e-3 * len(rows))])
        ledger.take_changes()
        spent += time.process_time() - began
        decided += len(pack.trials)
        if decided - marks[-1][0] > trials // 50 and ledger.stage is Stage.SEARCH:  # its end is one long decision
            marks.append((decided, spent + asked))
    end = marks[-1]
    late = next(mark for mark in reversed(marks) if mark[0] <= 0.9 * end[0])
    return {
        "us_per_decision": round((spent + asked) / decided * 1e6, 1),
        "us_in_the_last_tenth": round((end[1] - late[1]) / (end[0] - late[0]) * 1e6, 1),
        "decisions": decided,
        "packs": ledger.packs,
    }


def results(pack: Pack, random: Random) -> list[Row]:
    """What a worker would return: learning curves with their optimum at a learning rate of 0.03."""
    optimum = {trial.id: abs(math.log10(float(trial.params["learning_rate"]) / 0.03)) for trial in pack.trials}
    return [
        Row(trial, epoch, 0.5, loss + random.random() / epoch, 0.5, 0.1)
        for trial, loss in optimum.items()
        for epoch in range(pack.from_epoch + 1, pack.to_epoch + 1)
    ]


def goals(found: Result) -> list[Result]:
    """What was asked, and what was measured."""
    *_, small, large = ((int(trials), one["ms_per_trial"]) for trials, one in found["sweeps"].items())
    first, *_, last = found["decisions"].items()
    growth = last[1]["us_per_decision"] / first[1]["us_per_decision"]
    slowest = max(last[1]["us_per_decision"], last[1]["us_in_the_last_tenth"])
    return [
        goal(f"at most 6 ms a trial at {small[0]:,} trials", f"{small[1]:.2g} ms", small[1] <= 6),
        goal(f"flat after: no more at {large[0]:,}", f"{large[1]:.2g} ms", large[1] <= 1.1 * small[1]),
        goal(f"at most 100 us a decision at {int(last[0]):,} trials", f"{slowest:.0f} us", slowest <= 100),
        goal(f"flat from {int(first[0]):,} trials on", f"{growth:.2f} times", growth <= 1.5),
        goal("workers idle at most 10% before the search drains", f"{found['idle']:.0%}", found["idle"] <= 0.1),
    ]


def sentence(result: Result) -> str:
    """The result in words."""
    sweeps = ", ".join(f"{one['ms_per_trial']:.2g} ms at {int(n):,}" for n, one in result["sweeps"].items())
    decisions = ", ".join(f"{one['us_per_decision']:.0f} us at {int(n):,}" for n, one in result["decisions"].items())
    return (
        f"Orchestration takes {sweeps} a trial (trials in the sweep), a decision {decisions}; workers are idle "
        f"{result['idle']:.0%} of the time before the search drains."
    )


def table(result: Result) -> list[Result]:
    """One record a size."""
    sweeps = [
        {
            "what": "sweep of nothing",
            "trials": f"{int(trials):,}",
            "a trial": f"{one['ms_per_trial']} ms",
            "packs": one["packs"],
        }
        for trials, one in result["sweeps"].items()
    ]
    return sweeps + [
        {
            "what": "decisions alone",
            "trials": f"{int(trials):,}",
            "a trial": f"{one['us_per_decision']} us a decision, {one['us_in_the_last_tenth']} in the last tenth",
            "packs": one["packs"],
        }
        for trials, one in result["decisions"].items()
    ]


if __name__ == "__main__":
    main(run, sentence)
