"""Whether `caviar plan` foretells what `caviar run` takes: wall time, epochs and disk, on the digits and the flights.

Each spec is planned and then run, as commands in the same home, one after the other, so that both find the machine
alike. Times are of the whole command. Disk is what is in the storage afterwards: states, journal, snapshot, model and
report.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from benchmarks.flights_vs_peers import FLIGHTS, build
from benchmarks.harness import Result, goal, main, middle
from benchmarks.harness import measure as measured
from benchmarks.start import CAVIAR_COMMAND
from benchmarks.sweep_vs_peers import digits

EXAMPLES = Path(__file__).parent.parent / "examples"
NEAR = 0.3  # of the real time


def run(quick: bool = False) -> Result:
    """Each spec three times, with other seeds."""
    with tempfile.TemporaryDirectory(prefix="caviar-bench-") as name:
        data = digits(Path(name))
        if quick:
            return measure({"digits": small(data)}, 1)
        if not any(FLIGHTS.glob("*.parquet")):
            build()
        specs = {"digits": of_digits(data), "digits, 400 trials": of_digits(data, 400), "flights": of_flights()}
        return measure(specs, 3)


def small(data: Mapping[str, Any]) -> dict[str, Any]:
    """A sweep of seconds."""
    return {**of_digits(data, 4), "stopping": {"asha": {"max_epochs": 3}}, "objective": {"confirm": 1, "seeds": 1}}


def of_digits(data: Mapping[str, Any], trials: int = 32) -> dict[str, Any]:
    """The example, on rows that are at hand."""
    spec = yaml.safe_load((EXAMPLES / "digits.yaml").read_text(encoding="utf-8"))
    return {**spec, "data": dict(data), "search": {**spec["search"], "trials": trials}}


def of_flights() -> dict[str, Any]:
    """The demo, three months."""
    spec = yaml.safe_load((EXAMPLES / "flights/demo.yaml").read_text(encoding="utf-8"))
    return {**spec, "data": {**spec["data"], "source": str(FLIGHTS / "2013-0[1-3].parquet")}}


def measure(specs: Mapping[str, Mapping[str, Any]], runs: int) -> Result:
    """`sweeps` by name: what was planned, and what it was, of each run."""
    sweeps = {name: [once(spec, seed) for seed in range(runs)] for name, spec in specs.items()}
    return {"sweeps": sweeps, "goals": goals(sweeps)}


def once(spec: Mapping[str, Any], seed: int) -> Result:
    """Plans and runs the spec with search.seed `seed` in an empty home."""
    with tempfile.TemporaryDirectory(prefix="caviar-bench-") as name:
        folder = Path(name)
        asked = {**spec, "search": {**spec["search"], "seed": seed}}
        (folder / "spec.yaml").write_text(yaml.safe_dump(asked), encoding="utf-8")
        env = {"CAVIAR_HOME": str(folder / "home")}
        planning = measured([CAVIAR_COMMAND, "plan", "spec.yaml", "--json"], folder, env)
        running = measured([CAVIAR_COMMAND, "run", "spec.yaml", "--json"], folder, env)
        planned, figures = planning.answer, running.answer
        stored = sum(file.stat().st_size for file in (folder / "home/storage").rglob("*") if file.is_file())
    return {
        "planned": {key: round(seconds, 2) for key, seconds in planned["whole"].items()},
        "seconds": round(running.seconds, 2),
        "planning": round(planning.seconds, 2),
        "epochs": [planned["epochs"], figures["epochs"]],
        "disk_mib": [round(size / 2**20, 2) for size in (planned["disk"], stored)],
        "peak_mib": [round(planned["memory"] / 2**20), round(running.peak_mib)],
    }


def goals(sweeps: Mapping[str, list[Result]]) -> list[Result]:
    """What was asked, and what was measured."""
    found = []
    for name, runs in sweeps.items():
        worst = max((error(one) for one in runs), key=abs)
        asked = f"{name}: planned wall time within {NEAR:.0%} of the real one, each time"
        found.append(goal(asked, f"{worst:+.0%} at worst", abs(worst) <= NEAR))
    return found


def error(one: Result) -> float:
    """By which part of the real time the plan was too long."""
    return float(one["planned"]["expected"] / one["seconds"] - 1)


def sentence(result: Result) -> str:
    """The times side by side."""
    told = [
        f"{name} {middle([one['planned']['expected'] for one in runs]):.1f} s "
        f"and {middle([one['seconds'] for one in runs]):.1f} s"
        for name, runs in result["sweeps"].items()
    ]
    return f"Planned and real wall times, medians: {', '.join(told)}."


def table(result: Result) -> list[Result]:
    """One record a run."""
    return [
        {
            "sweep": name,
            "planned": f"{one['planned']['expected']:.1f} s",
            "range": f"{one['planned']['low']:.1f} to {one['planned']['high']:.1f} s",
            "real": f"{one['seconds']:.1f} s",
            "error": f"{error(one):+.0%}",
            "planning took": f"{one['planning']:.1f} s",
            "epochs, planned and real": "{:,} and {:,}".format(*one["epochs"]),
            "MiB of disk": "{} and {}".format(*one["disk_mib"]),
            "MiB of memory": "{} and {}".format(*one["peak_mib"]),
        }
        for name, runs in result["sweeps"].items()
        for one in runs
    ]


if __name__ == "__main__":
    main(run, sentence)
