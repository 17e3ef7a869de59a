"""Storage and journal: whole objects, one writer, clear errors; over a local folder, memory and a real S3 server."""

from __future__ import annotations

import json
import multiprocessing
import os
from pathlib import Path

import pytest

from tests.s3 import BUCKET
from tuner.engine.journal import Journal, JournalError, rows_from_json, rows_to_json
from tuner.engine.storage import Storage, StorageError
from tuner.trial import Row


@pytest.fixture(params=["local", "memory", "s3"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if request.param == "s3":
        request.getfixturevalue("s3")
        return Storage(f"s3://{BUCKET}/{tmp_path.name}")
    return Storage(tmp_path / "store" if request.param == "local" else f"memory://{tmp_path.name}")


def test_objects_round_trip_and_are_listed(storage: Storage) -> None:
    storage.write("a/one.json", b"1")
    storage.write("a/two.json", b"2")
    storage.write("a/two.json", b"22")
    assert storage.read("a/two.json") == b"22"
    assert storage.names("a") == ["one.json", "two.json"]
    assert storage.child("a").read("one.json") == b"1"
    assert storage.child("a").names() == ["one.json", "two.json"]
    assert storage.exists("a/one.json")
    assert not storage.exists("a/three.json")
    assert storage.names("nothing") == []
    with pytest.raises(FileNotFoundError):
        storage.read("a/three.json")


def test_a_name_is_created_once(storage: Storage) -> None:
    storage.create("x", b"first")
    with pytest.raises(FileExistsError):
        storage.create("x", b"second")
    assert storage.read("x") == b"first"


def test_many_objects_are_read_at_once_and_in_order(storage: Storage) -> None:
    names = [f"journal/{number}" for number in range(20)]
    for name in names:
        storage.write(name, name.encode())
    assert storage.read_all(names[::-1]) == [name.encode() for name in names[::-1]]
    with pytest.raises(FileNotFoundError):
        storage.read_all([*names, "journal/none"])


def test_what_is_removed_is_gone(storage: Storage) -> None:
    storage.write("command", b"stop")
    for _ in range(2):
        storage.remove("command")
        assert not storage.exists("command")


def test_a_uri_nobody_can_open_is_told() -> None:
    with pytest.raises(StorageError, match=r"must be a folder or a URI .* nonsense://x"):
        Storage("nonsense://x")


@pytest.mark.parametrize("name", ["../out", "/etc/passwd", "a/../../out"])
def test_names_cannot_leave_the_folder(storage: Storage, name: str) -> None:
    with pytest.raises(ValueError, match="relative"):
        storage.write(name, b"")


def test_an_unwritable_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StorageError, match=r"cannot write .*file/x: .*Make the path readable and writable"):
        Storage(tmp_path / "file").write("x", b"1")


def test_a_name_is_synced_with_the_folders_that_hold_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a power cut may take the name from bytes that are safe."""
    storage, journal, real = Storage(tmp_path), tmp_path / "sweep/journal", os.fsync
    safe: set[Path] = set()

    def fsync(handle: int) -> None:
        real(handle)
        for path in (tmp_path, *tmp_path.rglob("*")):
            if path.is_dir() and os.path.samestat(os.fstat(handle), path.stat()):
                safe.update(path.iterdir())

    monkeypatch.setattr(os, "fsync", fsync)
    storage.create("sweep/journal/created", b"1")
    assert {tmp_path / "sweep", journal, journal / "created"} <= safe
    storage.write("sweep/journal/written", b"1")
    assert journal / "written" in safe
    with storage.file_to_write("sweep/journal/filled"):
        pass
    assert journal / "filled" in safe


def test_a_second_writer_of_a_journal_is_refused(storage: Storage) -> None:
    first, second = Journal(storage), Journal(storage)
    assert first.append({"kind": "created", "time": 1.0}) == 1
    with pytest.raises(JournalError, match="running elsewhere"):
        second.append({"kind": "created", "time": 2.0})
    assert [number for number, _ in second.entries()] == [1]
    assert second.append({"kind": "attempt", "time": 3.0}) == 2


def test_a_damaged_entry_is_named(storage: Storage) -> None:
    Journal(storage).append({"kind": "created", "time": 1.0})
    storage.write("journal/000001.json", b'{"kind": "cre')
    with pytest.raises(JournalError, match=r"000001\.json is not JSON"):
        list(Journal(storage).entries())


def test_a_missing_entry_is_named(storage: Storage) -> None:
    journal = Journal(storage)
    for _ in range(3):
        journal.append({"kind": "filler", "time": 1.0})
    storage.remove("journal/000002.json")
    with pytest.raises(JournalError, match=r"entry \S+/000002\.json is missing"):
        list(Journal(storage).entries())
    assert [number for number, _ in Journal(storage).entries(after=2)] == [3]


def _append_until_killed(path: str) -> None:
    journal = Journal(Storage(path))
    list(journal.entries())
    while True:
        journal.append({"kind": "filler", "time": 0.0, "text": "x" * 100_000})


def test_a_writer_killed_at_any_moment_leaves_whole_entries(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    for round_ in range(5):
        writer = context.Process(target=_append_until_killed, args=(str(tmp_path),))
        writer.start()
        writer.join(0.1 + 0.02 * round_)
        os.kill(writer.pid, 9)
        writer.join()
    entries = list(Journal(Storage(tmp_path)).entries())
    assert entries
    assert [number for number, _ in entries] == list(range(1, len(entries) + 1))
    assert len(entries) > 5
    assert all(len(json.dumps(entry)) > 100_000 for _, entry in entries)


def test_rows_survive_json_with_nan() -> None:
    rows = [Row("t0001", 1, 0.5, float("nan"), 0.25, 0.1, 12.5)]
    again = rows_from_json(json.loads(json.dumps(rows_to_json(rows), allow_nan=False)))
    assert repr(again) == repr(rows)


def test_large_objects_pass_as_files_and_are_whole_or_not_there(storage: Storage) -> None:
    with storage.file_to_write("state/1") as file:
        file.write_bytes(b"weights")
        assert not storage.exists("state/1")
    assert storage.names("state") == ["1"]
    with storage.file_to_read("state/1") as file:
        assert file.read_bytes() == b"weights"
    with pytest.raises(StorageError, match="no space"), storage.file_to_write("state/2"):
        raise OSError("no space left")
    assert storage.names("state") == ["1"]
    with pytest.raises(FileNotFoundError), storage.file_to_read("state/2"):
        pass
