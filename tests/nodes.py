"""More Ray nodes on this machine, which join a cluster and leave it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

RAY = Path(sys.executable).with_name("ray")


class Node:
    """One `ray start --block`, in a process group of its own."""

    def __init__(self, address: str, options: list[str], *, hide: Path | None, env: Mapping[str, str], log: Path):
        """Joins the cluster; with `hide`, all its processes see an empty folder there (that needs root)."""
        command = [str(RAY), "start", "--block", f"--address={address}", *options]
        if hide:
            script = 'mount -t tmpfs tmpfs "$1" && shift && exec "$@"'
            command = ["unshare", "-m", "sh", "-c", script, "sh", str(hide), *command]
        with log.open("wb") as out:
            env = {**os.environ, **env}
            self._process = subprocess.Popen(command, env=env, stdout=out, stderr=out, start_new_session=True)

    def end(self) -> None:
        self._process.terminate()
        self._process.wait(30)

    def kill(self) -> None:
        """As when the machine loses its power."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(30)


@contextmanager
def joined(
    address: str, *options: str, log: Path, hide: Path | None = None, env: Mapping[str, str] | None = None
) -> Iterator[Node]:
    """A node for the time of the block, which begins when the cluster (that this process is connected to) has it."""
    import ray

    before = len(ray.nodes())
    node = Node(address, list(options), hide=hide, env=env or {}, log=log)
    try:
        deadline = time.monotonic() + 60
        while len(ray.nodes()) == before:
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield node
    finally:
        if node._process.poll() is None:
            node.end()
