"""What it costs to share a cluster: one sweep of 400 trials, and two of 200 at the same time, on the same workers.

Both are `caviar run` as users run it, on one Ray that is up before; times are of the whole commands, until the last has
ended. Two drivers import and decide twice, and a worker that changes hands is a new process. The two kinds take turns.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

from benchmarks.harness import Result, goal, main, middle
from benchmarks.sweep_vs_peers import digits
from tuner.engine.connect import ray_cluster

TRIALS, ROUNDS = 400, 5
LIMIT_SECONDS = 300.0  # for one of the commands
KINDS = {"alone": "one sweep with all trials", "both": "two with half of them, at once"}


def run(quick: bool = False) -> Result:
    """Five rounds of 400 trials."""
    return measure(8, 1) if quick else measure(TRIALS, ROUNDS)


def measure(trials: int, rounds: int) -> Result:
    """Seconds of all rounds by kind, and how many times the median of one kind the other's is."""
    seconds: dict[str, list[float]] = {kind: [] for kind in KINDS}
    with tempfile.TemporaryDirectory(prefix="caviar-bench-") as name:
        home = Path(name)
        data = digits(home)
        with ray_cluster(home):
            import ray

            env = {
                **os.environ,
                "RAY_ADDRESS": ray.get_runtime_context().gcs_address,
                "CAVIAR_HOME": str(home / "home"),
            }
            sweeps(home, env, data, {"warm-up": 2})
            for number in range(rounds):
                halves = {f"{side}-{number}": trials // 2 for side in ("left", "right")}
                seconds["alone"].append(sweeps(home, env, data, {f"alone-{number}": trials}))
                seconds["both"].append(sweeps(home, env, data, halves))
    ratio = round(middle(seconds["both"]) / middle(seconds["alone"]), 3)
    return {"trials": trials, "seconds": seconds, "ratio": ratio, "goals": goals(trials, ratio)}


def sweeps(home: Path, env: dict[str, str], data: dict[str, Any], trials: dict[str, int]) -> float:
    """Seconds until the last of the sweeps has ended; their trials by name. RuntimeError if one fails."""
    for name, count in trials.items():
        (home / f"{name}.yaml").write_text(yaml.safe_dump(spec(name, data, count)), encoding="utf-8")
    caviar = str(Path(sys.executable).with_name("caviar"))
    began = time.perf_counter()
    with (home / "commands.log").open("ab") as log:
        commands = [
            subprocess.Popen([caviar, "run", f"{name}.yaml", "--id", name], cwd=home, env=env, stdout=log, stderr=log)
            for name in trials
        ]
        try:
            codes = [command.wait(LIMIT_SECONDS) for command in commands]
        finally:
            for command in commands:
                command.kill()
    if any(codes):
        raise RuntimeError(f"caviar run ended with {codes}:\n{(home / 'commands.log').read_text()[-3000:]}")
    return round(time.perf_counter() - began, 3)


def spec(name: str, data: dict[str, Any], trials: int) -> dict[str, Any]:
    """Trials that are worth about a tenth of a second each."""
    return {
        "name": name,
        "data": data,
        "model": {"hidden_layers": 1, "hidden_units": {"log_int": [32, 128]}},
        "train": {"batch_size": 32},
        "search": {"trials": trials},
        "stopping": {"asha": {"max_epochs": 27}},
        "objective": {"confirm": 0, "baseline": False},
    }


def goals(trials: int, ratio: float) -> list[Result]:
    """What was asked, and what was measured."""
    asked = f"two sweeps of {trials // 2} trials at once take at most 1.3 times as long as one of {trials}"
    return [goal(asked, f"{ratio:.2f} times", ratio <= 1.3)]


def sentence(result: Result) -> str:
    """The result in words."""
    alone, both = (middle(result["seconds"][kind]) for kind in KINDS)
    trials = result["trials"]
    return (
        f"One sweep of {trials} trials takes {alone:.1f} s, two of {trials // 2} at once {both:.1f} s: "
        f"{result['ratio']:.2f} times as long."
    )


def table(result: Result) -> list[Result]:
    """Medians and extremes."""
    return [
        {
            "": told,
            "seconds": f"{middle(result['seconds'][kind]):.1f}",
            "from": f"{min(result['seconds'][kind]):.1f}",
            "to": f"{max(result['seconds'][kind]):.1f}",
            "runs": len(result["seconds"][kind]),
        }
        for kind, told in KINDS.items()
    ]


if __name__ == "__main__":
    main(run, sentence)
