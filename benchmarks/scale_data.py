"""Rows without end: a worker's memory and the time of an epoch from ten thousand to ten million generated rows.

A snapshot of 8 features is made as a sweep makes it; then a fresh process trains a pack of one trial (2 layers of 64,
batches of 256) on it, as a Ray worker does. Memory is the peak of what the process has for itself (on Linux its
anonymous memory, looked at every 10 ms from outside): the pages of the mapped arrays belong to the page cache, which
all workers share and the kernel takes back when it needs room. Epoch times are medians without the first epoch, in
which the pages are mapped; they are over the rows trained on, three fifths of all, and include the evaluation on
another fifth.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import psutil

from benchmarks import one_pack
from benchmarks.harness import Result, goal, main
from tuner.engine.journal import rows_from_json

FEATURES, BATCH = 8, 256
EPOCHS = {10_000: 60, 100_000: 12, 1_000_000: 4, 10_000_000: 2}  # the first is not counted
SECONDS = 600.0  # none of them may take longer
ROOT = Path(__file__).parent.parent


def run(quick: bool = False) -> Result:
    """All sizes, or the two small ones."""
    return measure({rows: epochs for rows, epochs in EPOCHS.items() if rows <= 100_000} if quick else EPOCHS)


def measure(epochs: Mapping[int, int]) -> Result:
    """`sizes` by number of rows; `epochs` says how many each is trained for."""
    sizes = {}
    for rows, count in epochs.items():
        with tempfile.TemporaryDirectory(prefix="caviar-bench-") as name:
            sizes[str(rows)] = one(Path(name), rows, count)
    return {"sizes": sizes, "goals": goals(sizes)}


def one(home: Path, rows: int, epochs: int) -> Result:
    """What the snapshot and the training of one size took."""
    generate(home / "rows.npz", rows)
    made = watched(["prepare", str(home), json.dumps(spec(home / "rows.npz", epochs))])
    trained = watched(["train", str(home)])
    found = one_pack.result(home)
    times = [row.time for row in rows_from_json(found["rows"])]
    later = [end - begin for begin, end in pairwise(times)]
    used = round(0.6 * rows) // BATCH * BATCH
    return {
        "snapshot_seconds": round(made[0], 2),
        "snapshot_mib": round(made[1], 1),
        "worker_mib": round(trained[1], 1),
        "first_epoch_seconds": round(found["timings"][0][2] - sum(later), 3),
        "epoch_seconds": round(median(later), 4),
        "us_per_row": round(median(later) / used * 1e6, 4),
        "epochs": epochs,
    }


def generate(file: Path, rows: int) -> None:
    """Two classes of float32 rows that a network can tell apart, most of the time."""
    draw = np.random.default_rng(0)
    X = draw.standard_normal((rows, FEATURES), dtype=np.float32)
    np.savez(file, X=X, y=X[:, 0] + X[:, 1] * X[:, 2] + draw.standard_normal(rows, dtype=np.float32) > 0)


def spec(file: Path, epochs: int) -> dict[str, Any]:
    """One trial without search."""
    return {
        "name": "rows",
        "data": {"source": str(file), "validation": {"fraction": 0.2}, "holdout": {"fraction": 0.2}},
        "model": {"hidden_layers": 2, "hidden_units": 64},
        "train": {"optimizer": "momentum", "learning_rate": 0.01, "momentum": 0.9, "batch_size": BATCH},
        "search": {"sampler": "random", "trials": 1, "seed": 0},
        "stopping": {"none": {"max_epochs": epochs}},
        "objective": {"confirm": 0, "baseline": False},
    }


def watched(arguments: list[str]) -> tuple[float, float]:
    """Seconds and peak MiB of `python -m benchmarks.one_pack`. RuntimeError if it fails or takes too long."""
    clock, peak = time.perf_counter(), 0
    command = [sys.executable, "-m", "benchmarks.one_pack", *arguments]
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(command, cwd=ROOT, stdout=errors, stderr=errors)
        try:
            while process.poll() is None and time.perf_counter() - clock < SECONDS:
                peak = max(peak, own_memory(process.pid))
                time.sleep(0.01)
        finally:
            process.kill()
            process.wait()
        if process.returncode:
            errors.seek(0)
            raise RuntimeError(f"{' '.join(command)} failed:\n{errors.read().decode(errors='replace')[-2000:]}")
    return time.perf_counter() - clock, peak / 2**20


def own_memory(pid: int) -> int:
    """Bytes that the process has for itself; 0 if it has ended."""
    try:
        found = re.search(
            r"^RssAnon:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(encoding="ascii"), re.MULTILINE
        )
        return 1024 * int(found[1]) if found else 0
    except ProcessLookupError:
        return 0
    except FileNotFoundError:
        try:
            return int(psutil.Process(pid).memory_full_info().uss)
        except psutil.Error:
            return 0


def goals(sizes: Mapping[str, Result]) -> list[Result]:
    """What was asked, and what was measured."""
    (few, small), *_, (many, large) = sizes.items()
    grown = large["worker_mib"] / small["worker_mib"]
    a_row = (large["worker_mib"] - small["worker_mib"]) * 2**20 / (int(many) - int(few))
    each = [size["us_per_row"] for size in sizes.values()]
    return [
        goal(
            f"a worker's memory flat from {int(few):,} to {int(many):,} rows (at most 10% more)",
            f"{small['worker_mib']:.0f} to {large['worker_mib']:.0f} MiB, {a_row:.1f} bytes a row",
            grown <= 1.1,
        ),
        goal(
            "epoch time linear within 15%",
            f"{min(each):.3g} to {max(each):.3g} us a row: {max(each) / min(each) - 1:.0%} apart",
            max(each) <= 1.15 * min(each),
        ),
    ]


def sentence(result: Result) -> str:
    """The result in words."""
    told = [
        f"{size['worker_mib']:.0f} MiB and {size['us_per_row']:.3g} us a row at {int(rows):,}"
        for rows, size in result["sizes"].items()
    ]
    return f"A worker takes {', '.join(told)} rows."


def table(result: Result) -> list[Result]:
    """One record a size."""
    return [
        {
            "rows": f"{int(rows):,}",
            "worker, MiB": f"{size['worker_mib']:.0f}",
            "us a row": f"{size['us_per_row']:.3f}",
            "epoch, s": f"{size['epoch_seconds']:.3g}",
            "first epoch, s": f"{size['first_epoch_seconds']:.3g}",
            "epochs": size["epochs"],
            "snapshot, s": f"{size['snapshot_seconds']:.1f}",
            "snapshot, MiB": f"{size['snapshot_mib']:.0f}",
        }
        for rows, size in result["sizes"].items()
    ]


if __name__ == "__main__":
    main(run, sentence)
