"""How long until something happens: `caviar --help`, and `caviar run` until its first epoch is trained.

Each run is a fresh process in an empty home, with a Ray of its own and with MLflow on; the kinds take turns. The time
of `caviar run` ends when the first epoch of the first trial (digits) has been trained and evaluated, so it is a little
more than the time to the first step. Beside it what it cannot do without: Ray's import and start alone, and after that
two workers that import torch, in a process that does nothing else.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

from benchmarks.contest import CAVIAR, Contest
from benchmarks.harness import Result, goal, main, middle
from benchmarks.harness import measure as measured
from benchmarks.sweep_vs_peers import BATCH_SIZES, digits
from tuner.engine.journal import Journal, rows_from_json
from tuner.engine.storage import Storage

CAVIAR_COMMAND = str(Path(sys.executable).with_name("caviar"))
TRIALS, EPOCHS = 16, 3
PHASES = {  # of `caviar run`: what has happened at the end of each
    "created": "spec read, snapshot made",
    "handed_out": "Ray started, first pack handed out",
    "trained": "first epoch trained",
}


def run(quick: bool = False) -> Result:
    """Three runs of each kind; `caviar --help` thrice as many."""
    return measure(1 if quick else 3)


def measure(runs: int) -> Result:
    """Seconds: all runs of each kind; those of `caviar run` up to the end of each phase."""
    helps, rays, workers = list[float](), list[float](), list[float]()
    sweeps: dict[str, list[float]] = {phase: [] for phase in PHASES}
    with tempfile.TemporaryDirectory(prefix="caviar-bench-") as name:
        folder = Path(name)
        contest = Contest("digits", digits(folder), TRIALS, EPOCHS, BATCH_SIZES, 0)
        for number in range(runs):
            helps += [seconds_of_help() for _ in range(3)]
            for phase, seconds in first_epoch(contest.spec(CAVIAR["caviar"]), folder / f"home{number}").items():
                sweeps[phase].append(seconds)
            bare = measured([sys.executable, "-m", "benchmarks.peers.bare_ray"], folder)
            rays.append(round(bare.answer["started"] - bare.began, 3))
            workers.append(round(bare.answer["workers"] - bare.answer["started"], 3))
    found = {"help": helps, "run": sweeps, "ray": rays, "workers": workers}
    return {**found, "goals": goals(found)}


def seconds_of_help() -> float:
    """`caviar --help` in a fresh process."""
    began = time.perf_counter()
    subprocess.run([CAVIAR_COMMAND, "--help"], check=True, capture_output=True, timeout=60)
    return round(time.perf_counter() - began, 3)


def first_epoch(spec: dict[str, Any], home: Path) -> dict[str, float]:
    """Seconds from the start of `caviar run` to the end of each phase."""
    home.mkdir()
    (home / "spec.yaml").write_text(yaml.safe_dump(spec), encoding="utf-8")
    usage = measured([CAVIAR_COMMAND, "run", "spec.yaml", "--json"], home, {"CAVIAR_HOME": str(home / "home")})
    sweep = Storage(home / "home/storage/sweeps" / usage.answer["sweep"])
    entries = [entry for _, entry in Journal(sweep).entries()]
    times = {
        "created": entries[0]["time"],
        "handed_out": next(entry["time"] for entry in entries if entry["kind"] == "pack"),
        "trained": min(
            row.time for entry in entries if entry["kind"] in ("rows", "done") for row in rows_from_json(entry["rows"])
        ),
    }
    return {phase: round(when - usage.began, 3) for phase, when in times.items()}


def goals(found: Result) -> list[Result]:
    """What was asked, and what was measured."""
    helped, trained = middle(found["help"]), middle(found["run"]["trained"])
    return [
        goal("`caviar --help` in at most 0.3 s", f"{helped:.2f} s", helped <= 0.3),
        goal("`caviar run` to the first training step in at most 12 s", f"{trained:.1f} s", trained <= 12),
    ]


def sentence(result: Result) -> str:
    """The result in words."""
    ray, workers = middle(result["ray"]), middle(result["workers"])
    return (
        f"`caviar --help` takes {middle(result['help']):.2f} s; `caviar run` has trained its first epoch after "
        f"{middle(result['run']['trained']):.1f} s. Ray alone takes {ray:.1f} s to import and start, two workers "
        f"that import torch after it {workers:.1f} s."
    )


def table(result: Result) -> list[Result]:
    """Medians and extremes."""
    kinds = {
        "`caviar --help`": result["help"],
        **{f"`caviar run`: {told}": result["run"][phase] for phase, told in PHASES.items()},
        "Ray alone: imported and started": result["ray"],
        "after that: two workers with torch": result["workers"],
    }
    return [
        {
            "until": kind,
            "seconds": f"{middle(seconds):.2f}",
            "from": f"{min(seconds):.2f}",
            "to": f"{max(seconds):.2f}",
            "runs": len(seconds),
        }
        for kind, seconds in kinds.items()
    ]


if __name__ == "__main__":
    main(run, sentence)
