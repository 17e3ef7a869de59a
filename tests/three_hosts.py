"""A cluster of three hosts with PostgreSQL behind its MLflow, and a client that reaches its two web pages only."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import psutil

from tests import postgres
from tests.environment import EVEN
from tests.hosts import Host, Network
from tuner.engine.storage import Storage

BIN = Path(sys.executable).parent
RAY, DASHBOARD, MLFLOW = 6379, 8265, 5000
T = TypeVar("T")
WORKERS = ("worker1", "worker2")
NUMBERS = {"head": 1, "worker1": 2, "worker2": 3, "client": 2}  # the client's is in the other network
HEAD, GATE = "10.77.0.1", "10.78.0.1"
OWN = Path("/tmp/ray")  # noqa: S108  # sockets need a short path; each host has its own folder there
PASSWORD = "correct-horse-7"  # noqa: S105
WATCHFUL = {  # a host that is gone is noticed within about 6 seconds instead of 50, a new head within 15
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_timeout_ms": "1500",
    "RAY_health_check_failure_threshold": "3",
    "RAY_raylet_liveness_self_check_interval_ms": "1000",
    "RAY_gcs_rpc_server_reconnect_timeout_s": "10",
}


class Cluster:
    """What `caviar up` makes of three hosts that share a disk; one core for training on each of two of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.shared = folder / "shared"
        self.storage = Storage(self.shared / "storage")
        self.token = folder / "token"
        self.database = postgres.url(folder / "postgres")
        self.shared.mkdir()
        self.token.write_text("c1" * 32)
        self.token.chmod(0o600)
        postgres.prepare(folder / "postgres")
        self.hosts: dict[str, Host] = {}
        self._lan = Network("lan", "10.77.0", folder)
        self._outside = Network("outside", "10.78.0", folder)
        self._gate = Host("gate", folder)
        self._lan.plug(self._gate, 9)
        self._outside.plug(self._gate, 1)
        passed = [GATE, HEAD, str(DASHBOARD), str(MLFLOW)]
        self._gate.start("gate.log", sys.executable, str(Path(__file__).with_name("gate.py")), *passed, env=self.env())

    def close(self) -> None:
        """Ends every process of every host."""
        for host in [*self.hosts.values(), self._gate]:
            host.kill()
        self._lan.kill()
        self._outside.kill()

    # -- hosts -------------------------------------------------------------------------------------------------

    def turn_on(self, *names: str, rejoin: Sequence[str] = ()) -> None:
        """Turns hosts on. Workers, and hosts that are to be workers again, join the head, all at the same time."""
        for name in names:
            self._boot(name)
        ready = self._start_head() if "head" in names else None
        wait_until(lambda: not any(map(self.is_worker, rejoin)), what="Ray to end on hosts whose head is lost")
        self.join(*(name for name in WORKERS if name in (*names, *rejoin)))
        if ready:
            ready()

    def _boot(self, name: str) -> None:
        """A host with a cable and a way to everywhere. The client does not even see the disk."""
        own = [OWN, self.shared] if name == "client" else [OWN]
        self.hosts[name] = host = Host(name, self.folder, own)
        network = self._outside if name == "client" else self._lan
        network.plug(host, NUMBERS[name])
        host.run("ip", "route", "add", "default", "dev", network.name)

    def _start_head(self) -> Callable[[], None]:
        """Returns once workers may join; what it returns waits for the rest."""
        host = self.hosts["head"]
        # locks left by a head without power name a process that may have a namesake on the new one
        for lock in ("postmaster.pid", ".s.PGSQL.5432.lock"):
            (self.folder / "postgres" / lock).unlink(missing_ok=True)
        host.start("postgres.log", *postgres.server(self.folder / "postgres"), env=self.env())
        wait_until(lambda: postgres.answers(self.folder / "postgres"), what="PostgreSQL, which may have to recover,")
        options = ["--host", HEAD, "--auth", "--cpus", "0", "--storage", self.storage.uri]
        ready = self._up("head", *options, CAVIAR_DATABASE=self.database)
        wait_until(lambda: listens(host, RAY), what="Ray to listen")
        return ready

    def join(self, *names: str) -> None:
        """Makes hosts workers, as somebody does whose worker has ended."""
        for joined in [self.begin_to_join(name) for name in names]:
            joined()

    def begin_to_join(self, name: str) -> Callable[[], None]:
        """Begins to make a host a worker; returns what waits until it is one."""
        return self._up(name, "--join", HEAD, "--cpus", "1")

    def kill(self, name: str) -> None:
        """As a power cut."""
        self.hosts.pop(name).kill()
        (self._outside if name == "client" else self._lan).unplug(name)

    def cut(self, name: str) -> None:
        """As a cable that is pulled."""
        self._lan.cut(name)

    def mend(self, name: str) -> None:
        self._lan.mend(name)

    # -- processes ---------------------------------------------------------------------------------------------

    def trainers(self, *names: str) -> list[psutil.Process]:
        """The processes that train packs now, on these hosts or on all."""
        return [one for name in names or WORKERS if name in self.hosts for one in self._find(name, "Trainable")]

    def is_worker(self, name: str) -> bool:
        """Whether Ray still runs there; it ends once it learns that it was given up."""
        return bool(self._find(name, "raylet/raylet"))

    def drivers(self) -> list[psutil.Process]:
        """The processes that run sweeps, as jobs on the head."""
        return self._find("head", "-m tuner.cli run")

    def take_mlflow_away(self) -> Callable[[], None]:
        """Kills the MLflow server; returns what starts it again just as it was."""
        server, *others = self._find("head", "mlflow server") + self._find("head", "mlflow.server")
        command, env = server.cmdline(), server.environ()
        for process in [server, *others]:
            process.kill()
        return lambda: void(self.hosts["head"].start("mlflow.log", *command, env=env))

    def _find(self, name: str, words: str) -> list[psutil.Process]:
        """The processes of a host whose command line has `words`, the oldest first."""
        host, found = ids_of(self.hosts[name].pid), []
        for process in psutil.process_iter():
            try:
                if ids_of(process.pid) == host and words in " ".join(process.cmdline()):
                    found.append(process)
            except (OSError, psutil.Error):  # it has just ended
                continue
        return found

    # -- commands ----------------------------------------------------------------------------------------------

    def env(self, **more: str) -> dict[str, str]:
        """What a command on a host finds in its environment."""
        path = f"{BIN}:/usr/sbin:/usr/bin:/sbin:/bin"
        return {"PATH": path, "HOME": str(self.folder), "TMPDIR": str(OWN), "LC_ALL": "C.UTF-8", **EVEN, **more}

    def client_env(self, **more: str) -> dict[str, str]:
        """What somebody on the client has set."""
        known = {
            "CAVIAR_HOME": str(self.folder / "client-home"),
            "RAY_API_SERVER_ADDRESS": f"http://{GATE}:{DASHBOARD}",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(self.token),
            "MLFLOW_TRACKING_URI": f"http://{GATE}:{MLFLOW}",
            "MLFLOW_TRACKING_USERNAME": "admin",
            "MLFLOW_TRACKING_PASSWORD": PASSWORD,
        }
        return {**self.env(TMPDIR=str(self.folder)), **known, **more}

    def start(self, *args: str, **env: str) -> subprocess.Popen[str]:
        """A caviar command on the client, started."""
        command = self.hosts["client"].command(str(BIN / "caviar"), *args)
        pipe = subprocess.PIPE
        return subprocess.Popen(command, env=self.client_env(**env), stdout=pipe, stderr=pipe, text=True)

    def ask(self, *args: str, **env: str) -> Any:
        """The JSON that a caviar command on the client answers."""
        return answer_of(self.start(*args, "--json", **env))

    def _up(self, name: str, *options: str, **more: str) -> Callable[[], None]:
        """Starts `caviar up` on a host; returns what waits for it, and raises if it fails."""
        given = {
            **WATCHFUL,
            "CAVIAR_HOME": str(self.folder / f"{name}-home"),
            "RAY_AUTH_TOKEN_PATH": str(self.token),
            "MLFLOW_AUTH_ADMIN_PASSWORD": PASSWORD,
            "MLFLOW_SERVER_ALLOWED_HOSTS": f"{GATE}:{MLFLOW}",
            **more,
        }
        log = f"{name}-up.log"
        process = self.hosts[name].start(log, str(BIN / "caviar"), "up", *options, env=self.env(**given))

        def wait() -> None:
            if process.wait(120):
                raise RuntimeError(f"caviar up on {name}: {(self.folder / log).read_text()[-3000:]}")

        return wait


def answer_of(command: subprocess.Popen[str]) -> Any:
    """The JSON on the last line of what a command prints; AssertionError with all it said if it fails."""
    told, errors = command.communicate(timeout=120)
    assert command.returncode == 0, f"exit {command.returncode}\n{told[-2000:]}\n{errors[-4000:]}"
    return json.loads(told.splitlines()[-1])


def ids_of(pid: int) -> Path:
    """Names the host that a process runs on, by the namespace of its process ids."""
    return Path(f"/proc/{pid}/ns/pid").readlink()


def listens(host: Host, port: int) -> bool:
    """Whether something on the host listens at the TCP port."""
    tables = [Path(f"/proc/{host.pid}/net/{table}").read_text().splitlines() for table in ("tcp", "tcp6")]
    sockets = [line.split() for table in tables for line in table[1:]]
    return any(one[1].endswith(f":{port:04X}") and one[3] == "0A" for one in sockets)


def void(_: object) -> None:
    """Drops a value."""


def wait_until(condition: Callable[[], T], seconds: float = 60.0, what: str = "") -> T:
    """What `condition` answers once that is true; AssertionError after so many seconds."""
    until = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < until, f"waited {seconds:.0f} seconds in vain{what and ' for ' + what}"
        time.sleep(0.1)
    return found
