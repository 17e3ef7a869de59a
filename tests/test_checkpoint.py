"""A pack that is told to end in the middle, and goes on elsewhere, leaves what it would have left."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tuner.engine import control, sweep, work
from tuner.engine.control import Command, Verb
from tuner.engine.place import Place
from tuner.engine.storage import Storage
from tuner.engine.work import PackRun
from tuner.spec import from_mapping


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    generator = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("rows") / "rows.npz"
    X = generator.normal(size=(300, 5))
    np.savez(path, X=X, y=(X[:, 0] + X[:, 1] > 0).astype(int))
    return path


def pack_of(folder: Path, rows: Path, stage: str) -> tuple[Place, int, int]:
    """A sweep whose first pack is handed out: its place, the entry's number and the pack's id."""
    values: dict[str, Any] = {
        "name": "parts",
        "data": {"source": str(rows)},
        "model": {"hidden_layers": {"int": [0, 2]}, "hidden_units": 8},
        "train": {"batch_size": {"choice": [16, 32]}, "learning_rate": {"log_uniform": [1e-3, 1e9]}},
        "search": {"trials": 12},
        "stopping": {"none": {"max_epochs": 6}},
    }
    place = Place(folder, Storage(folder / "storage"), "")
    sweep.create(from_mapping(values), place, "parts")
    _, ledger, history = sweep.load(place.sweep("parts"))
    history.begin()
    number = history.ask(1)
    while ledger.open and history.open[number].stage != stage:
        number = history.ask(1)
    assert number is not None
    return place, number, history.open[number].id


@pytest.mark.parametrize("stage", ["search", "baseline"])
@pytest.mark.parametrize("stops", [1, 3, 1000])
def test_a_pack_in_parts_is_the_pack(
    tmp_path: Path, rows: Path, monkeypatch: pytest.MonkeyPatch, stage: str, stops: int
) -> None:
    whole, entry, pack = pack_of(tmp_path / "whole", rows, stage)
    undisturbed = trained(whole, entry, pack)
    parts, entry, pack = pack_of(tmp_path / "parts", rows, stage)
    monkeypatch.setattr(control, "LOOK_SECONDS", -1.0)
    storage = parts.sweep("parts")
    for attempt in range(10_000):
        if attempt < stops:
            control.ask(storage, Command(Verb.STOP))
        else:
            control.obeyed(storage, Command(Verb.STOP))
        list(PackRun.of(storage.uri, entry, str(parts.snapshots)).run())
        if storage.exists(f"packs/{pack:06d}.json"):
            break
        assert storage.exists(f"state/{pack:06d}.partial.safetensors")
    assert attempt >= min(stops, 6)
    assert left(parts, pack) == undisturbed
    assert not storage.exists(f"state/{pack:06d}.partial.safetensors")


def test_a_lost_pack_goes_on_from_what_it_saved_on_the_way(
    tmp_path: Path, rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, entry, pack = pack_of(tmp_path, rows, "search")
    monkeypatch.setattr(work, "CHECKPOINT_SECONDS", -1.0)
    first = PackRun.of(place.sweep("parts").uri, entry, str(place.snapshots)).run()
    seen = [next(first) for _ in range(4)]  # and no more: its worker is gone
    again = PackRun.of(place.sweep("parts").uri, entry, str(place.snapshots)).run()
    taken_up = next(again)
    assert [(row.trial, row.epoch) for row in taken_up] == [(row.trial, row.epoch) for rows in seen[:3] for row in rows]
    list(again)
    epochs = [row[1] for row in json.loads(place.sweep("parts").read(f"packs/{pack:06d}.json"))["rows"]]
    assert max(epochs) == 6


def trained(place: Place, entry: int, pack: int) -> object:
    list(PackRun.of(place.sweep("parts").uri, entry, str(place.snapshots)).run())
    return left(place, pack)


def left(place: Place, pack: int) -> object:
    """What the pack left, without times: rows, holdout figures, the weights bit by bit."""
    storage = place.sweep("parts")
    found = json.loads(storage.read(f"packs/{pack:06d}.json"))
    state = f"state/{pack:06d}.safetensors"
    rows = [row[:-1] for row in found["rows"]]
    return rows, found["holdout"], storage.read(state) if storage.exists(state) else None
