"""A cluster that grows while a sweep runs is used; one that loses a machine is survived."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import Home
from tests.nodes import joined
from tests.test_kill import wait_for
from tuner.engine.journal import Journal
from tuner.engine.storage import Storage

pytestmark = [pytest.mark.ray, pytest.mark.slow]


@pytest.fixture
def spec(home: Home, digits: Path) -> Path:
    path = home.folder / "elastic.yaml"
    values = {
        "name": "elastic",
        "data": {"source": str(digits)},
        "model": {"hidden_layers": 2, "hidden_units": {"log_int": [64, 256]}},
        "train": {"batch_size": 32},
        "search": {"trials": 3000},
        "stopping": {"asha": {"max_epochs": 27}},
        "objective": {"confirm": 0, "baseline": False},
    }
    path.write_text(yaml.safe_dump(values))
    return path


def test_a_machine_that_comes_is_used_and_one_that_goes_is_survived(home: Home, ray_address: str, spec: Path) -> None:
    import ray

    journal = Journal(Storage(home.folder / ".caviar/storage/sweeps/elastic"))

    def packs() -> list[dict[str, Any]]:
        return [entry for _, entry in journal.entries() if entry["kind"] == "pack"]

    def ended(how: str) -> set[int]:
        return {entry["pack"] for _, entry in journal.entries() if entry["kind"] == how}

    driver = home.start("run", str(spec), "--id", "elastic")
    wait_for(lambda: driver.poll() is not None or packs())
    with joined(ray_address, "--num-cpus=1", '--resources={"spare": 1}', log=home.folder / "spare.log") as node:
        wait_for(lambda: driver.poll() is not None or packs()[-1]["workers"] == 3)
        wait_for(lambda: driver.poll() is not None or not ray.available_resources().get("CPU"))  # all three train
        assert driver.poll() is None, (home.folder / "driver.log").read_text()
        node.kill()
    then = {pack["pack"]["id"] for pack in packs()}
    wait_for(lambda: driver.poll() is not None or (packs()[-1]["workers"] == 2 and then <= ended("done")), 240)
    assert driver.poll() is None, (home.folder / "driver.log").read_text()
    assert not ended("failed")
    driver.send_signal(signal.SIGINT)
    assert driver.wait(60) == 130
