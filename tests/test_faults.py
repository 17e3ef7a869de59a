"""What fails around a sweep on one host: the disk is full, while it runs."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.conftest import Home
from tests.outcome import complaints
from tuner.engine.journal import Journal
from tuner.engine.storage import Storage

pytestmark = [pytest.mark.ray, pytest.mark.slow]

can_mount = pytest.mark.skipif(
    "CI" not in os.environ and not (hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("mount")),
    reason="mounts a file system of its own, for which it must be root",
)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MiB."""
    path = tmp_path / "disk"
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(path)], check=True)
    yield path
    subprocess.run(["umount", "--lazy", str(path)], check=True)


@can_mount
@pytest.mark.parametrize("left", [0, 128], ids=["for nothing", "for small objects"])
def test_a_full_disk_is_told_by_its_path_and_the_sweep_goes_on_once_there_is_space(
    home: Home, digits: Path, disk: Path, left: int
) -> None:
    """`left` are KiB that are free."""
    spec, name = home.folder / "full.yaml", f"full-{left}"
    values = {
        "name": "full",
        "data": {"source": str(digits)},
        "model": {"hidden_layers": 1, "hidden_units": {"log_int": [32, 128]}},
        "train": {"batch_size": 32},
        "search": {"trials": 12},
        "stopping": {"asha": {"max_epochs": 9}},
        "objective": {"confirm": 0, "baseline": False},
    }
    spec.write_text(yaml.safe_dump(values))
    storage = ("--storage", str(disk))
    driver = home.start("run", str(spec), "--id", name, *storage)
    sweep = disk / "sweeps" / name
    wait_until(lambda: any(entry["kind"] == "done" for _, entry in Journal(Storage(sweep)).entries()))
    fill(disk / "filler", left)
    assert driver.wait(60) == 3
    told = (home.folder / "driver.log").read_text()
    assert f"cannot write {disk}" in told
    assert "No space left on device" in told
    assert f"caviar resume {name}" in told

    (disk / "filler").unlink()
    assert home.answer("resume", name, *storage)["status"] == "finished"
    assert complaints(Storage(sweep), f"sqlite:///{home.folder}/.caviar/mlflow.db") == []


def fill(path: Path, left: int) -> None:
    """Takes all the space that there is, but for `left` KiB."""
    with path.open("wb", buffering=0) as file:
        with contextlib.suppress(OSError):
            while True:
                file.write(b"\0" * 4096)
        file.truncate(file.tell() - left * 1024)


def wait_until(condition: object, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
