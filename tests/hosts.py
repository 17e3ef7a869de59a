"""Machines within this machine: each has processes, a host name, cables and some folders of its own. Needs root.

A host is a set of Linux namespaces around a first process that waits for the end of its input. Nothing of it has a
name outside, and whatever ends this process ends that input: so all is gone with it, however it ends.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil
import pytest

needs_hosts = pytest.mark.skipif(
    "CI" not in os.environ and not (os.geteuid() == 0 and shutil.which("ip")),
    reason="makes network namespaces, which needs root and the command ip",
)
NAMESPACES = ("--net", "--mount", "--uts", "--ipc", "--pid")
FIRST = ("env", "--ignore-signal=CHLD", "cat")  # echoes, buries whoever loses its parent, ends with its input


class Host:
    """A machine that is on until `kill`. It shares the disk, but for the folders that it has `own`."""

    def __init__(self, name: str, folder: Path, own: Sequence[Path] = ()) -> None:
        self.name = name
        self.folder = folder
        isolated = ["unshare", *NAMESPACES, "--fork", "--mount-proc", "--kill-child=KILL"]
        self._first = subprocess.Popen(
            [*isolated, *FIRST], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0
        )
        assert self._first.stdin
        assert self._first.stdout
        self._first.stdin.write(b"\n")
        if not self._first.stdout.readline():  # the echo says that the namespaces are made
            raise RuntimeError("no namespaces can be made: that needs root and, in a container, CAP_SYS_ADMIN")
        (child,) = psutil.Process(self._first.pid).children()
        self.pid: int = child.pid
        self.run("hostname", name)
        self.run("mount", "-t", "tmpfs", "tmpfs", "/dev/shm")  # noqa: S108  # the kernel's name for it
        for number, path in enumerate(own):
            mine = folder / f"{name}-{number}"
            mine.mkdir(parents=True, exist_ok=True)
            path.mkdir(parents=True, exist_ok=True)
            self.run("mount", "--bind", str(mine), str(path))

    def command(self, *args: str) -> list[str]:
        """`args` as a command that runs on this host."""
        return ["nsenter", f"--target={self.pid}", *NAMESPACES, f"--wdns={self.folder}", "--", *args]

    def run(self, *args: str) -> str:
        """The output of a command on this host; RuntimeError with what it said if it fails."""
        done = subprocess.run(self.command(*args), check=False, capture_output=True, text=True, timeout=60)
        if done.returncode:
            raise RuntimeError(f"{self.name}: {' '.join(args)} ended with {done.returncode}: {done.stderr[-2000:]}")
        return done.stdout

    def start(self, log: str, *args: str, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
        """A command on this host, started; what it prints is appended to the file `log` of its folder."""
        with (self.folder / log).open("ab") as file:
            return subprocess.Popen(self.command(*args), env=env, stdout=file, stderr=file, stdin=subprocess.DEVNULL)

    def kill(self) -> None:
        """Ends the host as a power cut would; returns when none of its processes is left."""
        if self._first.poll() is None:
            psutil.Process(self.pid).kill()
            self._first.communicate()


class Network:
    """A switch with a cable to each host that is plugged in; a cable can be cut."""

    def __init__(self, name: str, prefix: str, folder: Path) -> None:
        self.name = name
        self._prefix = prefix
        self._switch = Host(f"{name}-switch", folder)
        self._switch.run("ip", "link", "add", "bridge", "type", "bridge")
        self._switch.run("ip", "link", "set", "dev", "bridge", "up")

    def plug(self, host: Host, number: int) -> str:
        """Gives `host` a cable to the switch, an address with that last number, and returns the address."""
        end = ["type", "veth", "peer", "name", self.name, "netns", str(host.pid)]
        cable = ["ip", "link", "add", "name", host.name, "netns", str(self._switch.pid), *end]
        subprocess.run(cable, check=True, timeout=60)
        self._switch.run("ip", "link", "set", "dev", host.name, "master", "bridge", "up")
        address = f"{self._prefix}.{number}"
        host.run("ip", "link", "set", "dev", "lo", "up")
        host.run("ip", "address", "add", f"{address}/24", "dev", self.name)
        host.run("ip", "link", "set", "dev", self.name, "up")
        return address

    def cut(self, name: str) -> None:
        """Lets no packet of the host `name` through any more, and tells nobody: as if its cable were pulled."""
        self._switch.run("ip", "link", "set", "dev", name, "down")

    def mend(self, name: str) -> None:
        self._switch.run("ip", "link", "set", "dev", name, "up")

    def unplug(self, name: str) -> None:
        """Takes the cable away, also that of a host which is gone: the name can be plugged in again."""
        subprocess.run(self._switch.command("ip", "link", "delete", "dev", name), check=False, capture_output=True)

    def kill(self) -> None:
        self._switch.kill()
