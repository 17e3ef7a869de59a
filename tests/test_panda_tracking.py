"""A panda in MLflow: one run with its curve and every change, tags that change it, and the model with its schedule."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from tests.made_pandas import EPOCHS, PLAN, chronicle_of, started, told
from tuner.engine.panda import requests
from tuner.engine.panda.conclusion import conclude
from tuner.engine.panda.requests import Request, Verb
from tuner.engine.panda.session import Session
from tuner.engine.place import Place
from tuner.engine.storage import Storage
from tuner.engine.tracking import classifier_of, publish, publisher
from tuner.engine.tracking.panda_surface import PandaSurface
from tuner.engine.tracking.store import MlflowStore


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> MlflowStore:
    return MlflowStore(f"sqlite:///{tmp_path_factory.mktemp('store') / 'mlflow.db'}")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("tracked")
    return Place(folder, Storage(folder / "storage"), "")


@pytest.fixture(scope="module")
def shown(place: Place, digits: Path, store: MlflowStore) -> Storage:
    """A panda that was changed and rewound, has ended, and is published."""
    panda = started(place, digits, "shown")
    session = Session(panda, place.snapshots, told(panda, *PLAN), commit_seconds=0.0)
    session.begin()
    assert session.run() == "finished"
    conclude(session)
    session.write("ended", status="finished", reason="")
    assert publish(panda.uri, store.uri)
    return panda


def run_of(panda: Storage) -> str:
    return str(json.loads(panda.read("tracking.json"))["parent_run_id"])


def test_the_curve_and_its_changes(shown: Storage, store: MlflowStore) -> None:
    """Twelve epochs on the line and two that were rewound: fourteen steps."""
    tags, params, history = store.read(run_of(shown))
    assert params["learning_rate"] == "0.3"
    epochs = [values["epoch"] for step, values in sorted(history.items()) if "epoch" in values]
    assert epochs == [1, 2, 3, 4, 5, 6, 7, 6, 7, 8, 9, 10, 11, 12]
    marks = [step for step, values in sorted(history.items()) if values.get("change")]
    assert marks == [3, 5, 8, 12]
    assert {step: values["momentum"] for step, values in history.items() if "momentum" in values} == {4: 0.9, 5: 0.95}
    line = chronicle_of(shown).rows
    on_the_line = [history[step]["val_loss"] for step in (*range(1, 6), *range(8, 15))]
    assert on_the_line == [row.val_loss for row in line]
    assert tags["caviar.change.001"] == "after epoch 2: learning_rate=0.1"
    assert tags["caviar.change.003"] == "rewound to epoch 5: weight_decay=0.001"
    assert "| 5 | momentum 0.9 → 0.95, batch_size 64 → 32 |" in tags["mlflow.note.content"]
    assert tags["caviar.state"] == "finished"


def test_the_model_carries_its_schedule(shown: Storage, store: MlflowStore) -> None:
    published = json.loads(shown.read("tracking.json"))
    model = published["model_uri"]
    assert classifier_of(store.uri, model).classes
    result = json.loads(shown.read("result.json"))
    assert json.loads(shown.read("model/schedule.json")) == result["schedule"]
    best = min(chronicle_of(shown).rows, key=lambda row: row.val_loss)
    assert (result["schedule"]["epochs"], result["best"]["val_loss"]) == (best.epoch, best.val_loss)
    assert result["schedule"]["changes"][0] == {"after_epoch": 2, "set": {"learning_rate": 0.1}}


def test_a_registered_version_says_what_it_was_trained_with(
    place: Place, digits: Path, store: MlflowStore, shown: Storage
) -> None:
    created = chronicle_of(shown).created
    assert created["spec"]["tracking"]["register"] is None
    from tuner.engine.tracking.registry import Origin, register

    published = json.loads(shown.read("tracking.json"))
    result = json.loads(shown.read("result.json"))
    origin = Origin(published["experiment_id"], published["parent_run_id"], result)
    assert register(store, origin, shown.child("model"), "bears") == ("models:/bears/1", "champion")
    tags = store.client.get_model_version("bears", "1").tags
    assert json.loads(tags["caviar.schedule"]) == result["schedule"]
    assert tags["caviar.panda"] == "shown"


def test_tags_change_it_and_are_answered(place: Place, digits: Path, store: MlflowStore) -> None:
    panda = started(place, digits, "tagged")
    session = Session(panda, place.snapshots, told(panda, (3, Request(Verb.STOP))), commit_seconds=0.0)
    session.begin()
    assert session.run() == "stopped"
    assert publish(panda.uri, store.uri)
    run_id, surface = run_of(panda), PandaSurface(panda)
    for key, text, said in (
        ("caviar.command", "stop", "stop: it was set while nobody trained the panda, and is dropped"),
        ("caviar.set", "learning_rate=0.003", "learning_rate=0.003: accepted"),
        ("caviar.set", "hidden_units=3", "hidden_units=3: hidden_units cannot change while a model trains"),
        ("caviar.command", "rewind 99", "rewind 99: the epoch must be from 0 to 3"),
        ("caviar.command", "rewind 2", "rewind 2: accepted"),
    ):
        store.set_tag(run_id, key, text)
        surface._looked = -60.0
        surface.look(store, run_id, "running")
        tags = store.tags(run_id)
        assert tags["caviar.answer"].startswith(said)
        assert key not in tags
    assert [str(request) for _, request in requests.asked(panda)] == ["set learning_rate=0.003", "rewind 2"]
    surface.look(store, run_id, "stopped", last=True)
    told_last = store.tags(run_id)["caviar.answer"]
    assert told_last == "rewind 2: the panda is stopped; it takes effect with `caviar panda resume`"
    session = Session(panda, place.snapshots, commit_seconds=0.0)
    session.begin()
    assert session.run() == "finished"
    assert publish(panda.uri, store.uri)
    tags, _, history = store.read(run_id)
    assert tags["caviar.answer"] == "rewind 2: in effect from epoch 3 on"
    assert len(history) == EPOCHS + 1
    store.set_tag(run_id, "caviar.set", "momentum=0.5")
    surface.look(store, run_id, "finished", last=True)
    assert "the panda is finished; `caviar panda resume`" in store.tags(run_id)["caviar.answer"]


def test_a_change_after_the_end_does_not_take_the_result_away(place: Place, digits: Path, store: MlflowStore) -> None:
    """MLflow was away when the panda ended, and somebody has set something before it came back."""
    panda = started(place, digits, "away")
    for request in (None, Request(Verb.SET, {"momentum": 0.5})):
        if request:
            requests.ask(panda, request)
        session = Session(panda, place.snapshots, commit_seconds=0.0)
        session.begin()
        assert session.run() == "finished"
        if session.chronicle.result is None:
            conclude(session)
        session.write("ended", status="finished", reason="")
    assert publish(panda.uri, store.uri)
    assert json.loads(panda.read("tracking.json"))["model_uri"]
    artifacts = {file.path for file in store.client.list_artifacts(run_of(panda))}
    assert {"result.json", "schedule.json"} <= artifacts
    assert store.tags(run_of(panda))["caviar.answer"].endswith("and it has none left: set epochs, too")


def test_tags_are_left_alone_once_the_panda_has_ended(shown: Storage, store: MlflowStore) -> None:
    """Whoever trained it obeys no more: what is set then is answered so, and does not wait for the next attempt."""
    store.set_tag(run_of(shown), "caviar.command", "rewind 1")
    assert publisher.publish(shown.uri, store.uri, closed=threading.Event())
    assert "the panda is finished; `caviar panda resume`" in store.tags(run_of(shown))["caviar.answer"]
    assert requests.asked(shown) == []
