"""What a sweep's status says of a driver that is silent, gone, or on another machine."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import psutil
import pytest

from tests.simulation import make_ledger
from tuner.engine import status
from tuner.engine.status import SILENT_SECONDS, Reporter, Status, read
from tuner.engine.storage import Storage

NOW = 1_700_000_000.0


def written(folder: Path, host: str, pid: int, ago: float, said: str = "running") -> str:
    """What is read of a status that was written `ago` seconds before NOW."""
    storage = Storage(folder)
    made = Status("s-1", "s", said, host=host, pid=pid, time=NOW - ago)
    storage.write(status.NAME, json.dumps(asdict(made)).encode())
    found = read(storage, NOW)
    assert found
    return found.status


@pytest.fixture(scope="module")
def dead() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_on_this_machine_a_driver_runs_as_long_as_its_process(tmp_path: Path, dead: int) -> None:
    here, began = socket.gethostname(), psutil.Process().create_time()
    assert written(tmp_path, here, os.getpid(), ago=NOW - began) == "running"  # however long it has been silent
    assert written(tmp_path, here, os.getpid(), ago=NOW - began + 10) == "interrupted"  # another one's number
    assert written(tmp_path, here, dead, ago=0) == "interrupted"


def test_on_another_machine_it_runs_until_it_is_silent(tmp_path: Path, dead: int) -> None:
    assert written(tmp_path, "elsewhere", dead, ago=SILENT_SECONDS - 1) == "running"
    assert written(tmp_path, "elsewhere", os.getpid(), ago=SILENT_SECONDS + 1) == "interrupted"
    assert written(tmp_path, "elsewhere", dead, ago=10 * SILENT_SECONDS, said="finished") == "finished"


def test_a_routine_report_is_written_and_shown_now_and_then(tmp_path: Path) -> None:
    shown: list[Status] = []
    storage, ledger = Storage(tmp_path), make_ledger()
    reporter = Reporter(storage, "s-1", "s", shown.append)
    for _ in range(100):
        reporter.report(ledger, "running")
    assert len(shown) == 1
    found = read(storage)
    assert found == shown[0]
    assert found.trials == ledger.terms.trials
    reporter.report(ledger, "finished", "done")  # the end is never left out
    assert read(storage) == shown[1]
