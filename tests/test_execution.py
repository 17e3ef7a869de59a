"""A sweep that is made, run and finished whatever moment it is interrupted at."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Home
from tuner.engine import execution, sweep
from tuner.engine.history import CannotTrainError
from tuner.engine.journal import FIRST_ENTRY, Journal
from tuner.engine.place import Place
from tuner.engine.storage import Storage, StorageError
from tuner.spec import Spec, from_mapping


@pytest.fixture(scope="module")
def place(home: Home) -> Place:
    return Place(home.folder, Storage(home.folder / "storage"), f"sqlite:///{home.folder / 'mlflow.db'}")


@pytest.fixture(scope="module")
def spec(digits: Path) -> Spec:
    values: dict[str, Any] = {
        "name": "small",
        "data": {"source": str(digits)},
        "model": {"hidden_layers": 1, "hidden_units": 16},
        "search": {"trials": 3},
        "stopping": {"none": {"max_epochs": 2}},
        "objective": {"confirm": 1, "seeds": 1, "metric": "val_accuracy"},
    }
    return from_mapping(values)


@pytest.fixture(scope="module")
def finished(place: Place, spec: Spec) -> dict[str, Any]:
    made = sweep.create(spec, place, "whole")
    return execution.execute(made, place).figures


class Killed(BaseException):
    """As final as SIGKILL: nobody catches it."""


@pytest.mark.parametrize("writes", range(4))
def test_a_sweep_killed_while_it_is_made_can_be_made_again(
    place: Place, spec: Spec, writes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, left = f"killed-{writes}", [writes]

    def counted(real: Any) -> Any:
        def call(self: Storage, name: str, data: bytes) -> None:
            if not left[0]:
                raise Killed
            left[0] -= 1
            real(self, name, data)

        return call

    with monkeypatch.context() as patch:
        patch.setattr(Storage, "write", counted(Storage.write))
        patch.setattr(Storage, "create", counted(Storage.create))
        with pytest.raises(Killed):
            sweep.create(spec, place, name)
    whole = place.sweep(name).exists(FIRST_ENTRY)
    assert whole == (writes == 3)  # spec.yaml, snapshot.json, entry 1, status.json
    if whole:
        assert not sweep.load(place.sweep(name))[2].concluded
        with pytest.raises(sweep.SweepExistsError, match=f"caviar resume {name}"):
            sweep.create(spec, place, name)
    else:
        with pytest.raises(ValueError, match="killed while it was made"):
            sweep.load(place.sweep(name))
        assert sweep.create(spec, place, name) == name


@pytest.mark.ray
@pytest.mark.parametrize("missing", [1, 2])
def test_a_sweep_killed_before_its_last_entries_ends_as_it_would_have(
    place: Place, finished: dict[str, Any], missing: int
) -> None:
    """Without `ended`; without `result` and `ended`."""
    whole, cut = (place.storage.local(f"sweeps/{name}") for name in ("whole", f"without-{missing}"))
    assert whole
    assert cut
    shutil.copytree(whole, cut)
    entries = sorted((cut / "journal").iterdir())
    assert [json.loads(entry.read_text())["kind"] for entry in entries[-2:]] == ["result", "ended"]
    for entry in entries[-missing:]:
        entry.unlink()
    again = execution.execute(f"without-{missing}", place).figures
    timed = ("seconds", "model_path")
    assert {k: v for k, v in again.items() if k not in timed} == {k: v for k, v in finished.items() if k not in timed}
    last = [entry for _, entry in Journal(place.sweep(f"without-{missing}")).entries()][-2:]
    assert [entry["kind"] for entry in last] == ["result", "ended"]


@pytest.mark.ray
def test_a_result_outlives_its_data_and_an_unfinished_sweep_misses_it(
    place: Place, spec: Spec, finished: dict[str, Any]
) -> None:
    made = sweep.create(spec, place, "orphan")
    place.snapshots.rename(place.home / "elsewhere")
    try:
        assert execution.execute("whole", place).figures["best"] == finished["best"]
        with pytest.raises(StorageError, match="the data that the sweep was begun on is gone"):
            execution.execute(made, place)
    finally:
        (place.home / "elsewhere").rename(place.snapshots)


@pytest.mark.ray
def test_the_model_is_that_of_the_most_accurate_epoch(finished: dict[str, Any]) -> None:
    assert finished["best"]["val_accuracy"] > 0.5
    assert "accuracy" in finished["verdict"]


@pytest.mark.ray
def test_a_worker_that_fits_nowhere_is_refused(place: Place, spec: Spec) -> None:
    from tuner.engine import driver  # imports ray, which reads its environment then

    _, _, history = sweep.load(place.sweep(sweep.create(spec, place, "huge")))
    facts = {"sweep": place.sweep("huge").uri, "snapshots": str(place.snapshots)}
    with pytest.raises(CannotTrainError, match="needs 64 CPUs and 0 GPUs, and no machine"):
        driver.run(
            history, facts, place.home / "tune", cpus=64, gpus=0, max_workers=None, patience=0.0, deadline=None,
            observe=lambda _: None,
        )  # fmt: skip
    assert not history.open


def test_storage_that_one_process_sees_is_refused(place: Place, spec: Spec) -> None:
    with pytest.raises(StorageError, match="seen by one process only"):
        sweep.create(spec, Place(place.home, Storage("memory://sweeps"), place.tracking), "nowhere")
