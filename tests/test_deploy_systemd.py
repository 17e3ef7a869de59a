"""The units: systemd itself reads them, and tells how exposed they are."""

from __future__ import annotations

import configparser
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cluster import nodes
from tests import commands, compose

FOLDER = compose.DEPLOY / "systemd"
SERVICES = sorted(file.name for file in FOLDER.glob("*.service"))
EXPOSURE = 25  # of 100: what systemd calls OK ends at 50
PROGRAMS = "/opt/caviar/bin"

needs_systemd = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """A copy of the units, whose programs are where they are here; of each template, one called `flights`."""
    folder = tmp_path / "units"
    shutil.copytree(FOLDER, folder)
    for file in folder.glob("*.service"):
        file.write_text(file.read_text().replace(PROGRAMS, str(Path(sys.executable).parent)))
    for file in folder.glob("*@.*"):
        file.rename(file.with_name(file.name.replace("@", "@flights")))
    return folder


def analyzed(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = ["systemd-analyze", *words]
    env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "SYSTEMD_UNIT_PATH": f"{folder}:", "LC_ALL": "C.UTF-8"}
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=60)


def settings(name: str) -> dict[str, str]:
    """The settings of a unit's [Service] section with those that all have, the last one of each name."""
    found: dict[str, str] = {}
    for file in (FOLDER / "caviar-.service.d/common.conf", FOLDER / name):
        parser = configparser.RawConfigParser(strict=False)
        parser.optionxform = str  # type: ignore[assignment,method-assign]
        parser.read(file)
        found |= dict(parser["Service"])
    return found


@needs_systemd
def test_systemd_has_no_complaint(units: Path) -> None:
    names = [str(file) for file in units.iterdir() if file.is_file() and file.suffix in (".service", ".timer")]
    assert len(names) == 6
    done = analyzed(units, "verify", "--man=no", *names)
    assert (done.returncode, done.stderr) == (0, "")


@needs_systemd
def test_a_misspelt_setting_is_complained_of(units: Path) -> None:
    """So the test above means something: that it reads what all units have in common, too."""
    common = units / "caviar-.service.d/common.conf"
    common.write_text(common.read_text().replace("NoNewPrivileges=", "NoNewPriviledges="))
    assert "NoNewPriviledges" in analyzed(units, "verify", "--man=no", str(units / "caviar-head.service")).stderr


@needs_systemd
@pytest.mark.parametrize("name", [name.replace("@", "@flights") for name in SERVICES])
def test_a_unit_can_do_no_more_than_it_must(units: Path, name: str) -> None:
    done = analyzed(units, "security", "--offline=true", f"--threshold={EXPOSURE}", str(units / name))
    assert done.returncode == 0, done.stdout.splitlines()[-1]


@pytest.mark.parametrize("name", SERVICES)
def test_caviar_takes_the_command(name: str) -> None:
    program, *words = settings(name)["ExecStart"].split()
    assert program == f"{PROGRAMS}/caviar"
    assert commands.refusal(words) == ""
    variables = {line.partition("=")[0] for line in (FOLDER / "environment.example").read_text().splitlines()}
    assert {word.strip("${}") for word in words if word.startswith("$")} <= variables


@pytest.mark.parametrize("kind", ["head", "worker"])
def test_ray_s_sessions_lie_on_the_disk_with_sockets_that_linux_takes(kind: str, tmp_path: Path) -> None:
    """A day's submissions would fill /run, which is memory; and a session's logs outlive it."""
    unit = settings(f"caviar-{kind}.service")
    (folder,) = re.findall(r"RAY_TMPDIR=(\S+)", unit["Environment"])
    assert folder.startswith(f"%S/{unit['StateDirectory']}/")
    session = "session_2026-11-23_22-30-10_123456_4194304"  # the highest pid that Linux gives
    path = f"{folder.replace('%S', '/var/lib')}/{session}/sockets/dash_MetricsHead"
    assert len(path) <= 107
    sessions = [tmp_path / f"session_2026-11-{day:02}_22-30-10_1_1" for day in range(1, 9)]
    for session_folder in sessions:
        (session_folder / "logs").mkdir(parents=True)
    (tmp_path / "session_latest").symlink_to(sessions[-1])
    for _ in range(2):
        subprocess.run(shlex.split(unit["ExecStartPre"]), env={**os.environ, "RAY_TMPDIR": str(tmp_path)}, check=True)
    assert sorted(tmp_path.iterdir()) == [*sessions[-5:], tmp_path / "session_latest"]
    subprocess.run(shlex.split(unit["ExecStartPre"]), env={**os.environ, "RAY_TMPDIR": "/nowhere"}, check=True)


@pytest.mark.parametrize("name", ["caviar-head.service", "caviar-worker.service", "caviar-mlflow.service"])
def test_what_ends_is_started_again_however_often(name: str) -> None:
    assert settings(name)["Restart"] == "always"
    assert "StartLimitIntervalSec=0" in (FOLDER / "caviar-.service.d/common.conf").read_text()


def test_the_shell_has_no_complaint() -> None:
    """Of what an operator types; tests/test_deploy_booted.py runs it."""
    command = [Path(sys.executable).parent / "shellcheck", FOLDER / "caviar-operator"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (0, "")
    assert os.access(FOLDER / "caviar-operator", os.X_OK)


@pytest.mark.parametrize("name", SERVICES)
def test_children_are_ended_by_their_parent_first(name: str) -> None:
    assert settings(name)["KillMode"] == "mixed"


def test_a_tick_that_was_missed_comes_later() -> None:
    timer = (FOLDER / "caviar-retune@.timer").read_text()
    assert "\nPersistent=true\n" in timer
    assert "\nOnCalendar=hourly\n" in timer


def test_secrets_are_those_that_compose_grants_too() -> None:
    """What a container of a kind may read, its unit may."""
    services = compose.load({"CAVIAR_MLFLOW_NAME": "m", "CAVIAR_RAY_NAME": "r"})["services"]
    for name, service in (("mlflow", "mlflow"), ("head", "head"), ("admit", "admit"), ("retune@", "scheduler")):
        text = (FOLDER / f"caviar-{name}.service").read_text()
        loaded = dict(line.split(":", 1) for line in re.findall(r"^LoadCredential=(.*)$", text, re.M))
        assert set(loaded) == set(services[service]["secrets"]), name
        assert all(path == f"/etc/caviar/secrets/{secret}" for secret, path in loaded.items())
    operator, tick = ((FOLDER / name).read_text() for name in ("caviar-operator", "caviar-retune@.service"))
    assert re.findall(r"LoadCredential=(\S+)", operator) == re.findall(r"LoadCredential=(\S+)", tick)
    worker = (FOLDER / "caviar-worker.service").read_text()
    assert not any(secret in worker for secret in (*nodes.SECRET, "MLFLOW"))
