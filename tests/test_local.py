"""A real cluster of one machine: what it answers, to whom, and that it ends with all it started and nothing else."""

from __future__ import annotations

import base64
import ipaddress
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from cluster import current, files, local, probe
from cluster.addresses import bound_address
from cluster.ending import all_or_nothing
from cluster.processes import MARK, Service, marked, new_mark, runs, start
from cluster.record import Record, head_file, read, write
from cluster.starting import StartError, wait
from tests.conftest import COMMAND, Home
from tests.environment import clean
from tests.ports import free_ports
from tuner.cli.app import use_the_cluster_that_is_up
from tuner.cli.logs import named

PASSWORD = "correct horse battery"  # noqa: S105
RAY = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--include-dashboard=false"]
JOB = """
import pathlib, signal, sys, time
folder = pathlib.Path(sys.argv[1])
def end(*_):
    time.sleep(0.5)
    (folder / "ended").touch()
    sys.exit()
signal.signal(signal.SIGINT, end)
(folder / "started").touch()
time.sleep(600)
"""
SUBMIT = """
import sys
from ray.job_submission import JobSubmissionClient
JobSubmissionClient(sys.argv[1]).submit_job(entrypoint=sys.argv[2], submission_id="sleeper")
"""


def port_options(ports: list[int]) -> list[str]:
    names = ("--ray-port", "--dashboard-port", "--mlflow-port")
    return [word for name, port in zip(names, ports, strict=True) for word in (name, str(port))]


def outward_address() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as route:
        route.connect(("192.0.2.1", 9))  # sends nothing
        return str(route.getsockname()[0])


def new_home(folder: Path, **more: str) -> Home:
    return Home(folder, {**clean(), **more})


def status_of(url: str, **headers: str) -> int:
    try:
        request = urllib.request.Request(url, headers=headers)  # noqa: S310  # a server of ours
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def told(ask: Callable[..., list[Any]], *args: Any) -> list[Any]:
    """What a process answers about itself; nothing if it has just ended."""
    try:
        return ask(*args)
    except psutil.NoSuchProcess:
        return []


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.2)


@dataclass(frozen=True)
class Up:
    """A cluster that is up, what `up` answered, and its record."""

    home: Home
    answer: dict[str, Any]
    record: Record
    bystander: subprocess.Popen[bytes]

    @property
    def caviar_home(self) -> Path:
        return self.home.folder / ".caviar"

    def processes(self) -> list[psutil.Process]:
        return marked(self.record.mark)


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A cluster with a job that sleeps, on a machine where another Ray cluster runs."""
    folder = tmp_path_factory.mktemp("up")
    *ports, other = free_ports(4)
    home = new_home(folder)
    own = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_AUTH_MODE": "disabled", "CAVIAR_MARK": "another"}
    with (folder / "bystander.log").open("wb") as log:
        bystander = subprocess.Popen(
            [*RAY, f"--port={other}", "--num-cpus=1"], env={**home.env, **own}, stdout=log, stderr=log
        )
    try:
        answer = home.answer("up", *port_options(ports))
        record = read(head_file(folder / ".caviar"))
        assert record
        (folder / "job.py").write_text(JOB)
        env = {**home.env, **answer["environment"]}
        command = f"python {folder / 'job.py'} {folder}"
        subprocess.run([sys.executable, "-c", SUBMIT, answer["dashboard"], command], env=env, check=True, timeout=60)
        wait_until((folder / "started").exists)
        yield Up(home, answer, record, bystander)
    finally:
        bystander.terminate()
        bystander.wait(60)
        home.caviar("down")


def test_it_says_where_it_is_and_what_commands_need(up: Up) -> None:
    said = up.home.caviar("up").stdout
    for name in ("ray", "dashboard", "mlflow"):
        assert up.answer[name] in said
    assert "caviar submit SPEC" in said
    assert up.answer["environment"] == current.environment(up.caviar_home)
    assert {"RAY_ADDRESS", "RAY_API_SERVER_ADDRESS", "MLFLOW_TRACKING_URI"} < set(up.answer["environment"])
    assert head_file(up.caviar_home).stat().st_mode & 0o777 == 0o600


def test_a_second_up_starts_nothing(up: Up) -> None:
    again = up.home.answer("up")
    assert (up.answer["started"], again["started"]) == (True, False)
    assert {**again, "started": True} == up.answer
    assert read(head_file(up.caviar_home)) == up.record


def test_the_dashboard_demands_the_token(up: Up) -> None:
    token = Path(up.answer["token"])
    assert token.stat().st_mode & 0o777 == 0o600
    for path in ("/api/jobs/", "/nodes?view=summary", "/api/v0/actors", "/metrics"):
        url = up.answer["dashboard"] + path
        assert status_of(url) == 401
        assert status_of(url, Authorization="Bearer wrong") == 403
    assert status_of(up.answer["dashboard"] + "/api/jobs/", Authorization=f"Bearer {token.read_text()}") == 200


def test_mlflow_is_called_by_its_names_only(up: Up) -> None:
    url = up.answer["mlflow"] + "/api/2.0/mlflow/experiments/search?max_results=1"
    assert status_of(url) == 200
    assert status_of(url, Host="localhost:8000") == 200  # the beginning of a tunnel
    assert status_of(url, Host="evil.example") == 403
    assert status_of(url, Host="10.0.0.1:5000") == 403


def test_nothing_listens_beyond_loopback(up: Up) -> None:
    listening = [
        (process.name(), connection.laddr)
        for process in up.processes()
        for connection in told(process.net_connections, "inet")
        if connection.status == psutil.CONN_LISTEN or connection.type == socket.SOCK_DGRAM
    ]
    addresses = {ipaddress.ip_address(place.ip.removeprefix("::ffff:")) for _, place in listening}
    assert len(listening) > 8, "Ray's agents and workers are among them"
    assert all(address.is_loopback for address in addresses), listening
    assert 10001 not in {place.port for _, place in listening}, "there is no Ray client server"


def test_the_token_is_in_no_process_list_and_no_log(up: Up) -> None:
    token = Path(up.answer["token"]).read_text().encode()
    commands = [" ".join(told(process.cmdline)).encode() for process in up.processes()]
    assert any(b"--head" in command for command in commands)
    logs = [file.read_bytes() for file in (up.caviar_home / "logs").rglob("*") if file.is_file()]
    logs += [file.read_bytes() for file in Path(up.record.files).rglob("*") if file.is_file()]
    assert len(logs) > 10
    assert not any(token in text for text in [*commands, *logs, head_file(up.caviar_home).read_bytes()])


def test_commands_use_it_unless_the_user_says_otherwise(up: Up, monkeypatch: pytest.MonkeyPatch) -> None:
    assert f"MLflow is at {up.answer['mlflow']}" in up.home.caviar("ui").stdout
    found = up.answer["environment"]
    for own in ({}, {"MLFLOW_TRACKING_URI": "http://mine:1"}, {"RAY_ADDRESS": ""}):
        env = {"CAVIAR_HOME": str(up.caviar_home), **own}
        monkeypatch.setattr(os, "environ", dict(env))
        use_the_cluster_that_is_up()
        expected = {k: v for k, v in found.items() if "RAY_ADDRESS" not in own or not k.startswith("RAY_")}
        assert os.environ == {**expected, **env}


def test_its_token_is_for_its_address_alone_however_that_is_written(up: Up, monkeypatch: pytest.MonkeyPatch) -> None:
    port = up.answer["dashboard"].rpartition(":")[2]
    own = [f"http://127.0.0.1:{port}", f"http://127.0.0.1:{port}/", f"http://LOCALHOST:{port}"]
    others = [
        "http://127.0.0.1:1",
        f"http://127.0.0.2:{port}",
        f"http://[::1]:{port}",
        f"http://127.0.0.1:{port}@other",
    ]
    for address in [*own, *others]:
        monkeypatch.setattr(os, "environ", {"CAVIAR_HOME": str(up.caviar_home)})
        use_the_cluster_that_is_up()
        assert named(address) == (up.answer["dashboard"] if address in own else address)
        assert ("RAY_AUTH_TOKEN_PATH" in os.environ) == (address in own), address


def test_down_ends_all_of_it_and_nothing_else(up: Up) -> None:
    ours = up.processes()
    ended = up.home.answer("down")["ended"]
    assert set(ended) == {"jobs", "Ray head", "MLflow"}
    assert (up.home.folder / "ended").exists(), "the job was interrupted, and had time to end"
    assert not [process for process in ours if runs(process)]
    assert up.bystander.poll() is None
    assert "raylet" in {child.name() for child in psutil.Process(up.bystander.pid).children()}
    assert current.environment(up.caviar_home) == {}
    assert not head_file(up.caviar_home).exists()
    assert not Path(up.record.files).parent.exists()
    assert (up.caviar_home / "mlflow.db").exists()
    assert list((up.caviar_home / "logs").rglob("job-driver-sleeper.log"))
    assert up.home.answer("down") == {"ended": {}}


def test_a_record_of_another_time_harms_nobody(tmp_path: Path) -> None:
    """The machine was started again, and others were given the ids of the cluster's processes."""
    other = subprocess.Popen(["sleep", "60"], env={MARK: "the mark of another cluster"})
    record = Record("a mark", socket.gethostname(), "127.0.0.1:6379", "/nowhere/ray", pids={"Ray head": other.pid})
    write(head_file(tmp_path), record)
    assert current.environment(tmp_path) == {}
    assert local.down(tmp_path) == {}
    assert other.poll() is None
    assert not head_file(tmp_path).exists()
    other.kill()
    other.wait()


def test_the_head_of_a_shared_home_is_seen_from_other_machines(tmp_path: Path) -> None:
    token = str(tmp_path / "ray.token")
    with socket.create_server(("127.0.0.1", 0)) as server:
        ray = f"127.0.0.1:{server.getsockname()[1]}"
        there = Record("a mark", "another-machine", ray, "/nowhere/ray", token)
        write(head_file(tmp_path), there)
        assert current.environment(tmp_path, shared=True) == {}, "its loopback is not ours"
    with socket.create_server((outward_address(), 0)) as server:
        address = "{}:{}".format(*server.getsockname())
        write(head_file(tmp_path), replace(there, ray=address))
        assert current.environment(tmp_path, shared=True)["RAY_ADDRESS"] == address
        said = new_home(tmp_path, CAVIAR_HOME=str(tmp_path)).caviar("up").stdout
        assert address in said
    assert local.down(tmp_path) == {}
    assert head_file(tmp_path).exists(), "only that machine knows what runs there"


def test_the_record_in_a_cloned_repository_leads_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the token's file, any that it names, and the password for MLflow would go to its author."""
    home = tmp_path / ".caviar"
    monkeypatch.chdir(tmp_path)
    with socket.create_server((outward_address(), 0)) as server:
        address = "{}:{}".format(*server.getsockname())
        token = str(home / "ray.token")
        found = Record("a mark", "another-machine", address, "/nowhere/ray", token, mlflow="http://evil.example")
        for record in (found, replace(found, machine=socket.gethostname(), pids={"Ray head": os.getpid()})):
            write(head_file(home), record)
            monkeypatch.setattr(os, "environ", {})
            use_the_cluster_that_is_up()
            assert os.environ == {}
        write(head_file(home), replace(found, token=str(tmp_path / "elsewhere")))
        assert current.environment(home, shared=True) == {}, "the token's file lies elsewhere"
        assert f"{address}: `caviar down` there" in new_home(tmp_path).caviar("up", code=2).stderr


def test_a_record_that_others_could_write_is_not_read(tmp_path: Path) -> None:
    file = head_file(tmp_path)
    record = Record("a mark", socket.gethostname(), "127.0.0.1:6379", "/nowhere/ray")
    write(file, record)
    assert read(file) == record
    for path, mode in ((file, 0o620), (file, 0o602), (tmp_path, 0o777)):
        before = path.stat().st_mode
        path.chmod(mode)
        assert read(file) is None, oct(mode)
        path.chmod(before)
    os.chown(file, 12345, -1)
    assert read(file) is None
    for mark in (None, ""):  # every process without a mark would have it, and be ended
        write(file, replace(record, mark=mark))  # type: ignore[arg-type]
        assert read(file) is None


def test_down_removes_no_folder_but_what_up_has_made(tmp_path: Path) -> None:
    made, other, precious = Path(files.make()), tmp_path / "caviar-mine/ray", tmp_path / "precious"
    precious.mkdir()
    for ray in (made, other):
        (ray / "session_latest").mkdir(parents=True)
        (ray / "session_latest/logs").symlink_to(precious)
        write(head_file(tmp_path), Record("a mark", socket.gethostname(), "127.0.0.1:6379", str(ray)))
        local.down(tmp_path)
    assert not made.parent.exists()
    assert other.exists()
    assert precious.exists()


@pytest.mark.parametrize(
    ("options", "env", "rule"),
    [
        (["--host", "ADDRESS"], {}, "add --auth"),
        (["--host", "0.0.0.0"], {}, "names no machine"),  # noqa: S104
        (["--host", "127.0.0.2", "--auth"], {"MLFLOW_AUTH_ADMIN_PASSWORD": PASSWORD}, "a loopback address"),
        (["--host", "192.0.2.77"], {}, "no IPv4 address of this machine"),
        (["--auth"], {}, "no default password"),
        (["--auth"], {"MLFLOW_AUTH_ADMIN_PASSWORD": ""}, "no default password"),
        (["--ray-port", "10500"], {}, "must not be from 10002 to 19999"),
        (["--ray-port", "5000"], {}, "must be different ports"),
        (["--database", "postgresql://me:hush@127.0.0.1:9/x"], {}, "set the URL as CAVIAR_DATABASE"),
        ([], {"CAVIAR_DATABASE": "postgresql+psycopg2://me:hush@127.0.0.1:9/x"}, "no database answers at"),
        ([], {"CAVIAR_DATABASE": "my:hush"}, "cannot be read"),
        ([], {"RAY_AUTH_TOKEN": "mine"}, "unset it"),
        ([], {"RAY_AUTH_TOKEN_PATH": "absent"}, "no file with a token"),
        (["--join", "10.0.0.1:port"], {}, "HOST or HOST:PORT"),
        (["--join", "10.0.0.1", "--auth"], {}, "--auth is for a head"),
        (["--join", "127.0.0.1"], {"RAY_AUTH_TOKEN": "mine"}, "on another machine"),
        (["--join", "10.0.0.1"], {}, "joining takes the head's token"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_is_refused_before_anything_starts(
    tmp_path: Path, options: list[str], env: dict[str, str], rule: str
) -> None:
    words = [outward_address() if word == "ADDRESS" else word for word in options]
    said = new_home(tmp_path, **env).caviar("up", *words, code=2).stderr
    assert rule in said
    assert "hush" not in said
    assert not head_file(tmp_path / ".caviar").exists()
    assert not (tmp_path / ".caviar" / "logs").exists()


def test_a_taken_port_is_told(tmp_path: Path) -> None:
    ports = free_ports(3)
    with socket.create_server(("127.0.0.1", ports[2])):
        said = new_home(tmp_path).caviar("up", *port_options(ports), code=2).stderr
    assert f"port {ports[2]} is taken" in said
    assert "--mlflow-port" in said


LISTEN = "import socket, sys, time; s = socket.create_server(('127.0.0.1', int(sys.argv[1]))); print('on', flush=True)"


def test_the_half_of_a_cluster_that_is_left_gives_its_ports_to_the_next(tmp_path: Path) -> None:
    """MLflow is gone and Ray is not: `up` ends Ray, and then finds one port taken, by somebody else."""
    ports, mark = free_ports(3), new_mark()
    ray = Service("Ray head", [sys.executable, "-c", f"{LISTEN}; time.sleep(60)", str(ports[0])], os.environ)
    half = start(ray, mark, tmp_path / "log")
    wait_until(lambda: "on" in (tmp_path / "log").read_text())
    pids = {"Ray head": half.pid, "MLflow": 2**22}  # more than a process can have
    write(head_file(tmp_path), Record(mark, socket.gethostname(), f"127.0.0.1:{ports[0]}", "/nowhere/ray", pids=pids))
    assert current.head(tmp_path) is None
    plan = local.Head(tmp_path, "127.0.0.1", *ports, token=tmp_path / "token", database="sqlite://")
    with socket.create_server(("127.0.0.1", ports[2])), pytest.raises(ValueError, match=f"port {ports[2]} is taken"):
        local.up(plan, lambda: None)
    assert half.wait(5)


def test_what_was_started_is_ended_if_the_rest_fails(tmp_path: Path) -> None:
    record = Record(new_mark(), socket.gethostname(), "127.0.0.1:6379", files.make())
    file = head_file(tmp_path)
    left = "import subprocess; subprocess.Popen(['sleep', '600'], start_new_session=True); print('gone', flush=True)"
    parent = Service("Parent", [sys.executable, "-c", f"{left}; import time; time.sleep(600)"], os.environ)
    broken = Service("Broken", [sys.executable, "-c", f"{left}; raise SystemExit('no such table')"], os.environ)
    with (  # noqa: PT012
        pytest.raises(StartError, match=r"Broken ended with 1 while .*no such table.*\n.*logs/.*/broken.log"),
        all_or_nothing(file, record) as run,
    ):
        started = [run(parent), run(broken)]
        wait_until(lambda: "gone" in started[0].log.read_text() and len(marked(record.mark)) > 1)
        wait(started, {"nobody": lambda: False})
    assert not marked(record.mark)
    assert not file.exists()
    assert not Path(record.files).parent.exists()


def test_a_head_that_is_too_busy_to_answer_undoes_no_join() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = "{}:{}".format(*silent.getsockname())
        with pytest.raises(OSError, match=f"{address} did not answer within 0.2 seconds"):
            probe.ask(address, os.environ, seconds=0.2)
        assert not probe.has_node(address, os.environ, "me", seconds=0.2)


# -- beyond loopback -----------------------------------------------------------------------------------------------

HEAD = "10.79.0.1"
ASK = """
import sys, urllib.request, urllib.error
for url, header in zip(sys.argv[1::2], sys.argv[2::2]):
    request = urllib.request.Request(url, headers={"Authorization": header} if header else {})
    try: print(urllib.request.urlopen(request, timeout=10).status)
    except urllib.error.HTTPError as error: print(error.code)
"""


class Lan:
    """A network of this machine's own, where it has the address HEAD."""

    def __init__(self) -> None:
        self._first = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
        inside = Path(f"/proc/{self._first.pid}/ns/net")
        wait_until(lambda: inside.readlink() != Path("/proc/self/ns/net").readlink())
        self.run("ip", "link", "add", "lan", "type", "veth", "peer", "name", "end")
        for device in ("lo", "lan", "end"):
            self.run("ip", "link", "set", "dev", device, "up")
        self.run("ip", "address", "add", f"{HEAD}/24", "dev", "lan")
        self.run("ip", "route", "add", "default", "dev", "lan")

    def run(self, *args: str, **options: Any) -> subprocess.CompletedProcess[str]:
        inside = ["nsenter", f"--net=/proc/{self._first.pid}/ns/net", "--"]
        return subprocess.run([*inside, *args], capture_output=True, text=True, timeout=120, check=False, **options)

    def caviar(self, home: Home, *args: str, code: int = 0) -> str:
        done = self.run(COMMAND, *args, cwd=home.folder, env=home.env)
        assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def statuses(self, *asked: str) -> list[int]:
        return [int(line) for line in self.run(sys.executable, "-c", ASK, *asked).stdout.split()]

    def close(self) -> None:
        self._first.kill()
        self._first.wait()


def test_other_machines_need_the_token_and_the_password(tmp_path: Path) -> None:
    lan = Lan()
    (tmp_path / "worker").mkdir()
    head = new_home(tmp_path, MLFLOW_AUTH_ADMIN_PASSWORD=PASSWORD)
    worker = new_home(tmp_path / "worker")
    token = tmp_path / ".caviar" / "ray.token"
    try:
        said = lan.caviar(head, "up", "--host", HEAD, "--auth")
        assert f"caviar up --join {HEAD}:6379" in said
        refuse_strangers(lan, token.read_text())
        assert "set MLFLOW_TRACKING_USERNAME" in lan.caviar(head, "list", code=3)
        (tmp_path / "wrong").write_text("0" * 64)
        worker.env["RAY_AUTH_TOKEN_PATH"] = str(tmp_path / "wrong")
        assert "copy ray.token" in lan.caviar(worker, "up", "--join", HEAD, code=3)
        worker.env["RAY_AUTH_TOKEN_PATH"] = str(token)
        assert f"a worker of {HEAD}:6379" in lan.caviar(worker, "up", "--join", HEAD, "--cpus", "1")
        jobs = login_of_jobs(tmp_path)
        jobs_do_not_administer(lan, jobs)
        no_secret_is_shown(tmp_path, [PASSWORD, token.read_text(), jobs[1]])
        assert "ended Ray worker" in lan.caviar(worker, "down")
        assert current.head(tmp_path / ".caviar"), "the head goes on"
    finally:
        lan.caviar(worker, "down")
        lan.caviar(head, "down")
        lan.close()


def login_of_jobs(folder: Path) -> tuple[str, str]:
    """What Ray's head has in its environment for jobs."""
    record = read(head_file(folder / ".caviar"))
    assert record
    assert record.pids
    env = psutil.Process(record.pids["Ray head"]).environ()
    assert PASSWORD not in env.values()
    return env["MLFLOW_TRACKING_USERNAME"], env["MLFLOW_TRACKING_PASSWORD"]


def jobs_do_not_administer(lan: Lan, jobs: tuple[str, str]) -> None:
    """They do what a sweep needs with experiments, also with one of the admin's, and nothing with other users."""
    script = """
import sys
from mlflow.server.auth.client import AuthServiceClient
from mlflow import MlflowClient, MlflowException
client = MlflowClient(sys.argv[1])
client.create_run(client.create_experiment("own"))
client.create_run(client.get_experiment_by_name("Default").experiment_id)
client.create_registered_model("model")
for wrong in (
    lambda: client.delete_experiment(client.get_experiment_by_name("Default").experiment_id),
    lambda: AuthServiceClient(sys.argv[1]).update_user_admin("caviar-jobs", True),
    lambda: AuthServiceClient(sys.argv[1]).update_user_password("admin", "a new password"),
):
    try:
        print(wrong())
    except MlflowException as error:
        print(error.get_http_status_code())
"""
    login = {"MLFLOW_TRACKING_USERNAME": jobs[0], "MLFLOW_TRACKING_PASSWORD": jobs[1], "PATH": os.environ["PATH"]}
    done = lan.run(sys.executable, "-c", script, f"http://{HEAD}:5000", env=login)
    assert done.stdout.split() == ["403"] * 3, done.stderr


def refuse_strangers(lan: Lan, token: str) -> None:
    """At every HTTP server that is reached from outside."""
    search = f"http://{HEAD}:5000/api/2.0/mlflow/experiments/search?max_results=1"
    logins = ["", *(f"Basic {base64.b64encode(f'admin:{p}'.encode()).decode()}" for p in ("wrong", PASSWORD))]
    assert lan.statuses(*(word for login in logins for word in (search, login))) == [401, 401, 200]
    jobs = f"http://{HEAD}:8265/api/jobs/"
    assert lan.statuses(jobs, "", jobs, "Bearer wrong", jobs, f"Bearer {token}") == [401, 403, 200]


def no_secret_is_shown(folder: Path, secrets: list[str]) -> None:
    records = [record for file in folder.rglob("*.json") if (record := read(file))]
    assert len(records) == 2
    ours = [process for record in records for process in marked(record.mark)]
    texts = [" ".join(told(process.cmdline)).encode() for process in ours]
    folders = [folder / ".caviar" / "logs", *(Path(record.files) for record in records)]
    texts += [file.read_bytes() for one in folders for file in one.rglob("*") if file.is_file()]
    texts += [json.dumps([str(record) for record in records]).encode()]
    assert not any(secret.encode() in text for secret in secrets for text in texts)


def test_an_address_is_one_of_this_machine() -> None:
    assert bound_address("localhost") == bound_address("127.0.0.1") == "127.0.0.1"
