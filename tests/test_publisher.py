"""The publisher beside the driver: what it tells of where it publishes to."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from tests import sweeps
from tests.lost import lose
from tuner.engine import interrupts, tracking
from tuner.engine.publisher import CURSOR, Publisher, published
from tuner.engine.tracking.cursor import Cursor
from tuner.engine.tracking.publication import Publication
from tuner.engine.tracking.store import MlflowStore


def test_no_password_is_shown_or_stored(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    sweep, log = sweeps.write(tmp_path / "sweep", 4, 4), tmp_path / "tracking.log"
    with socket.socket() as taken:  # bound, so that nobody else gets the port, and not listening
        taken.bind(("127.0.0.1", 0))
        uri = f"http://me:hush@127.0.0.1:{taken.getsockname()[1]}?token=sesame"
        with Publisher(sweep, uri, str(log)) as publisher:
            arguments = Path(f"/proc/{publisher._process.pid}/cmdline").read_text()
            with interrupts.raised():
                lose()
                with pytest.raises(KeyboardInterrupt):  # nobody who wants to end it waits for MLflow
                    publisher.wait(60)
            assert "refused" in str(publisher.wait(60).error)
    shown = "".join([*capfd.readouterr(), arguments, log.read_text(), (tmp_path / "sweep/tracking.json").read_text()])
    assert "http://me:***@127.0.0.1" in shown
    assert "hush" not in shown
    assert "sesame" not in shown


@pytest.mark.filterwarnings("ignore:Query string:sqlalchemy.exc.SAWarning")
def test_answers_about_mlflow_show_no_password(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db?password=hush"
    for question in (
        lambda: tracking.ui_command("http://me:hush@there"),
        lambda: tracking.run_of(uri, "0" * 32),
        lambda: tracking.classifier_of(uri, "models:/nothing/1"),
    ):
        with pytest.raises(ValueError, match=r"\*\*\*") as caught:
            question()
        assert "hush" not in str(caught.value)


def test_a_cursor_is_found_again_though_it_keeps_no_password(tmp_path: Path) -> None:
    sweep = sweeps.write(tmp_path / "sweep", 4, 4)
    Cursor.read(sweep, "http://me:hush@there").write(sweep)
    stored = json.loads((tmp_path / "sweep" / "tracking.json").read_text())
    Cursor(stored["uri"], cursor=7).write(sweep)
    assert Cursor.read(sweep, "http://me:changed@there").cursor == published(sweep).cursor == 7
    assert Cursor.read(sweep, "http://you:hush@there").cursor == 0


def test_the_spec_in_mlflow_has_no_password(tmp_path: Path) -> None:
    first, *rest = sweeps.entries(4, 4)
    first["spec_yaml"] = "tracking: {uri: 'http://me:hush@there'}\ndata: {sql_url: 'postgresql://me:${PW}@db/x'}\n"
    sweeps.append(sweeps.Journal(sweeps.Storage(tmp_path / "sweep")), iter([first, *rest]))
    sweep, uri = sweeps.Storage(tmp_path / "sweep"), f"sqlite:///{tmp_path}/mlflow.db"
    Publication(sweep, MlflowStore(uri), cursor := Cursor.read(sweep, uri), 100).step()
    (spec,) = (tmp_path / "artifacts").rglob(f"{cursor.parent_run_id}/artifacts/spec.yaml")
    assert spec.read_text() == first["spec_yaml"].replace("hush", "***")


def test_what_an_earlier_version_wrote_is_read(tmp_path: Path) -> None:
    sweep = sweeps.write(tmp_path / "sweep", 4, 4)
    old = {"uri": "x", "cursor": 3, "experiment_id": "1", "parent_run_id": "p", "model_uri": None, "model_alias": None}
    sweep.write(CURSOR, json.dumps({**old, "registered": 0, "error": None, "refused": []}).encode())
    found = published(sweep)
    assert (found.cursor, found.parent_run_id, found.view) == (3, "p", None)
