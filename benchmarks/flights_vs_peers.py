"""How soon each search is as good as stock Ray Tune at its end: one month of flights, and the whole year.

The time runs from the start of the command to the first evaluation whose validation loss is no worse than the best
that Ray Tune (actors reused, MLflow on) finds in its whole search. The question is when, not in how many trials: Caviar
may draw more of them than its peers.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median_high
from typing import Any

from benchmarks.contest import WORDS, Contest, Entry, hold
from benchmarks.harness import Result, goal, main, times

ROOT = Path(__file__).parent.parent
FLIGHTS = ROOT / "data/flights"
BATCH_SIZES = (256, 512, 1024)
REFERENCE = "ray_reuse"


@dataclass(frozen=True, slots=True)
class Season:
    """Files of flights, the days at their end that trials are compared on, and the search.

    The peers draw `trials`, Caviar `more` times as many, once for each of its `seeds`.
    """

    name: str
    files: str
    days: int
    trials: int
    more: int
    epochs: int
    seeds: int


FULL = (
    Season("one month", "2013-01.parquet", days=7, trials=32, more=4, epochs=27, seeds=3),
    Season("the year", "*.parquet", days=14, trials=8, more=2, epochs=9, seeds=1),
)
QUICK = (Season("one month", "2013-01.parquet", days=7, trials=4, more=2, epochs=3, seeds=1),)


def run(quick: bool = False) -> Result:
    """All seasons; `seconds_to_best` by season and contender, null where it was never as good."""
    if not any(FLIGHTS.glob("*.parquet")):
        build()
    if quick:  # Ray Tune takes longer to start than all the rest
        return compare(QUICK, ("optuna_random",), FLIGHTS)
    return compare(FULL, (REFERENCE, "optuna_random"), FLIGHTS)


def compare(seasons: Sequence[Season], peers: Sequence[str], folder: Path) -> Result:
    """The first of `peers` sets the loss to reach; they are slow and search once, Caviar once a seed."""
    found: dict[str, Result] = {}
    for season in seasons:
        entries = hold(contest(season, folder, 0), peers)
        larger = replace(season, trials=season.trials * season.more)
        ours = [hold(contest(larger, folder, seed), ["caviar"])["caviar"] for seed in range(season.seeds)]
        found[season.name] = summary(entries, ours, peers[0])
    return {"seasons": found, "goals": goals(found, peers[0])}


def contest(season: Season, folder: Path, seed: int) -> Contest:
    """The search of a season. Rows are split by time, so that they are the same for every seed."""
    data: dict[str, Any] = {
        "source": str(folder / season.files),
        "target": "delay_class",
        "time": "time_hour",
        "validation": {"last": f"{season.days} days"},
        "holdout": {"last": f"{season.days} days"},
    }
    return Contest("flights", data, season.trials, season.epochs, BATCH_SIZES, seed)


def build() -> None:
    """Makes the files of flights, as the README says."""
    command = [sys.executable, str(ROOT / "examples/flights/build.py"), "--out", str(FLIGHTS)]
    subprocess.run(command, check=True, stdout=sys.stderr)


def summary(entries: dict[str, Entry], ours: Sequence[Entry], reference: str) -> Result:
    """What each contender took, and when it was as good as `reference` at its end; of Caviar's runs the median one.

    With an even number of runs that is the later one of the two in the middle.
    """
    target = entries[reference].answer.best
    late = [(entry.seconds_to(target) or float("inf"), number) for number, entry in enumerate(ours)]
    chosen = ours[median_high(late)[1]]
    shown = {**entries, "caviar": chosen}
    return {
        "target_loss": round(target, 5),
        "contenders": {name: entry.figures for name, entry in shown.items()},
        "seconds_to_target": {name: entry.seconds_to(target) for name, entry in shown.items()},
        "caviar_each": [entry.seconds_to(target) for entry in ours],
    }


def goals(seasons: dict[str, Result], reference: str) -> list[Result]:
    """Five times sooner than stock Ray Tune."""
    found = []
    for name, one in seasons.items():
        ours, theirs = one["seconds_to_target"]["caviar"], one["seconds_to_target"][reference]
        measured = "never as good" if ours is None else f"{times(theirs, ours):g} times as fast"
        met = ours is not None and theirs >= 5 * ours
        found.append(goal(f"{name} of flights: 5 times as fast to the best loss of {WORDS[reference]}", measured, met))
    return found


def table(result: Result) -> list[Result]:
    """One row a season and contender."""
    return [
        {
            "flights": season,
            "": WORDS[name],
            "trials": entry["trials"],
            "epochs": entry["epochs"],
            "seconds in all": f"{entry['seconds']:.1f}",
            "best loss": f"{entry['best_loss']:.4f}",
            "loss to reach": f"{one['target_loss']:.4f}",
            "seconds to it": _told(one["seconds_to_target"][name]),
        }
        for season, one in result["seasons"].items()
        for name, entry in one["contenders"].items()
    ]


def sentence(result: Result) -> str:
    """The times to the target, season by season."""
    parts = []
    for season, one in result["seasons"].items():
        told = [f"{WORDS[name]} {_told(seconds)}" for name, seconds in one["seconds_to_target"].items()]
        parts.append(f"{season} of flights, seconds to a loss of {one['target_loss']:.4f}: {', '.join(told)}.")
    return " ".join(parts)


def _told(seconds: float | None) -> str:
    return "never" if seconds is None else f"{seconds:.1f}"


if __name__ == "__main__":
    main(run, sentence)
