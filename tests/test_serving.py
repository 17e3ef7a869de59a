"""The processes of a deployment, before they begin: with what command and environment, or why not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cluster import serving
from cluster.addresses import address_towards
from cluster.processes import Service
from cluster.server import Login
from tuner.cli import main
from tuner.cli.secret_files import read_into_environment

PASSWORD = "admin-secret-12"  # noqa: S105
ENV = {
    "PATH": "/usr/bin",
    "RAY_TMPDIR": "/tmp/of-ray",  # noqa: S108  # there is no such folder
    "MLFLOW_TRACKING_USERNAME": "caviar-jobs",
    "MLFLOW_TRACKING_PASSWORD": "jobs-secret-12",
    "MLFLOW_AUTH_ADMIN_PASSWORD": PASSWORD,
    "CAVIAR_DATABASE": "postgresql://caviar:pg-secret@postgres/caviar",
    "PGPASSWORD": "pg-secret",
    "AWS_SECRET_ACCESS_KEY": "s3-secret",
    "RAY_ADDRESS": "elsewhere:6379",
}


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder, and an environment in which nothing of Caviar is set."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith(("CAVIAR_", "MLFLOW_", "RAY_", "PG", "AWS_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("CAVIAR_HOME", str(tmp_path / "home"))
    return tmp_path


def test_a_heads_jobs_have_their_login_and_the_storage_but_neither_database_nor_admin(place: Path) -> None:
    head = serving.head("127.0.0.1", (6379, 8265), place / "ray.token", 0, ENV)
    assert head.env["MLFLOW_TRACKING_PASSWORD"] == "jobs-secret-12"  # noqa: S105
    assert head.env["AWS_SECRET_ACCESS_KEY"] == "s3-secret"  # noqa: S105
    assert head.env["RAY_AUTH_TOKEN_PATH"] == str(place / "ray.token")
    assert "RAY_ADDRESS" not in head.env
    assert not any(secret in value for secret in ("pg-secret", PASSWORD) for value in head.env.values())
    words = " ".join(head.command)
    assert "--block --disable-usage-stats --head --node-ip-address=127.0.0.1" in words
    assert "--num-cpus=0" in words
    assert f"--node-name={os.uname().nodename} --temp-dir=/tmp/of-ray" in words


def test_a_worker_says_by_which_address_the_head_sees_it() -> None:
    worker = serving.worker("127.0.0.1:6379", {"RAY_AUTH_TOKEN_PATH": "/t"}, None, ENV)
    assert {"--address=127.0.0.1:6379", "--node-ip-address=127.0.0.1"} <= set(worker.command)
    assert (worker.env["RAY_AUTH_MODE"], worker.env["RAY_AUTH_TOKEN_PATH"]) == ("token", "/t")


def test_a_node_leaves_of_ended_rays_only_the_last_ones_logs(place: Path) -> None:
    names = [f"session_2026-11-2{day}_22-00-00_000000_7" for day in range(4)]
    for name in (*names, "other"):
        (place / "ray" / name / "logs").mkdir(parents=True)
    (place / "ray" / "session_latest").symlink_to(names[3])
    running = subprocess.Popen([sys.executable, "-c", "input()", f"--session-name={names[1]}"], stdin=subprocess.PIPE)
    serving.worker("127.0.0.1:6379", {}, None, {**ENV, "RAY_TMPDIR": str(place / "ray")})
    running.communicate()
    assert {file.name for file in (place / "ray").iterdir()} == {names[1], names[3], "other", "session_latest"}


def test_a_head_that_has_no_way_to_it_is_named() -> None:
    with pytest.raises(OSError, match=r"no way from here to nowhere\.invalid"):
        address_towards("nowhere.invalid", 6379)


def test_mlflow_keeps_users_in_its_database_and_secrets_off_its_command_line(place: Path) -> None:
    url = "postgresql://caviar:pg%40secret@postgres/caviar"
    where = ("127.0.0.1", 5000, place / "home")
    mlflow = serving.mlflow(
        *where, database=url, artifacts="s3://caviar/artifacts", admin=Login("admin", PASSWORD), env=ENV
    )
    settings = Path(mlflow.env["MLFLOW_AUTH_CONFIG_PATH"])
    assert "database_uri = postgresql://caviar:pg%%40secret@postgres/caviar\n" in settings.read_text()
    assert settings.stat().st_mode & 0o777 == 0o600
    assert mlflow.env["MLFLOW_BACKEND_STORE_URI"] == url
    assert "MLFLOW_TRACKING_PASSWORD" not in mlflow.env, "it is the server, not somebody's client"
    words = " ".join(mlflow.command)
    assert "--artifacts-destination s3://caviar/artifacts --app-name basic-auth" in words
    assert not any(secret in words for secret in ("secret", PASSWORD))


def test_a_service_takes_this_process_place() -> None:
    """Its exit code, its output and its id are those of the process that was started."""
    service = Service("X", [sys.executable, "-c", "import os; print(os.getpid()); os._exit(7)"], dict(os.environ))
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.dup2(writer, 1)
        serving.become(service)
    os.close(writer)
    with os.fdopen(reader) as said:
        assert said.read().strip() == str(child)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


# -- secrets -------------------------------------------------------------------------------------------------------


def test_files_become_variables_and_what_is_set_wins(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in {"AWS_ACCESS_KEY_ID": "id\n", "PGPASSWORD": " a b \n", "ray.token": "t", "tls.key": "k"}.items():
        (place / name).write_text(text)
    monkeypatch.setenv("CAVIAR_SECRETS", str(place))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "mine")
    monkeypatch.setenv("PGPASSWORD", "")
    monkeypatch.delenv("PGPASSWORD")
    read_into_environment()
    assert (os.environ["AWS_ACCESS_KEY_ID"], os.environ["PGPASSWORD"]) == ("mine", " a b ")
    assert not {"ray.token", "tls.key", "RAY.TOKEN"} & set(os.environ)
    os.environ.pop("PGPASSWORD")


def test_secrets_that_cannot_be_read_are_told_without_them(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "secrets").mkdir()
    (place / "secrets/PGPASSWORD").write_bytes(b"hush\xff")
    for folder, why in (("nowhere", "No such file"), ("secrets", "it is no text")):
        monkeypatch.setenv("CAVIAR_SECRETS", str(place / folder))
        said = refused(monkeypatch, capsys, "list")
        assert why in said
        assert "one a variable such as AWS_SECRET_ACCESS_KEY" in said
        assert "hush" not in said


# -- what is refused -----------------------------------------------------------------------------------------------


def refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str, code: int = 2) -> str:
    """What the command says as it ends with `code`."""
    monkeypatch.setattr(sys, "argv", ["caviar", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == code
    return capsys.readouterr().err


ADMIN = {"MLFLOW_AUTH_ADMIN_PASSWORD": PASSWORD}
JOBS = {"MLFLOW_TRACKING_USERNAME": "caviar-jobs", "MLFLOW_TRACKING_PASSWORD": "jobs-secret-12"}


@pytest.mark.parametrize(
    ("words", "env", "rule", "code"),
    [
        ("serve head --host 0.0.0.0", {}, "names no machine", 2),
        ("serve head --host 192.0.2.77", {}, "no IPv4 address of this machine", 2),
        ("serve head --host 127.0.0.1", {"RAY_AUTH_TOKEN": "x"}, "unset it", 2),
        ("serve worker head:port", {}, "HOST or HOST:PORT", 2),
        ("serve worker 127.0.0.1", {}, "joining takes the head's token", 2),
        ("serve mlflow --host 127.0.0.1", {}, "set the admin's as MLFLOW_AUTH_ADMIN_PASSWORD", 2),
        ("serve mlflow --host 127.0.0.1", {**ADMIN, "CAVIAR_DATABASE": "my:hush"}, "cannot be read", 2),
        ("admit", {}, "no default password", 2),
        ("admit", ADMIN, "such as caviar-jobs", 2),
        ("admit", {**ADMIN, **JOBS, "MLFLOW_TRACKING_USERNAME": "admin"}, "jobs need a login of their own", 2),
        ("admit", {**ADMIN, **JOBS}, "such as http://mlflow:5000", 2),
        ("admit", {**ADMIN, **JOBS, "MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}, "does not answer", 3),
    ],
)
def test_what_cannot_be_is_refused(  # noqa: PLR0917
    words: str,
    env: dict[str, str],
    rule: str,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    said = refused(monkeypatch, capsys, *words.split(), code=code)
    assert rule in said
    assert not any(secret in said for secret in (PASSWORD, "jobs-secret-12", "hush"))
