"""Which sweep a command means, and which MLflow: by id, its beginning or a spec; on made-up journals."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.ports import free_port
from tuner.cli import main
from tuner.cli.find import find_sweep
from tuner.engine.journal import Journal
from tuner.engine.place import Place
from tuner.engine.publisher import Published
from tuner.engine.storage import Storage

OWN, SERVER = "sqlite:///own.db", "sqlite:////elsewhere/mlflow.db"
SWEEPS = [  # id, name, seconds since 1970, MLflow
    ("digits-20260102-000000-aaaa", "digits", 2.0, None),
    ("digits-20260103-000000-bbbb", "digits", 1.0, None),  # made by a machine whose clock was late
    ("mine", "digits", 3.0, SERVER),
    ("digits-large-20260104-000000-cccc", "digits-large", 4.0, None),
]
Caviar = Callable[..., str]


@pytest.fixture
def where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A user's place with four sweeps in it, and a fifth that was killed while it was made."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CAVIAR_HOME", str(tmp_path))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", OWN)
    place = Place(tmp_path, Storage(tmp_path / "storage"), OWN)
    for sweep, *made in SWEEPS:
        begin(place.sweep(sweep), sweep, *made)
    place.sweep("digits-20260109-000000-dddd").write("spec.yaml", b"name: digits")
    for name in ("digits", "digits-large", "letters"):
        Path(f"{name}.yaml").write_text(f"name: {name}\ndata: {{source: {name}.npz}}\n")
    return place


def begin(storage: Storage, made: str, name: str, time: float, uri: str | None) -> None:
    """The first entry of a sweep or panda, and that it has an experiment in MLflow, named as it is."""
    spec = {"name": name, "tracking": {"uri": uri, "register": None}}
    Journal(storage).append({"kind": "created", "time": time, "sweep": made, "name": name, "spec": spec})
    storage.write("tracking.json", json.dumps(asdict(Published(experiment_id=made))).encode())


@pytest.fixture
def caviar(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Caviar:
    """Runs the command in this process and returns what it says on stderr."""

    def call(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["caviar", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 2
        return capsys.readouterr().err

    return call


def test_a_spec_means_its_newest_sweep_whatever_that_is_called(where: Place) -> None:
    assert find_sweep("digits.yaml", where) == "mine"
    assert find_sweep("digits-large.yaml", where) == "digits-large-20260104-000000-cccc"
    with pytest.raises(ValueError, match=r"has the name of letters\.yaml, 'letters': `caviar run letters\.yaml`"):
        find_sweep("letters.yaml", where)


def test_without_mlflow_list_shows_what_is_in_storage(
    where: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    monkeypatch.setattr(sys, "argv", ["caviar", "list"])
    for code, shown in ((3, ""), (0, "mine   digits  finished")):
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        assert ended.value.code == code
        assert "nothing answers at http://127.0.0.1:1: start MLflow" in " ".join(f"{said.out} {said.err}".split())
        assert shown in said.out
        status = {"sweep": "mine", "name": "digits", "status": "finished", "rungs": []}
        where.sweep("mine").write("status.json", json.dumps(status).encode())


def test_an_id_or_its_beginning_means_one_sweep(where: Place) -> None:
    for text, sweep in (("mine", "mine"), ("m", "mine"), ("digits-20260103", SWEEPS[1][0]), ("digits-l", SWEEPS[3][0])):
        assert find_sweep(text, where) == sweep
    with pytest.raises(ValueError, match="could be any of 4, such as digits-large-20260104"):
        find_sweep("digits-", where)
    with pytest.raises(ValueError, match="no sweep 'sweep' in"):
        find_sweep("sweep", where)
    for text in ("", " "):
        with pytest.raises(ValueError, match="not by an empty text"):
            find_sweep(text, where)


@pytest.mark.parametrize(
    ("arguments", "uri", "experiment"),
    [
        ([], OWN, "po"),
        (["digits.yaml"], SERVER, "mine"),
        (["digits-20260102"], OWN, "digits-20260102-000000-aaaa"),
        (["digits-large.yaml"], OWN, "digits-large-20260104-000000-cccc"),
        (["--tracking", SERVER], SERVER, "mine"),
        (["--tracking", "sqlite:///new.db"], "sqlite:///new.db", None),
    ],
)
def test_the_ui_opens_where_the_sweep_is_shown(  # noqa: PLR0917
    where: Place,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    uri: str,
    experiment: str | None,
) -> None:
    begin(where.storage.child("pandas/po"), "po", "digits", 5.0, None)
    started: list[list[str]] = []
    monkeypatch.setattr("tuner.engine.tracking.ui_command", lambda uri, port: ["mlflow", uri, str(port)])
    monkeypatch.setattr(os, "execvp", lambda _, command: started.append(command))
    port = str(free_port())
    monkeypatch.setattr(sys, "argv", ["caviar", "ui", *arguments, "--port", port])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    assert started == [["mlflow", uri, port]]
    said = capsys.readouterr().out
    assert f"/#/experiments/{experiment}/" in said if experiment else "experiments" not in said


@pytest.mark.parametrize("arguments", [["predict", "models:/digits@champion", "rows.csv"], ["reproduce", "0" * 32]])
def test_what_names_no_sweep_is_looked_for_in_the_users_mlflow_or_the_one_named(
    where: Place, caviar: Caviar, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    def ask(uri: str, _: str) -> None:
        raise ValueError(f"asked {uri}")

    monkeypatch.setattr("tuner.engine.tracking.classifier_of", ask)
    monkeypatch.setattr("tuner.engine.tracking.run_of", ask)
    assert f"asked {OWN}" in caviar(*arguments)
    assert f"asked {SERVER}" in caviar(*arguments, "--tracking", SERVER)
    assert "asked http://me:***@host" in caviar(*arguments, "--tracking", "http://me:hush@host")
