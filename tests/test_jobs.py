"""Sweeps as jobs on a real Ray head that demands a token: sent, raced for, cut off, killed, gone on with."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from cluster.dashboard import JobsError, UnreachableError, checked
from cluster.following import Rest
from cluster.jobs import Jobs
from tests import monthly
from tests.conftest import COMMAND, Home
from tests.environment import clean
from tests.ports import free_ports
from tuner import api
from tuner.cli import main
from tuner.cli.shipment import packed
from tuner.engine.tracking import embedded_uri
from tuner.spec import Spec, from_mapping, load

pytestmark = pytest.mark.ray

SPEC: dict[str, Any] = {
    "name": "digits",
    "data": {"source": "data/*.npz"},
    "model": {"hidden_layers": 1, "hidden_units": 32},
    "search": {"trials": 40},
    "stopping": {"asha": {"max_epochs": 9}},
    "objective": {"confirm": 1, "seeds": 1, "baseline": False},
}


@dataclass(frozen=True)
class Head:
    """A Ray head with its dashboard: nobody may use it without the token."""

    address: str
    port: int
    folder: Path
    token: Path

    def user(self, folder: Path, **environment: str) -> Home:
        """A user of this head whose files are in `folder`."""
        own = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(self.token), "RAY_API_SERVER_ADDRESS": self.address}
        return Home(folder, {**clean(), **own, **environment})


@pytest.fixture(scope="module")
def head() -> Iterator[Head]:
    folder = Path(tempfile.mkdtemp(prefix="head"))  # sockets in it have names of at most 107 characters
    token = folder / "token"
    token.write_text("b" * 64)
    gcs, dashboard, client = free_ports(3)
    started = subprocess.Popen(
        [
            *(sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--num-cpus", "2"),
            *("--node-ip-address", "127.0.0.1", "--port", str(gcs), "--dashboard-host", "127.0.0.1"),
            *("--dashboard-port", str(dashboard), "--dashboard-agent-listen-port", "0"),
            *("--ray-client-server-port", str(client), "--temp-dir", str(folder / "ray"), "--disable-usage-stats"),
        ],
        env=clean()
        | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token), "CAVIAR_HOME": str(folder / "home")}
        | {"PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(lambda: answers(dashboard) or started.poll() is not None, 60)
        assert started.poll() is None, "ray start has ended"
        yield Head(f"http://127.0.0.1:{dashboard}", dashboard, folder, token)
    finally:
        end(started)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def laptop(head: Head, digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A user's folder, with a spec and the data beside it, by a relative path."""
    folder = tmp_path_factory.mktemp("laptop")
    (folder / "data").mkdir()
    shutil.copy(digits, folder / "data")
    (folder / "data/notes.txt").write_text("not for others")
    (folder / "digits.yaml").write_text(yaml.safe_dump(SPEC))
    return head.user(folder)


@dataclass(frozen=True)
class Sent:
    """What the head has of submissions: the names of their files, their spec, and the names of the packages' files."""

    files: set[str]
    spec: Spec
    modules: set[str]


@dataclass(frozen=True)
class Story:
    """What was seen of one sweep, from two submissions at once to its end."""

    raced: list[dict[str, Any]]
    attached: subprocess.CompletedProcess[str]
    interrupted: tuple[int, str]
    followed: str
    again: subprocess.CompletedProcess[str]
    log: str
    sent: Sent  # while the first job ran


@pytest.fixture(scope="module")
def story(head: Head, laptop: Home) -> Story:
    storage = head.folder / "storage"
    send = ["submit", "digits.yaml", "--id", "story", "--storage", str(storage)]
    raced = [start(laptop, *send, "--json") for _ in range(2)]
    answered = [json.loads(one.communicate(timeout=60)[0].splitlines()[-1]) for one in raced]
    with Proxy(head.port) as proxy:
        following = start(laptop, "logs", "-f", "story", "--address", f"http://127.0.0.1:{proxy.port}")
        watching = start(laptop, *send, "--follow")
        attached = laptop.caviar(*send, "--set", "search.trials=41")
        assert following.stdout
        assert watching.stdout
        first = following.stdout.readline()
        next(line for line in watching.stdout if "Running entrypoint" in line)  # it follows by now
        proxy.cut()
        watching.send_signal(signal.SIGINT)
        interrupted = watching.wait(30), str(watching.communicate()[1])
        wait_for(lambda: any((storage / "sweeps/story/journal").glob("00000[4-9].json")))
        sent = what_was_sent(head)  # before another job brings its own: who knows when Ray removes which
        driver("story").kill()
        again = laptop.caviar(*send, "--follow", "--set", "search.trials=41")
        followed = first + following.stdout.read()
    return Story(answered, attached, interrupted, followed, again, laptop.caviar("logs", "story").stdout, sent)


def test_of_two_submissions_at_once_one_starts_and_one_attaches(story: Story) -> None:
    assert sorted(one["submission"] for one in story.raced) == ["attached", "started"]
    assert {one["sweep"] for one in story.raced} == {"story"}


def test_a_later_submission_attaches_and_says_that_its_spec_does_not_count(story: Story) -> None:
    assert "sweep story: attached" in story.attached.stdout
    assert "caviar logs -f story" in story.attached.stdout
    assert "another spec" in story.attached.stdout


def test_an_interrupt_ends_the_following_and_not_the_sweep(story: Story) -> None:
    code, said = story.interrupted
    assert code == 130
    assert "sweep story goes on" in said


def test_a_killed_driver_is_followed_by_another_that_goes_on(story: Story, head: Head) -> None:
    assert "sweep story: goes on" in story.again.stdout
    assert "another spec" in story.again.stdout
    assert "leaderboard  40 trials" in story.again.stdout
    entries = [
        json.loads(file.read_text()) for file in sorted((head.folder / "storage/sweeps/story/journal").iterdir())
    ]
    kinds = [entry["kind"] for entry in entries]
    assert (kinds.count("created"), kinds.count("attempt"), kinds[-1]) == (1, 2, "ended")
    assert "Traceback" not in story.log


def test_following_after_a_kill_begins_where_the_killed_one_ended(story: Story) -> None:
    assert story.log.count("Running entrypoint for job story") == 2
    assert story.again.stdout.count("Running entrypoint for job story") == 1


def test_a_log_is_followed_through_a_lost_connection_without_loss_or_repetition(story: Story) -> None:
    assert "Running entrypoint" in story.followed
    assert story.log.startswith(story.followed)


def what_was_sent(head: Head) -> Sent:
    """What lies on the head while there is one job."""
    there = next((head.folder / "ray").glob("session_2*")) / "runtime_resources"
    [job] = there.glob("working_dir_files/_ray_pkg_*/")
    packages = there.glob("py_modules_files/_ray_pkg_*/")
    return Sent(files_in(job), load(job / "spec.yaml"), {file for package in packages for file in files_in(package)})


def test_what_was_sent_is_the_spec_the_data_and_this_package(story: Story) -> None:
    assert story.sent.files == {"spec.yaml", "data/digits.npz"}
    assert story.sent.spec == from_mapping(SPEC)
    root, rooms = Path(api.__file__).parents[1], ("tuner", "models", "cluster")
    assert story.sent.modules == {f"{room}/{file}" for room in rooms for file in files_in(root / room)}
    assert not [name for name in story.sent.modules if not name.endswith((".py", ".html", ".css", ".js"))]


def test_a_finished_sweep_is_not_run_again(story: Story, laptop: Home) -> None:
    found = laptop.answer("submit", "digits.yaml", "--id", "story")
    assert found["submission"] == "finished"
    assert laptop.answer("logs", "stor")["log"] == laptop.caviar("logs", "digits.yaml").stdout == story.log
    assert "it knows story" in laptop.caviar("logs", "nothing", code=2).stderr


def test_a_finished_sweep_is_extended_as_another_job_of_the_same_id(story: Story, laptop: Home, head: Head) -> None:
    there = ["--address", head.address, "--storage", str(head.folder / "storage")]
    assert laptop.answer("resume", "story", *there) == {"sweep": "story", "status": "finished", "trials": 40}
    sent = laptop.answer("extend", "story", "--trials", "+2", "--max-epochs", "9", *there)
    assert (sent["sweep"], sent["submission"]) == ("story", "goes on")
    log = laptop.caviar("logs", "-f", "story").stdout
    assert log.startswith(story.log)
    assert "entrypoint for job story: python -m tuner.cli extend story --trials 42 --max-epochs 9\n" in log
    assert "leaderboard  42 trials" in log
    other = laptop.caviar("submit", "digits.yaml", "--id", "story", "--set", "search.trials=41").stdout
    assert "sweep story: finished" in other
    assert "another spec" in other  # the new job tells which spec the sweep has, as the first one did


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({"RAY_AUTH_MODE": "disabled"}, "(401): set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN_PATH"),
        ({"RAY_AUTH_TOKEN": "wrong" * 8}, "the token in RAY_AUTH_TOKEN (403)"),
        ({"RAY_AUTH_TOKEN_PATH": "/nowhere"}, "/nowhere, no file (403)"),
    ],
    ids=["none", "wrong", "missing"],
)
def test_without_the_token_nothing_is_sent(laptop: Home, head: Head, environment: dict[str, str], told: str) -> None:
    stranger = head.user(laptop.folder, **environment)
    done = stranger.caviar("submit", "digits.yaml", code=3, timeout=30)
    assert told in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert "wrong" * 8 not in done.stderr


def test_a_job_that_would_lose_its_sweep_ends_with_bad_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CAVIAR_HOME", "CAVIAR_STORAGE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")
    with pytest.raises(ValueError, match="submit it with --storage"):
        api.place()
    assert api.place(str(tmp_path)).storage.uri == str(tmp_path)


AT_ONCE = """
import sys, time
from pathlib import Path
from cluster.job import Command
from cluster.jobs import Jobs
from tuner.cli.submit import labels_that_count
jobs, folder = Jobs(sys.argv[1]), Path(sys.argv[2])
for name, code in (("quick", "1"), ("wrong", "2")):
    jobs.submit(name, Command(["sh", "-c", f"exit {code}"], folder, labels={"job": name}))
while not jobs.job("quick").state.ended:
    time.sleep(0.05)
print(jobs.submit("quick", Command(["sleep", "3"], folder)).outcome, jobs.follow("quick", lambda _: None).state)
print(jobs.job("wrong").state, labels_that_count(jobs, "wrong"))
"""


def test_an_id_that_has_just_failed_can_be_used_at_once(head: Head, laptop: Home, tmp_path: Path) -> None:
    """Where Ray still watches over the failed job, it takes the new one for dead, too.

    Of one that found its input bad, nothing counts: it has not begun a sweep.
    """
    (tmp_path / "file").touch()
    command = [sys.executable, "-c", AT_ONCE, head.address, str(tmp_path)]
    done = subprocess.run(command, check=False, env=laptop.env, capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines() == ["goes on SUCCEEDED", "FAILED {}"], done.stderr


NOWHERE = "http://127.0.0.1:1"  # where nobody listens: whoever got so far would fail with 3


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--set", "search.trials=0", "--set", "data.sorce=x"], ["2 problems", "search.trials", "data.sorce"]),
        (["--set", "data.source=none/*.npz"], ["none/*.npz", "an absolute path or a URI"]),
        (["--set", "data={source: large.csv, target: y}"], ["have 101 MB", "an absolute path or a URI"]),
        (["--set", "data={source: data/notes.txt, target: y}"], ["must end in one of"]),
        (["--set", "tracking.uri=http://me:pw@host"], ["tracking.uri", "password"]),
        (["--storage", "s3://key:pw@bucket/x"], ["--storage holds a password"]),
        (["--storage", "sweeps"], ["a URI or an absolute path"]),
        (["--id", "x; rm -rf ~"], ["a sweep's id must be"]),
        (["--address", "head:8265"], ["http://head:8265"]),
    ],
)
def test_bad_input_is_told_before_anything_is_sent(
    laptop: Home,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    told: list[str],
) -> None:
    with (laptop.folder / "large.csv").open("wb") as file:
        file.truncate(101_000_000)
    monkeypatch.chdir(laptop.folder)
    monkeypatch.setattr(sys, "argv", ["caviar", "submit", "digits.yaml", "--address", NOWHERE, *options])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr().err
    assert ended.value.code == 2, said
    assert all(part in said for part in told), said
    assert "pw@" not in said


def test_nobody_there_and_somebody_else_are_told_apart() -> None:
    with pytest.raises(UnreachableError, match=f"nothing answers at {NOWHERE}"):
        Jobs(NOWHERE)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(JobsError, match="is no Ray dashboard"):
            Jobs(f"http://127.0.0.1:{server.server_port}")
        server.shutdown()


@pytest.mark.parametrize(
    "address", ["", "head:8265", "ray://head:10001", "os.path://x", "http://u:p@head:1", "http://h:x"]
)
def test_what_ray_would_import_or_search_for_is_no_address(address: str) -> None:
    with pytest.raises(ValueError, match="http://head:8265"):
        checked(address)


def test_files_above_the_working_directory_are_sent_below_it(
    tmp_path: Path, digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a folder's name has the characters of a glob; what has an absolute path stays where it is."""
    here = tmp_path / "project/specs [new]"
    here.mkdir(parents=True)
    for folder in (here, tmp_path / "project/data"):
        folder.mkdir(exist_ok=True)
        shutil.copy(digits, folder)
    monkeypatch.chdir(here)
    data = {"source": ["../data/*.npz", "digits.npz", "/shared/x.npz", "s3://bucket/y.npz"]}
    with packed(from_mapping({"name": "up", "data": data}), ship_packages=False) as shipment:
        sources = load(shipment.folder / "spec.yaml").data.source
        assert files_in(shipment.folder) == {"spec.yaml", "data/digits.npz", "specs [new]/digits.npz"}
        assert shipment.packages == ()
    assert sources == ("data/*.npz", "specs [[]new]/digits.npz", "/shared/x.npz", "s3://bucket/y.npz")
    assert not shipment.folder.exists()


def test_a_text_that_is_told_again_is_shown_once() -> None:
    shown: list[str] = []
    rest = Rest(shown.append, seen=2)
    for parts in (["ab", "cd"], ["abc"], ["a", "bcdef"]):
        rest.begin()
        for part in parts:
            rest(part)
    assert shown == ["cd", "ef"]


class Proxy:
    """A TCP proxy to a port of this machine, whose connections can be cut."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._server = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.port = self._server.getsockname()[1]

    def __enter__(self) -> Proxy:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.close()
        self.cut()

    def cut(self) -> None:
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._open.clear()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._server.accept()
                far = socket.create_connection(("127.0.0.1", self._to))
                self._open += [near, far]
                for source, target in ((near, far), (far, near)):
                    threading.Thread(target=self._pass, args=(source, target), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)


def start(home: Home, *args: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [COMMAND, *args], cwd=home.folder, env=home.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def driver(sweep: str) -> psutil.Process:
    """The process of the job that drives the sweep."""
    words = ["tuner.cli", "run", "spec.yaml", "--id", sweep]
    [found] = [one for one in psutil.process_iter(["cmdline"]) if (one.info["cmdline"] or [])[2:7] == words]
    return found


def files_in(folder: Path) -> set[str]:
    """Names of the files in `folder`, without what Python itself writes."""
    files = (file for file in folder.rglob("*") if file.is_file() and file.parent.name != "__pycache__")
    return {file.relative_to(folder).as_posix() for file in files}


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def end(process: subprocess.Popen[bytes]) -> None:
    """Ends the process and all that it has started."""
    family = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
    for one in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()
    process.wait()
    psutil.wait_procs(family, timeout=10)


def test_a_period_is_tuned_on_the_cluster(head: Head, tmp_path: Path) -> None:
    monthly.deliver(tmp_path, "1", monthly.table("2013-01-01", "2013-02-01"))
    storage = head.folder / "storage"
    policy = monthly.write(tmp_path, run={"address": head.address, "storage": str(storage)})
    user = head.user(tmp_path, MLFLOW_TRACKING_URI=embedded_uri(head.folder / "home"))
    found = user.answer("retune", "run", str(policy), "--now", "2013-02-01")
    assert found["state"] == "promoted"
    [sweep] = [folder.name for folder in (storage / "sweeps").iterdir() if folder.name.startswith("shop-2013-02-01")]
    assert f"Running entrypoint for job {sweep}" in user.answer("logs", sweep)["log"]
