"""A real MLflow server for the time of a block, and what it was asked: the lines of its own access log."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness import Tree

START_SECONDS = 120.0
REQUEST = re.compile(r'"([A-Z]+) (/\S*api/\S*) HTTP')
RUN_ID = re.compile(r"\b[0-9a-f]{32}\b")


@dataclass(frozen=True, slots=True)
class Server:
    """Where it listens, its database, and its log."""

    uri: str
    database: Path
    log: Path

    def requests(self) -> Counter[str]:
        """How often each route was asked for until now; looks at its health are not counted."""
        return routes(self.log.read_text(encoding="utf-8", errors="replace"))


def routes(log: str) -> Counter[str]:
    """The requests in an access log, by method and path without its query; run ids become `ID`."""
    return Counter(f"{method} {RUN_ID.sub('ID', path.partition('?')[0])}" for method, path in REQUEST.findall(log))


@contextmanager
def mlflow_server(folder: Path) -> Iterator[Server]:
    """One worker on SQLite, artifacts through the server. RuntimeError if it does not start."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = Server(f"http://127.0.0.1:{port}", folder / "server.db", folder / "server.log")
    place = ["--backend-store-uri", f"sqlite:///{server.database}", "--artifacts-destination", str(folder / "served")]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with server.log.open("wb") as log:
        process = subprocess.Popen(
            [*command, *place], cwd=folder, env={**os.environ, **quiet}, stdout=log, stderr=subprocess.STDOUT
        )
    with Tree(process.pid) as tree:
        try:
            _wait(server, process)
            yield server
        finally:
            tree.end()
            process.wait()


def _wait(server: Server, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < until:
        try:
            urllib.request.urlopen(f"{server.uri}/health", timeout=2.0).close()  # noqa: S310  # our own, on loopback
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise RuntimeError(f"the MLflow server did not start:\n{server.log.read_text(errors='replace')[-2000:]}")
