"""What all benchmarks share: a command measured as a whole tree of processes, the machine, and how a result is told."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

import psutil

SAMPLE_SECONDS = 0.4  # what a process uses between its last sample and its end is not seen
MEMORY_EVERY = 4  # samples; reading a process's memory maps costs it a millisecond or two
LINGER_SECONDS = 15.0  # for what a contender leaves behind (Ray's daemons), so that it doesn't disturb the next one
INHERITED = ("CAVIAR_", "MLFLOW_", "RAY_", "TUNE_", "OMP_", "MKL_")  # settings of ours that no contender may see
PACKAGES = ("caviar", "ray", "mlflow", "torch", "optuna", "scikit-learn", "numpy")

Result = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Usage:
    """What a command took, with all processes that it started, from the start of its interpreter to its exit.

    `peak_mib` counts memory that processes share once (on Linux; elsewhere what each has alone); `began` is in
    seconds since 1970.
    """

    seconds: float
    cpu_seconds: float
    peak_mib: float
    began: float
    output: str

    @property
    def answer(self) -> Any:
        """The JSON value on the last line of the output."""
        return json.loads(self.output.splitlines()[-1])

    @property
    def figures(self) -> Result:
        return {
            "seconds": round(self.seconds, 3),
            "cpu_seconds": round(self.cpu_seconds, 2),
            "peak_mib": round(self.peak_mib),
        }


def measure(
    command: Sequence[str], folder: Path, env: Mapping[str, str] | None = None, timeout: float = 1500.0
) -> Usage:
    """Runs `command` in `folder` and measures it. RuntimeError with the end of its stderr if it fails or takes longer.

    It sees none of the settings of Ray, MLflow and Caviar that this process has, only `env`. What it leaves running
    is ended before this returns.
    """
    own = {name: value for name, value in os.environ.items() if not name.startswith(INHERITED)}
    told, errors = folder / "stdout.log", folder / "stderr.log"
    # files, because a pipe would stay open for as long as anything that was left running holds it
    with told.open("wb") as stdout, errors.open("wb") as stderr:
        began, clock = time.time(), time.perf_counter()
        process = subprocess.Popen(
            list(command),
            cwd=folder,
            env={**own, "PYTHONPATH": str(Path(__file__).parent.parent), **(env or {})},
            stdout=stdout,
            stderr=stderr,
            stdin=subprocess.DEVNULL,
        )
        with Tree(process.pid) as tree:
            try:
                process.wait(timeout)
                seconds = time.perf_counter() - clock
            except BaseException as error:
                tree.end()
                if isinstance(error, subprocess.TimeoutExpired):
                    raise RuntimeError(f"{' '.join(command)} took longer than {timeout:.0f} s") from None
                raise
    if process.returncode:
        last = errors.read_text(errors="replace")[-3000:]
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}:\n{last}")
    return Usage(seconds, tree.cpu_seconds, tree.peak_mib, began, told.read_text(errors="replace"))


class Tree:
    """Watches a process and all its descendants from a thread; on leaving, ends those that are left."""

    def __init__(self, pid: int) -> None:
        self._root = pid
        self._seen: dict[psutil.Process, float] = {}  # CPU seconds at the last look
        self._peak = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    @property
    def cpu_seconds(self) -> float:
        return sum(self._seen.values())

    @property
    def peak_mib(self) -> float:
        return self._peak / 2**20

    def __enter__(self) -> Tree:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        if psutil.wait_procs(self._seen, timeout=LINGER_SECONDS)[1]:
            self.end()

    def end(self) -> None:
        """Kills every process of the tree that is still there."""
        self._look()
        for process in self._seen:
            with contextlib.suppress(psutil.Error):  # gone, or its number is another's by now: psutil checks
                process.kill()
        psutil.wait_procs(self._seen, timeout=2.0)

    def _watch(self) -> None:
        looks = 0
        while not self._stop.wait(SAMPLE_SECONDS):
            self._look()
            looks += 1
            if looks % MEMORY_EVERY == 1:
                self._peak = max(self._peak, sum(self._memory()))
        self._look()

    def _look(self) -> None:
        with contextlib.suppress(psutil.Error):
            root = psutil.Process(self._root)
            for process in (root, *root.children(recursive=True)):
                self._seen.setdefault(process, 0.0)
        for process in self._seen:
            with contextlib.suppress(psutil.Error):
                times = process.cpu_times()
                self._seen[process] = times.user + times.system

    def _memory(self) -> Iterator[int]:
        for process in list(self._seen):
            with contextlib.suppress(psutil.Error):
                used = process.memory_full_info()
                yield int(getattr(used, "pss", 0) or used.uss)


def machine() -> Result:
    """What the figures were measured on. `load` is the number of busy cores in the minute before: 0 on a quiet one."""
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "system": f"{platform.system()} {platform.release()}",
        "load": round(os.getloadavg()[0], 2),
    }


def versions() -> dict[str, str]:
    """The versions of Python and of every package that is compared; packages that are not there are left out."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def middle(values: Sequence[float]) -> float:
    """The median, to four digits."""
    return float(f"{median(values):.4g}")


def times(slow: float, fast: float) -> float:
    """How many times `slow` is `fast`, to three digits."""
    return float(f"{slow / fast:.3g}")


def goal(what: str, measured: str, met: bool) -> Result:
    """One line of the table of goals."""
    return {"goal": what, "measured": measured, "met": met}


def main(run: Callable[[bool], Result], sentence: Callable[[Result], str]) -> None:
    """The command line of one benchmark: a line of JSON, then a line in words."""
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes: whether it works, not how fast it is")
    result = run(parser.parse_args().quick)
    print(json.dumps(result))
    print(sentence(result))


def _cpu_model() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
