"""Which Ray a sweep runs on, and who may use it: seen from a process of its own, as Ray keeps what it read once."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.environment import clean
from tuner.engine.connect import _probe, own_token

OWN_CLUSTER = """
import sys
from pathlib import Path
{before}
from tuner.engine.connect import ray_cluster
with ray_cluster(Path(sys.argv[1])):
    import ray
    from ray._raylet import AuthenticationTokenLoader, get_authentication_mode
    assert ray.get(ray.remote(lambda: 1).remote()) == 1
    print(get_authentication_mode(), AuthenticationTokenLoader.instance().get_raw_token())
"""


def run(code: str, home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs `code` in a process whose user's home is `home`, without anything that leads to Ray."""
    command = [sys.executable, "-c", code, str(home / "caviar")]
    env = {**clean(), "HOME": str(home), **environment}
    return subprocess.run(command, check=False, env=env, capture_output=True, text=True, timeout=120)


@pytest.mark.ray
@pytest.mark.parametrize("before", ["", "import ray"], ids=["fresh", "imported"])
def test_an_own_cluster_demands_a_token_that_nobody_else_can_read(tmp_path: Path, before: str) -> None:
    done = run(OWN_CLUSTER.format(before=before), tmp_path)
    assert done.returncode == 0, done.stderr
    token = tmp_path / "caviar" / "ray.token"
    assert done.stdout.split() == ["1", token.read_text()]
    assert token.stat().st_mode & 0o777 == 0o600
    assert not (tmp_path / ".ray" / "auth_token").exists()


def test_a_token_that_others_can_read_is_not_used(tmp_path: Path) -> None:
    token = tmp_path / "ray.token"
    token.write_text("a" * 64)
    token.chmod(0o644)  # as a checkout would make it
    with pytest.raises(OSError, match="can be read by others"):
        own_token(tmp_path)
    token.chmod(0o600)
    assert own_token(tmp_path).read_text() == "a" * 64


@pytest.mark.parametrize("address", ["127.0.0.1:{port}", "ray://127.0.0.1:{port}"])
def test_a_cluster_that_is_not_there_is_told_at_once(tmp_path: Path, address: str) -> None:
    with socket.socket() as taken:  # bound, so that nobody else gets the port, and not listening
        taken.bind(("", 0))
        there = address.format(port=taken.getsockname()[1])
        code = OWN_CLUSTER.format(before="")
        began = time.monotonic()
        done = run(code, tmp_path, RAY_ADDRESS=there)
    assert time.monotonic() - began < 30
    assert f"OSError: no Ray cluster answers at RAY_ADDRESS={there}" in done.stderr


@pytest.mark.parametrize("address", ["auto", "local", "vendor://team/cluster"])
def test_names_are_left_to_ray(address: str) -> None:
    _probe(address, "nowhere.invalid")


@pytest.mark.parametrize("address", ["127.0.0.1:{port}", "ray://127.0.0.1:{port}"])
def test_a_cluster_that_listens_is_let_through(address: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        _probe(address.format(port=server.getsockname()[1]), "127.0.0.1")


@pytest.mark.parametrize("address", ["no-such-host.invalid:6379", "127.0.0.1:99999"])
def test_a_wrong_address_is_named(address: str) -> None:
    with pytest.raises(OSError, match=address):
        _probe(address, "127.0.0.1")
