"""What is searched to measure regret: a spec as users write it, and who trains its trials."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.flights_vs_peers import FLIGHTS
from benchmarks.flights_vs_peers import build as build_flights
from benchmarks.simulated import Trainer
from benchmarks.surfaces import KINDS, Surface
from benchmarks.sweep_vs_peers import digits as digits_data
from benchmarks.trained import Trained
from tuner.data.snapshot import Snapshot
from tuner.engine import build
from tuner.engine.ledger import Ledger
from tuner.spec import from_mapping

EPOCHS = 27
MODEL = {"hidden_layers": {"int": [0, 2]}, "hidden_units": {"log_int": [16, 64]}}
TRAIN = {"batch_size": {"choice": [128, 256]}}
EVERY = 8  # one in so many flights
OBJECTIVE = {"confirm": 0, "baseline": False}


@dataclass(frozen=True, slots=True)
class Problem:
    """A search space with the size of its networks, and a trainer for each seed of a search."""

    name: str
    sections: Mapping[str, Any]  # of a spec, but for `search` and `stopping`
    facts: Mapping[str, Any]  # as of a snapshot
    trainer: Callable[[int], Trainer]
    optimum: float | None = None  # where it is known

    def ledger(self, search: Mapping[str, Any], stopping: Mapping[str, Any]) -> Ledger:
        """The ledger of a search, before its first trial; the arguments are those sections of a spec."""
        sections = {"name": self.name, "objective": OBJECTIVE, **self.sections}
        return build.ledger(from_mapping({**sections, "search": search, "stopping": stopping}), self.facts)


def problem(name: str, folder: Path) -> Problem:
    """The problem by its name; its snapshot is made in `folder`, or found there."""
    if name in KINDS:
        return synthetic(name)
    return {"digits": digits, "flights": flights}[name](folder)


def synthetic(kind: str) -> Problem:
    """One of the made-up surfaces, over the default space, with networks as large as for digits."""
    sections = {"data": {"source": "none.npz"}}
    space = from_mapping({"name": kind, **sections}).space()
    facts = {"inputs": 64, "classes": list(range(10)), "rows": {"train": 1079}}
    return Problem(kind, sections, facts, lambda seed: Surface(kind, space, seed, EPOCHS), optimum=0.0)


def digits(folder: Path) -> Problem:
    """scikit-learn's digits; the same split for all seeds."""
    return real("digits", digits_data(folder), {}, folder)


def flights(folder: Path) -> Problem:
    """An eighth of the flights of January to March 2013; an epoch is 1,024 rows."""
    if not any(FLIGHTS.glob("*.parquet")):
        build_flights()
    rows = pd.concat([pd.read_parquet(FLIGHTS / f"2013-{month:02}.parquet") for month in (1, 2, 3)])
    rows.iloc[::EVERY].to_parquet(folder / "flights.parquet")
    parts = {"validation": {"last": "7 days"}, "holdout": {"last": "7 days"}}
    data = {"source": str(folder / "flights.parquet"), "target": "delay_class", "time": "time_hour", **parts}
    return real("flights", data, {"epoch_rows": 1024}, folder)


def real(name: str, data: Mapping[str, Any], train: Mapping[str, Any], folder: Path) -> Problem:
    """A problem whose trials are trained on the rows of `data`."""
    sections = {"data": data, "model": MODEL, "train": {**TRAIN, **train}}
    spec = from_mapping({"name": name, **sections})
    snapshot: Snapshot = build.snapshot(spec, folder / "snapshots")
    return Problem(name, sections, build.facts(snapshot), lambda seed: Trained(snapshot, seed, spec.train.epoch_rows))
