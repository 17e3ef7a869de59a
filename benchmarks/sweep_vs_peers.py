"""One search with Caviar and with its peers: digits, 64 and 1,000 trials of at most 27 epochs, reduction 3.

Every contender searches the same space on the same training and validation rows, as a command of its own, on the same
cores, one after the other. Times are of the whole command: imports, Ray's start, the search, and its end. What is slow
was run once, or with fewer trials, as the table says; other figures are medians over runs with different seeds.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.contest import WORDS, Contest, Entry, hold
from benchmarks.harness import Result, goal, main, middle, times

BATCH_SIZES = (32, 64, 128, 256)


@dataclass(frozen=True, slots=True)
class Round:
    """Who searches with how many trials; one run a seed. The figures told are medians over seeds."""

    trials: int
    seeds: int
    contenders: tuple[str, ...]
    epochs: int = 27


FULL = (
    Round(64, 5, ("caviar", "optuna_random")),
    Round(64, 1, ("caviar_full", "optuna_tpe", "sklearn_halving", "ray_reuse", "ray_reuse_no_mlflow")),
    Round(8, 1, ("ray",)),  # an actor a trial, one after the other: 64 need eight times as long, six minutes
    Round(1000, 3, ("caviar",)),
    Round(1000, 1, ("optuna_random", "ray_reuse")),  # a third of the half hour for everything
)
QUICK = (Round(4, 1, ("caviar", "ray_reuse"), epochs=3),)  # Optuna runs in flights_vs_peers


def run(quick: bool = False) -> Result:
    """All rounds; `searches` by number of trials and contender."""
    return compare(QUICK if quick else FULL)


def compare(rounds: Sequence[Round]) -> Result:
    """Holds the rounds, seed by seed."""
    searches: dict[str, dict[str, Result]] = {}
    with tempfile.TemporaryDirectory() as folder:
        data = digits(Path(folder))
        for one in rounds:
            entries = [
                hold(Contest("digits", data, one.trials, one.epochs, BATCH_SIZES, seed), one.contenders)
                for seed in range(one.seeds)
            ]
            for contender in one.contenders:
                found = searches.setdefault(str(one.trials), {})
                found[contender] = summary([entry[contender] for entry in entries])
    return {"searches": searches, "goals": goals(searches)}


def digits(folder: Path) -> dict[str, Any]:
    """scikit-learn's digits as the data section of a spec: three fifths to train on, a fifth to compare on."""
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    np.savez(folder / "digits.npz", X=X, y=y)
    return {"source": str(folder / "digits.npz"), "validation": {"fraction": 0.2}, "holdout": {"fraction": 0.2}}


def summary(entries: Sequence[Entry]) -> Result:
    """Medians over the runs, and each run's time and best loss."""
    figures = [entry.figures for entry in entries]
    medians = {name: middle([one[name] for one in figures]) for name in figures[0]}
    return {
        **medians,
        "runs": len(figures),
        "each_seconds": [one["seconds"] for one in figures],
        "each_best_loss": [one["best_loss"] for one in figures],
    }


def goals(searches: dict[str, dict[str, Result]]) -> list[Result]:
    """The goals whose contenders took part."""
    found = []
    for trials, peer, least in (
        ("1000", "ray_reuse", 10.0),
        ("1000", "optuna_random", 4.0),
        ("64", "optuna_random", 1),
    ):
        entries = searches.get(trials, {})
        if peer in entries and "caviar" in entries:
            ratio = times(entries[peer]["seconds"], entries["caviar"]["seconds"])
            name = f"{int(trials):,} trials: at least {least:g} times as fast as {WORDS[peer]}"
            found.append(goal(name, f"{ratio:g} times", ratio >= least))
            ours, theirs = entries["caviar"]["best_loss"], entries[peer]["best_loss"]
            name = f"{int(trials):,} trials: best loss no worse than that of {WORDS[peer]}"
            found.append(goal(name, f"{ours:.4f} and {theirs:.4f}", ours <= theirs))
    return found


def table(result: Result) -> list[Result]:
    """One row a contender and number of trials."""
    return [
        {
            "trials": f"{int(trials):,}",
            "": WORDS[contender],
            "seconds": f"{one['seconds']:.1f}",
            "CPU seconds": f"{one['cpu_seconds']:.0f}",
            "peak MiB": f"{one['peak_mib']:.0f}",
            "epochs": f"{one['epochs']:,.0f}",
            "best loss": f"{one['best_loss']:.4f}",
            "runs": one["runs"],
        }
        for trials, entries in sorted(result["searches"].items(), key=lambda item: int(item[0]))
        for contender, one in sorted(entries.items(), key=lambda item: item[1]["seconds"])
    ]


def sentence(result: Result) -> str:
    """The times side by side."""
    parts = []
    for trials, entries in sorted(result["searches"].items(), key=lambda item: int(item[0])):
        ours = entries.get("caviar")
        told = [
            f"{WORDS[name]} {one['seconds']:.1f} s"
            + (f" ({times(one['seconds'], ours['seconds']):g} times as long)" if ours and one is not ours else "")
            for name, one in entries.items()
        ]
        parts.append(f"{int(trials):,} trials: {', '.join(told)}.")
    return " ".join(parts)


if __name__ == "__main__":
    main(run, sentence)
