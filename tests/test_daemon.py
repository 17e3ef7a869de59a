"""The daemon as a process: what it runs, when, and how it ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from cluster.current import environment
from cluster.daemon import until_next
from cluster.processes import new_mark
from cluster.record import Record, head_file, write
from tests import monthly
from tests.conftest import COMMAND

# argv: seconds of a round, then the scripts that are its commands.
DAEMON = """
import os, sys
from cluster.daemon import run
every, *scripts = sys.argv[1:]
tell = lambda command, ended: print(command[-1], ended, flush=True)
run([[*script.split("|")] for script in scripts], os.environ, tell, every=float(every))
"""
# argv: a file and seconds; writes its process id and its end into the file, and takes a moment to end in good order.
CHILD = """
import os, signal, sys, time
def note(line):
    with open(sys.argv[1], "a") as file: file.write(line + "\\n")
try:
    note(f"began {os.getpid()}")
    time.sleep(float(sys.argv[2]))
    note("done")
except KeyboardInterrupt:
    time.sleep(0.3)
    note("interrupted")
    sys.exit(130)
"""


@dataclass
class Started:
    """Processes of one test, and the folder of their files."""

    folder: Path
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    def daemon(self, every: float, *commands: list[str]) -> subprocess.Popen[str]:
        return self.start(sys.executable, "-c", DAEMON, str(every), *("|".join(command) for command in commands))

    def start(self, *command: str, **env: str) -> subprocess.Popen[str]:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        process = subprocess.Popen(command, cwd=self.folder, env={**os.environ, **env}, **pipes)  # type: ignore[call-overload]
        self.processes.append(process)
        return self.processes[-1]

    def child(self, name: str, seconds: float) -> list[str]:
        return [sys.executable, "-c", CHILD, str(self.folder / name), str(seconds)]

    def lines(self, name: str) -> list[str]:
        file = self.folder / name
        return file.read_text().splitlines() if file.exists() else []


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Started]:
    made = Started(tmp_path)
    yield made
    for process in made.processes:
        process.kill()
        process.communicate()


def soon(holds: Callable[[], object], seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.02)


def ended(process: subprocess.Popen[str]) -> tuple[int, list[str]]:
    """Exit code and what was printed."""
    printed, _ = process.communicate(timeout=20)
    return process.returncode, printed.splitlines()


def test_the_first_round_comes_at_once_and_a_signal_ends_the_wait(started: Started) -> None:
    daemon = started.daemon(3600, started.child("a", 0), [str(started.folder / "gone")], started.child("b", 0))
    assert daemon.stdout is not None
    printed = [daemon.stdout.readline() for _ in range(3)]
    assert [printed[0], printed[2]] == ["0 0\n", "0 0\n"]
    assert "No such file" in printed[1]  # what cannot start costs the others nothing
    assert [started.lines(name)[1:] for name in "ab"] == [["done"], ["done"]]
    daemon.send_signal(signal.SIGTERM)
    assert ended(daemon) == (0, [])


def test_rounds_come_again_and_never_two_at_once(started: Started) -> None:
    daemon = started.daemon(0.2, started.child("a", 0.5))
    soon(lambda: started.lines("a")[5:])
    daemon.send_signal(signal.SIGTERM)
    ended(daemon)
    verbs = [line.split()[0] for line in started.lines("a")]
    assert verbs[:6] == ["began", "done"] * 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_running_command_is_interrupted_and_waited_for(started: Started, number: signal.Signals) -> None:
    daemon = started.daemon(0.2, started.child("a", 15), started.child("b", 0))
    soon(lambda: started.lines("a"))
    daemon.send_signal(number)
    code, printed = ended(daemon)
    assert code == 0
    assert started.lines("a")[1:] == ["interrupted"]
    assert printed == ["15 130"]
    assert started.lines("b") == []  # nothing else begins
    with pytest.raises(ProcessLookupError):
        os.kill(int(started.lines("a")[0].split()[1]), 0)


def test_a_terminals_interrupt_reaches_a_command_once(started: Started) -> None:
    """Ctrl-C goes to a whole process group; a second one would cut short how the command ends."""
    daemon = started.daemon(3600, started.child("a", 15))
    soon(lambda: started.lines("a"))
    child = int(started.lines("a")[0].split()[1])
    assert os.getpgid(child) == child != os.getpgid(daemon.pid)
    assert os.getsid(child) == child
    daemon.send_signal(signal.SIGINT)
    assert ended(daemon) == (0, ["15 130"])


@pytest.mark.parametrize(("now", "expected"), [(7200.0, 3600.0), (7201.0, 3599.0), (10799.5, 0.5)])
def test_rounds_are_at_full_hours(now: float, expected: float) -> None:
    assert until_next(now, 3600) == expected


def test_the_command_ticks_a_policy_and_says_how_it_went(started: Started) -> None:
    monthly.write(started.folder)
    daemon = started.start(COMMAND, "schedule", "run", monthly.POLICY, CAVIAR_DATABASE="no URL")
    assert daemon.stdout is not None
    line = next(line for line in daemon.stdout if "policy.yaml  exit" in line)
    daemon.send_signal(signal.SIGTERM)
    assert ended(daemon) == (0, [])
    assert line.split(maxsplit=2)[2] == "policy.yaml  exit 2\n"


def test_a_wrong_policy_is_told_at_once_and_not_each_hour(started: Started) -> None:
    monthly.write(started.folder)
    (started.folder / "bad.yaml").write_text("model: shop\nspec: spec.yaml\nschedul: {}\n")
    code, printed = ended(started.start(COMMAND, "schedule", "run", monthly.POLICY, "bad.yaml"))
    assert code == 2
    assert any("schedul: unknown key" in line for line in printed)
    assert not any("exit" in line for line in printed), "nothing was started"


def test_a_tick_looks_for_the_cluster_by_itself(started: Started) -> None:
    """The daemon outlives the cluster that is up when it begins, but keeps what the user has set."""
    monthly.write(started.folder)
    mark, here = new_mark(), "http://127.0.0.1:9"
    head = started.start("sleep", "60", CAVIAR_MARK=mark)
    pids = {"Ray head": head.pid}
    record = Record(mark, socket.gethostname(), "127.0.0.1:9", "", dashboard=here, mlflow=here, storage="/x", pids=pids)
    write(head_file(started.folder), record)
    soon(lambda: environment(started.folder).get("RAY_ADDRESS") == "127.0.0.1:9")  # /proc shows the mark a little later

    own = {"CAVIAR_HOME": str(started.folder), "MLFLOW_TRACKING_URI": "http://127.0.0.1:10"}
    daemon = started.start(COMMAND, "schedule", "run", monthly.POLICY, **own)
    children = psutil.Process(daemon.pid).children
    soon(lambda: any("retune" in child.cmdline() for child in children()))
    given = children()[0].environ()
    daemon.send_signal(signal.SIGTERM)
    ended(daemon)
    assert own.items() <= given.items()
    assert not {"RAY_ADDRESS", "RAY_API_SERVER_ADDRESS", "CAVIAR_STORAGE"} & set(given)


def test_nothing_starts_without_all_policies(started: Started) -> None:
    (started.folder / "one.yaml").write_text("no: policy\n")
    code, printed = ended(started.start(COMMAND, "schedule", "run", "one.yaml", "tow.yaml", "."))
    assert code == 2
    assert printed == ["no policy at tow.yaml, .: nothing was started; correct the path"]
