"""Snapshots on hosts that do not see the driver's folder; such a host is a Ray node with the folder mounted over."""

from __future__ import annotations

import os
import re
import shutil
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from models.errors import DataError
from tests.conftest import Home
from tests.nodes import joined
from tuner.data.request import Request
from tuner.data.snapshot import Snapshot, build
from tuner.engine import archive
from tuner.engine.journal import Journal
from tuner.engine.storage import Storage, StorageError

pytestmark = [pytest.mark.ray]  # whoever imports it before the cluster is up has it without its token


@dataclass(frozen=True)
class Host:
    """A Ray node that does not see the folder `hidden`, and has its own folder for temporary files."""

    hidden: Path
    tmp: Path


@pytest.fixture(scope="module")
def host(home: Home, ray_address: str) -> Iterator[Host]:
    """Joins the cluster with three cores: the only place for workers of three."""
    if os.geteuid() != 0:
        pytest.skip("hiding a folder from one process needs root")
    found = Host(home.folder / ".caviar/storage/snapshots", home.folder / "tmp")
    found.hidden.mkdir(parents=True)
    found.tmp.mkdir()
    options = ["--num-cpus=3", '--resources={"hidden": 4}', "--object-store-memory=100000000"]
    env, log = {"TMPDIR": str(found.tmp)}, home.folder / "host.log"
    with joined(ray_address, *options, hide=found.hidden, env=env, log=log):
        yield found


def snapshot_of(digits: Path, folder: Path) -> Snapshot:
    return build(Request(source=str(digits)), folder)


def asked(snapshots: str, digest: str, node: str) -> tuple[str, str, int]:
    """What a worker finds: whether it sees the driver's folder, the folder that it maps, and its own process."""
    from tuner.engine import delivery

    sees = (Path(snapshots) / digest).exists()
    folder = delivery.at_hand(snapshots, digest, node)
    Snapshot.open(Path(folder) / digest).verify()
    return f"sees {sees}", folder, os.getpid()


def bring(directory: str, node: str, to: str) -> None:
    from tuner.engine import delivery

    Path(to).mkdir()
    delivery._bring(directory, node, Path(to))


def on_host(function: Callable[..., Any]) -> Any:
    """The function as a task that only the host runs."""
    import ray

    return ray.remote(num_cpus=0, resources={"hidden": 1})(function)


def test_a_host_gets_the_snapshot_once_for_all_its_workers(host: Host, digits: Path) -> None:
    import ray

    from tuner.engine import delivery

    snapshot = snapshot_of(digits, host.hidden)
    where = delivery.source(str(host.hidden), snapshot.digest)
    found: list[Any] = ray.get([on_host(asked).remote(**where) for _ in range(4)], timeout=120)
    own = host.tmp / f"caviar-{os.getuid()}"
    assert {one[:2] for one in found} == {("sees False", str(own))}
    assert len({one[2] for one in found}) > 1
    arrived = own / snapshot.digest
    inode = (arrived / "X.npy").stat().st_ino
    assert ray.get(on_host(asked).remote(**where), timeout=60)[1] == str(own)
    assert (arrived / "X.npy").stat().st_ino == inode
    assert sorted(file.name for file in own.iterdir() if not file.name.endswith(".lock")) == [snapshot.digest]


def test_data_larger_than_the_object_store_arrive(host: Host) -> None:
    """Twice the host's 100 MB: chunk by chunk, the next one read while one is written."""
    import ray

    big, name = host.hidden / "big", "X.npy"
    big.mkdir()
    for file in archive.FILES:
        (big / file).write_bytes(b"")
    with (big / name).open("wb") as out:
        for number in range(200):
            out.write(bytes([number]) * 2**20)

    to = host.tmp / "big"
    node = ray.get_runtime_context().get_node_id()
    ray.get(on_host(bring).remote(str(big), node, str(to)), timeout=120)
    assert (to / name).read_bytes() == (big / name).read_bytes()
    shutil.rmtree(to)
    shutil.rmtree(big)


def test_a_sweep_is_trained_where_its_data_are_not(host: Host, home: Home, digits: Path) -> None:
    spec = home.folder / "away.yaml"
    values = {
        "name": "away",
        "data": {"source": str(digits)},
        "search": {"trials": 6},
        "stopping": {"asha": {"max_epochs": 3}},
        "objective": {"confirm": 0, "baseline": False},
        "resources": {"cpus_per_worker": 3},
    }
    spec.write_text(yaml.safe_dump(values))
    assert home.answer("run", str(spec), "--id", "away")["status"] == "finished"
    sweep = Storage(home.folder / ".caviar/storage/sweeps/away")
    digest = Journal(sweep).read(1)["snapshot"]["digest"]
    assert (host.tmp / f"caviar-{os.getuid()}" / digest / "X.npy").exists()


def test_what_arrives_damaged_is_refused_and_leaves_nothing(digits: Path, tmp_path: Path) -> None:
    snapshot = snapshot_of(digits, tmp_path / "there")

    def fill(arriving: Path) -> None:
        for file in archive.FILES:
            shutil.copy(snapshot.directory / file, arriving / file)
        with (arriving / "X.npy").open("r+b") as array:
            array.seek(-4, os.SEEK_END)
            array.write(b"\0\0\x80?")

    with pytest.raises(DataError, match="must match its digest"):
        archive.receive(tmp_path / "here", snapshot.digest, fill)
    assert [file.name for file in (tmp_path / "here").iterdir()] == [f".{snapshot.digest}.lock"]


def test_a_folder_that_others_can_write_in_is_refused(
    ray_address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tuner.engine import delivery

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    own = delivery.own_folder()
    assert own.stat().st_mode & 0o777 == 0o700
    own.chmod(0o777)
    with pytest.raises(delivery.HostError, match=rf"{re.escape(str(own))} on \S+ must be a folder that only its user"):
        delivery.own_folder()


def test_a_host_that_cannot_keep_the_data_loses_the_pack_and_says_so(
    ray_address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is no outcome of the pack, which may be trained elsewhere: nothing is left in the sweep's folder."""
    from tuner.engine import delivery
    from tuner.engine.pack import PackTrainable

    (tmp_path / "file").write_text("no folder")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "file"))
    sweep, where = tmp_path / "sweep", delivery.source(str(tmp_path / "nowhere"), "d" * 32)
    config = {"sweep": str(sweep), "entry": 2, "pack": 1, **where}
    worker = SimpleNamespace(config=config, _rows=PackTrainable._train(config))
    told = rf"{re.escape(socket.gethostname())} .*cannot keep a copy in {tmp_path}/file.*Not a directory.*TMPDIR"
    with pytest.raises(delivery.HostError, match=told):
        PackTrainable.step(worker)  # type: ignore[arg-type]
    assert not sweep.exists()


def test_data_that_are_gone_where_the_sweep_is_driven_are_no_fault_of_a_host(
    ray_address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tuner.engine import delivery

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    where = delivery.source(str(tmp_path / "nowhere"), "d" * 32)
    with pytest.raises(StorageError, match=rf"cannot be read where it is driven, in {tmp_path}/nowhere"):
        delivery.at_hand(**where)
