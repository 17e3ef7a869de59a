"""A machine whose first process is systemd: namespaces of this one, with what is in deploy/systemd installed.

Its root is this machine's, but what is written there goes to memory; its units are those of deploy/systemd and what
they wait for, nothing of this machine. All ends with its first process.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from tests import compose

SYSTEMD = Path("/lib/systemd/systemd")
needs_booting = pytest.mark.skipif(
    not (os.geteuid() == 0 and SYSTEMD.exists() and shutil.which("systemd-run") and shutil.which("dbus-daemon")),
    reason="starts systemd in namespaces, which needs root, systemd and D-Bus",
)
NAMESPACES = ("--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup")
ENV = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "SYSTEMD_UNIT_PATH": "/etc/systemd/system"}
TARGETS = ("default", "sysinit", "basic", "shutdown", "sockets", "timers", "multi-user", "network-online")
# systemd must see a cgroup of its own as the root of all, so it is entered before the namespace of cgroups is made.
ENTER = """
mount -t cgroup2 cgroup2 /mnt
mkdir -p "/mnt/$1"
echo $$ > "/mnt/$1/cgroup.procs"
umount /mnt
shift
exec unshare --cgroup --uts --ipc --net --pid --fork --kill-child=KILL sh -euc "$@"
"""
BOOT = f"""
mount -t tmpfs tmpfs /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root
cd /mnt/root
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
for name in run tmp var/tmp dev; do mount -t tmpfs -o mode=1777 tmpfs $name; done
chmod 755 run dev
for name in null zero full random urandom tty; do touch dev/$name; mount --bind /dev/$name dev/$name; done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
rm -rf etc/systemd/system
cp -r "$1" etc/systemd/system
for name in {" ".join(TARGETS)}; do
    printf "[Unit]\\nDescription=%s\\nDefaultDependencies=no\\n" $name > etc/systemd/system/$name.target
done
cp lib/systemd/system/dbus.service lib/systemd/system/dbus.socket etc/systemd/system
echo "caviar:x:10001:10001::/var/lib/caviar:/bin/sh" >> etc/passwd
echo "caviar:x:10001:" >> etc/group
mkdir -p old opt/caviar/bin etc/caviar/policies
pivot_root . old
umount -l /old
mount --make-rshared / # else nobody sees the credentials that are mounted for a unit
ip link set dev lo up
exec env container=caviar {SYSTEMD} --system --unit=default.target --log-target=null --show-status=no
"""

REMOVE = """
mount -t cgroup2 cgroup2 /mnt
until find "/mnt/$1" -depth -type d -exec rmdir {} +; do sleep 0.1; done
"""


class Booted:
    """The machine, from when systemd answers until `kill`."""

    def __init__(self, folder: Path) -> None:
        self._cgroup = f"caviar-test-{os.getpid()}"
        command = ["unshare", "--mount", "sh", "-euc", ENTER, "sh", self._cgroup, BOOT, "sh"]
        with (folder / "boot.log").open("wb") as log:
            self._outer = subprocess.Popen(
                [*command, str(compose.DEPLOY / "systemd")], env=ENV, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        until = time.monotonic() + 30
        while self.run("systemctl", "start", "dbus.socket").returncode:
            assert self._outer.poll() is None, (folder / "boot.log").read_text()
            assert time.monotonic() < until, "systemd does not answer"
            time.sleep(0.1)

    def run(self, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
        """A command of this machine's root."""
        inside = [str(one.pid) for one in psutil.Process(self._outer.pid).children()] or ["0"]
        command = ["nsenter", f"--target={inside[0]}", *NAMESPACES, "--wdns=/", "--", *args]
        return subprocess.run(
            command,
            env={**ENV, **env},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            stdin=subprocess.DEVNULL,
        )

    def write(self, path: str, text: str, mode: str = "644") -> None:
        """Makes a file there, and the folder it is in."""
        done = self.run(
            "sh", "-euc", 'mkdir -p "${1%/*}"; printf %s "$2" > "$1"; chmod $3 "$1"', "sh", path, text, mode
        )
        assert done.returncode == 0, done.stderr

    def kill(self) -> None:
        """Ends all at once, and takes its cgroups away."""
        self._outer.kill()
        self._outer.wait()
        command = ["unshare", "--mount", "sh", "-c", REMOVE, "sh", self._cgroup]
        subprocess.run(command, check=False, timeout=20, stderr=subprocess.DEVNULL)  # busy until the last has ended
