"""One service of deploy/compose.yaml without a container engine: the same command, user, mounts and networks.

A container is a Host of Linux namespaces. Its root is this machine's, read-only, under what the service mounts; what an
image would bring comes from this machine, too: Caviar with its Python, PostgreSQL, rclone, Caddy. Needs root.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from tests import compose, postgres
from tests.environment import EVEN
from tests.hosts import Host

VENV = Path(sys.prefix)
IMAGE_USER = "10001:10001"
BARE = ["--clear-groups", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]  # cap_drop and security_opt
ROOT = "/mnt/root"
TEMPORARY, MADE = "/tmp", ("/var/tmp", "/run")  # noqa: S108  # the service's own; the image's volume, and the engine's
# An image's own files are below the mounts; /root, where a Python may be, can be entered.
MAKE_ROOT = f"""
mount -t tmpfs tmpfs /mnt
mkdir /mnt/upper /mnt/work {ROOT}
mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work {ROOT}
chmod 755 {ROOT}/root
cat > {ROOT}/etc/hosts
echo "image:x:$1:$2::/:/bin/sh" >> {ROOT}/etc/passwd
mount -t tmpfs -o "$3" tmpfs {ROOT}{TEMPORARY}
shift 3
for name in proc dev sys; do mount --rbind /$name {ROOT}/$name; done
for name in {" ".join(MADE)}; do mount -t tmpfs -o mode=1777 tmpfs {ROOT}$name; done
while [ $# -gt 0 ]; do
    if [ -d "$1" ]; then mkdir -p {ROOT}"$2"; else mkdir -p "$(dirname {ROOT}"$2")"; touch {ROOT}"$2"; fi
    mount --bind "$1" {ROOT}"$2"
    shift 2
done
mount -o remount,bind,ro {ROOT}
"""
# What the entry point of PostgreSQL's image does before it runs the command.
POSTGRES = """
export PGDATA=/var/lib/postgresql/18/docker LC_ALL=C
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    initdb --username="$POSTGRES_USER" --pwfile="$POSTGRES_PASSWORD_FILE" --no-sync $POSTGRES_INITDB_ARGS >&2
    echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
    echo "create database $POSTGRES_DB" | postgres --single -j postgres >&2
fi
exec "$@" -c fsync=off
"""


class Container:
    """A service of the file, on a host that is cabled to its networks by whoever makes it."""

    def __init__(self, name: str, service: Mapping[str, Any], folder: Path) -> None:
        self.name, self.service, self.folder = name, service, folder
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / "log"
        self.host = Host(service.get("hostname", name), folder)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def env(self) -> dict[str, str]:
        """The image's variables and the service's; programs and Caviar are found where they are here."""
        image = compose.image_environment() if "build" in self.service else {}
        path = f"{VENV}/bin:{postgres.binaries()}:/usr/sbin:/usr/bin:/sbin:/bin"
        return {**EVEN, **image, **self.service.get("environment", {}), "PATH": path, "PYTHONPATH": "/src"}

    def make_root(self, hosts: str, mounts: Mapping[str, Path]) -> None:
        """Mounts `mounts` (the path in it: the path here) and a file of host names; the rest cannot be written."""
        uid, gid = map(int, self.user.split(":"))
        for inside, outside in mounts.items():
            if not inside.startswith(("/run/secrets", "/etc")):
                os.chown(outside, uid, gid)
        pairs = [str(part) for inside, outside in mounts.items() for part in (outside, inside)]
        own = [str(compose.ROOT), "/src", str(VENV), str(VENV)]
        done = subprocess.run(
            self.host.command("sh", "-euc", MAKE_ROOT, "sh", str(uid), str(gid), self._tmp, *own, *pairs),
            input=hosts.encode(),
            capture_output=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr.decode()

    @property
    def user(self) -> str:
        return str(self.service.get("user", IMAGE_USER))

    @property
    def _tmp(self) -> str:
        """The options of the folder that the service has in memory."""
        (options,) = [one.partition(":")[2] for one in self.service["tmpfs"] if one.startswith(f"{TEMPORARY}:")]
        return str(options)

    def start(self) -> None:
        """Starts the service's command; what it prints is in `log`."""
        words = list(self.service["command"])
        if self.name == "postgres":
            words = ["sh", "-euc", POSTGRES, "sh", *words]
        with self.log.open("ab") as log:
            command, nothing = self.command(*words), subprocess.DEVNULL
            self._process = subprocess.Popen(command, env=self.env, stdin=nothing, stdout=log, stderr=log)

    def exit_code(self) -> int | None:
        """How the service ended; None while it runs."""
        assert self._process
        return self._process.poll()

    def is_healthy(self) -> bool:
        """What the service's own health check says. AssertionError if the service has ended."""
        assert self.exit_code() is None, f"{self.name} ended with {self.exit_code()}: {self.said()}"
        kind, *test = self.service["healthcheck"]["test"]
        command = self.command(*(["sh", "-c", *test] if kind == "CMD-SHELL" else test))
        return subprocess.run(command, check=False, env=self.env, capture_output=True, timeout=120).returncode == 0

    def said(self) -> str:
        return self.log.read_text(errors="replace")[-4000:]

    def terminate(self) -> None:
        """SIGTERM to the service."""
        if self.exit_code() is None and self._process:
            for service in psutil.Process(self._process.pid).children():  # below nsenter
                service.terminate()

    def end(self, seconds: float) -> None:
        """Gives the service so long to end, and then ends all that is left."""
        assert self._process
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        self.host.kill()
        self._process.wait(20)

    def command(self, *args: str) -> list[str]:
        """`args` as a command in the container, as its user; `env` is for it."""
        uid, gid = self.user.split(":")
        inside = ["chroot", ROOT, "setpriv", f"--reuid={uid}", f"--regid={gid}", *BARE]
        return self.host.command(*inside, "env", "--chdir=/tmp", *args)
