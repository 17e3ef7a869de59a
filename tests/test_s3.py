"""Sweeps whose storage is S3: exclusive creation without the server's help, outages, wrong keys, a whole sweep."""

from __future__ import annotations

import multiprocessing
import multiprocessing.synchronize
import os
import shutil
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import Home
from tests.s3 import BUCKET, S3
from tests.test_kill import wait_for
from tuner.engine import exclusive
from tuner.engine.journal import Journal, JournalError
from tuner.engine.storage import Storage, StorageError

ENTRIES = 4


@pytest.fixture
def storage(s3: S3, tmp_path: Path) -> Storage:
    return Storage(f"s3://{BUCKET}/{tmp_path.name}")


def _append(
    uri: str,
    writer: int,
    made: multiprocessing.Queue[tuple[int, int]],
    together: multiprocessing.synchronize.Barrier,
) -> None:
    journal = Journal(Storage(uri))
    together.wait(60)
    while True:
        if max([number for number, _ in journal.entries()], default=0) >= ENTRIES:
            return
        try:
            number = journal.append({"kind": "filler", "time": 0.0, "writer": writer})
        except JournalError:
            continue
        made.put((number, writer))


def test_of_writers_at_the_same_moment_one_has_each_name(storage: Storage) -> None:
    """rclone overwrites where Amazon would refuse, so this is up to us."""
    context = multiprocessing.get_context("spawn")
    made, together = context.Queue(), context.Barrier(3)
    writers = [context.Process(target=_append, args=(storage.uri, writer, made, together)) for writer in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert [writer.exitcode for writer in writers] == [0] * 3
    won = dict(made.get(timeout=5) for _ in range(ENTRIES))
    assert made.empty()
    assert {number: entry["writer"] for number, entry in Journal(storage).entries()} == won
    assert sorted(won) == list(range(1, ENTRIES + 1))


class Disturbed:
    """The real server, but `busy` when an object is created that is there, for once; or with another clock."""

    def __init__(self, storage: Storage, *, busy: bool = False, behind: float = 0.0) -> None:
        self.path = storage.path("journal/000001.json")
        self._fs, self._busy, self._behind = storage._fs, busy, timedelta(seconds=behind)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._fs, name)

    def pipe_file(self, path: str, data: bytes, mode: str = "overwrite") -> None:
        if mode == "create" and self._busy and self._fs.exists(path):
            self._busy = False
            raise OSError("503: slow down")
        self._fs.pipe_file(path, data, mode=mode)

    def ls(self, path: str, detail: bool) -> list[dict[str, Any]]:
        found = self._fs.ls(path, detail=detail)
        return [{**one, "LastModified": one["LastModified"] - self._behind} for one in found]


def test_a_server_that_was_busy_once_is_not_taken_for_one_that_refuses(storage: Storage) -> None:
    server = Disturbed(storage, busy=True)
    with pytest.raises(OSError, match="slow down"):
        exclusive.create(server, server.path, b"first")
    exclusive.create(server, server.path, b"first")
    with pytest.raises(FileExistsError):
        exclusive.create(server, server.path, b"second")
    assert storage.read("journal/000001.json") == b"first"


def test_a_server_whose_clock_is_behind_counts_nobody_as_gone(storage: Storage) -> None:
    server = Disturbed(storage, behind=2 * exclusive.CLAIM_SECONDS)
    exclusive.create(server, server.path, b"first")
    assert storage.read("journal/000001.json") == b"first"


def test_the_claim_of_a_killed_writer_is_named_and_waited_for_until_it_runs_out(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.write("journal/.tmp-000001.json/dead", b"1")
    monkeypatch.setattr(exclusive, "ATTEMPTS", 1)
    with pytest.raises(JournalError, match=r"claim .*\.tmp-000001\.json/dead holds for another 1[12]\d seconds.*again"):
        Journal(storage).append({"kind": "attempt"})
    monkeypatch.setattr(exclusive, "CLAIM_SECONDS", 3.0)
    assert Journal(storage).append({"kind": "attempt"}, patience=30.0) == 1


def test_a_server_that_is_away_for_a_moment_is_waited_for(storage: Storage, s3: S3) -> None:
    storage.write("x", b"1")
    s3.stop()
    threading.Timer(2.0, s3.start).start()
    assert storage.read("x") == b"1"


def test_a_missing_bucket_and_wrong_keys_are_told(storage: Storage) -> None:
    with pytest.raises(
        StorageError, match=r"cannot write s3://nowhere/x: .*bucket does not exist.* See that the bucket"
    ):
        Storage("s3://nowhere").write("x", b"1")
    code = f"from tuner.engine.storage import Storage; Storage({storage.uri!r}).write('x', b'1')"
    wrong = {**os.environ, "AWS_SECRET_ACCESS_KEY": "SECRETKEY124"}
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, env=wrong, capture_output=True, text=True, timeout=60
    )
    assert "cannot write s3://" in done.stderr
    assert "credentials are in the environment" in done.stderr
    assert "SECRETKEY124" not in done.stderr


@pytest.fixture
def alone(home: Home, s3: S3, digits: Path) -> Home:
    """A home whose sweeps start a Ray of their own, which has the keys in its environment."""
    env = {key: value for key, value in home.env.items() if key != "RAY_ADDRESS"}
    spec = {
        "name": "away",
        "data": {"source": str(digits)},
        "model": {"hidden_units": {"log_int": [32, 128]}},
        "train": {"batch_size": 32},
        "search": {"trials": 18},
        "stopping": {"successive_halving": {"max_epochs": 9}},
        "objective": {"confirm": 0, "baseline": False},
    }
    (home.folder / "away.yaml").write_text(yaml.safe_dump(spec))
    return Home(home.folder, {**env, **s3.env, "CAVIAR_STORAGE": f"s3://{BUCKET}/sweeps of {home.folder.name}"})


@pytest.mark.ray
@pytest.mark.slow
def test_a_sweep_on_s3_goes_on_elsewhere_after_its_driver_was_killed(alone: Home, s3: S3) -> None:
    """Elsewhere: nothing but the storage is left of the first machine."""
    storage = Storage(alone.env["CAVIAR_STORAGE"])
    journal = Journal(storage.child("sweeps/far"))
    served = Journal(Storage(s3.folder / "served" / alone.env["CAVIAR_STORAGE"].removeprefix("s3://") / "sweeps/far"))
    driver = alone.start("run", "away.yaml", "--id", "far")
    wait_for(lambda: driver.poll() is not None or any(entry["kind"] == "done" for _, entry in served.entries()))
    assert driver.poll() is None, (alone.folder / "driver.log").read_text()
    driver.kill()
    driver.wait()
    before = list(journal.entries())
    shutil.rmtree(alone.folder / ".caviar/snapshots")
    assert alone.answer("status", "far")["status"] == "interrupted"
    result = alone.answer("resume", "far")
    assert result["status"] == "finished"
    entries = list(journal.entries())
    assert entries[: len(before)] == before
    done = [entry["pack"] for _, entry in entries if entry["kind"] == "done"]
    handed_out = [entry["pack"]["id"] for _, entry in entries if entry["kind"] == "pack"]
    assert sorted(done) == handed_out == list(range(1, len(done) + 1))
    assert storage.names("snapshots") == [before[0][1]["snapshot"]["digest"]]
    assert alone.answer("best", "far")["best"] == result["best"]
