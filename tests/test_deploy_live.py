"""All of deploy/compose.yaml runs: a sweep and a re-tune through it; then it burns down, is restored, and goes on."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import compose, monthly
from tests.deployment import Deployment
from tests.hosts import Host, needs_hosts
from tests.runbook import Engine
from tests.three_hosts import wait_until

pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.timeout(400),
    needs_hosts,
]

MLFLOW, RAY = "mlflow.example.org", "ray.example.org"  # as in env.example
POLICY = "/etc/caviar/policies/policy.yaml"
SPEC = {
    "name": "digits",
    "data": {"source": "digits.npz"},
    "model": {"hidden_layers": 1, "hidden_units": {"log_int": [16, 64]}},
    "search": {"trials": 8},
    "stopping": {"asha": {"max_epochs": 3}},
    "objective": {"confirm": 0, "baseline": False},
    "tracking": {"register": "digits"},
}
ASK = """
import socket, sys, urllib.error, urllib.request
for url in sys.argv[1:]:
    try: print(urllib.request.urlopen(url, timeout=10).status)
    except urllib.error.HTTPError as error: print(error.code)
"""


class Site:
    """The deployment, whoever runs it with the runbook's commands, and somebody outside who uses it."""

    def __init__(self, folder: Path, digits: Path) -> None:
        self.folder = folder / "deploy"
        shutil.copytree(compose.DEPLOY, self.folder)
        self.set((self.folder / "env.example").read_text(), "CAVIAR_WORKER_CPUS=1")
        self.deployment = Deployment(self.folder)
        self.engine = Engine(self.deployment)
        self._client: Host | None = None
        shutil.copy(digits, self.folder / "digits.npz")
        (self.folder / "digits.yaml").write_text(yaml.safe_dump(SPEC))

    def close(self) -> None:
        self.engine.close()
        self.deployment.close()
        if self._client:
            self._client.kill()

    def set(self, *lines: str) -> None:
        """Writes lines at the end of .env."""
        with (self.folder / ".env").open("a") as file:
            file.writelines(f"{line}\n" for line in lines)

    def follow_the_runbook(self, beginning: str) -> str:
        """Runs the commands that stand first below the line that begins so; what they print."""
        text = (self.folder / "RUNBOOK.md").read_text()
        commands = text.partition(f"\n{beginning}")[2].partition("```bash\n")[2].partition("\n```")[0]
        done = self.shell(commands)
        assert commands
        assert done.returncode == 0, f"{commands}\n{done.stderr[-6000:]}"
        return done.stdout

    def shell(self, commands: str) -> subprocess.CompletedProcess[str]:
        """Runs commands where the deployment is."""
        path = f"{self.engine.programs}:{os.environ['PATH']}"
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", commands],
            cwd=self.folder,
            env={**os.environ, **compose.variables(self.folder), "PATH": path},
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )

    @property
    def client(self) -> Host:
        if self._client is None:
            self._client = self.deployment.client()
        return self._client

    def caviar(self, *args: str) -> Any:
        """What a command of somebody outside answers."""
        secrets = self.folder / "secrets"
        env = {
            "PATH": f"{Path(sys.executable).parent}:/usr/sbin:/usr/bin:/sbin:/bin",
            "PYTHONPATH": str(compose.ROOT),
            "HOME": str(self.folder),
            "CAVIAR_HOME": str(self.folder / "home"),
            "RAY_API_SERVER_ADDRESS": f"https://{RAY}",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(secrets / "ray.token"),
            "MLFLOW_TRACKING_URI": f"https://{MLFLOW}",
            "MLFLOW_TRACKING_USERNAME": "admin",
            "MLFLOW_TRACKING_PASSWORD": (secrets / "MLFLOW_AUTH_ADMIN_PASSWORD").read_text().strip(),
            "REQUESTS_CA_BUNDLE": str(secrets / "tls.crt"),
            "SSL_CERT_FILE": str(secrets / "tls.crt"),
        }
        command = self.client.command(sys.executable, "-m", "tuner.cli", *args, "--json")
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}\n{self.said()}"
        return json.loads(done.stdout.splitlines()[-1])

    def predictions(self) -> bytes:
        """What the registered model says of the digits: it comes through the proxy, MLflow, its database and S3."""
        self.caviar("predict", "models:/digits@champion", "digits.npz", "--out", "predictions.csv")
        return (self.folder / "predictions.csv").read_bytes()

    def statuses(self, *urls: str) -> list[int]:
        """How the servers answer somebody outside who has neither token nor password."""
        trusting = f"SSL_CERT_FILE={self.folder / 'secrets' / 'tls.crt'}"
        return [int(line) for line in self.client.run("env", trusting, sys.executable, "-c", ASK, *urls).split()]

    def retuned(self) -> list[dict[str, Any]]:
        """The periods, as the scheduler's own container knows them."""
        scheduler = self.deployment.running["scheduler"]
        command = scheduler.command("caviar", "retune", "history", POLICY, "--json")
        done = subprocess.run(command, env=scheduler.env, capture_output=True, text=True, check=True, timeout=60)
        return list(json.loads(done.stdout.splitlines()[-1])["periods"])

    def said(self) -> str:
        return "\n".join(f"-- {one.name}\n{one.said()}" for one in self.deployment.running.values())

    def deliver(self) -> None:
        """A policy, and its data for the bucket, up to the beginning of this month."""
        month = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
        start = month - timedelta(days=35)
        there = {"address": "http://head:8265", "storage": "s3://caviar/storage"}
        policies = self.folder / "policies"
        monthly.write(policies, run=there, schedule={"cron": "0 0 1 * *"})
        spec = yaml.safe_load((policies / "spec.yaml").read_text())
        spec["data"]["source"] = "s3://caviar/data/*.parquet"
        (policies / "spec.yaml").write_text(yaml.safe_dump(spec))
        monthly.deliver(self.folder, "rows", monthly.table(str(start), str(month)))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, digits: Path) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("site"), digits)
    try:
        made.follow_the_runbook("## Install")
        yield made
    finally:
        made.close()


@dataclass(frozen=True)
class Used:
    """What was seen after a sweep and a re-tune, which ran at the same time."""

    job: Any
    periods: list[dict[str, Any]]
    status: Any
    predictions: bytes


@pytest.fixture(scope="module")
def used(site: Site) -> Used:
    site.deliver()
    site.set("COMPOSE_PROFILES=retune")
    site.follow_the_runbook("**Re-tuning**")
    job = site.caviar("submit", "digits.yaml", "--id", "first", "--no-ship", "--follow")
    scheduler = site.deployment.running["scheduler"]
    wait_until(lambda: "policy.yaml  exit" in scheduler.said(), 120, "the first tick to end")
    return Used(job, site.retuned(), site.caviar("status", "first"), site.predictions())


def test_nothing_but_the_proxy_is_reached_from_outside(site: Site) -> None:
    connect = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 2)"
    ports = {"mlflow": 5000, "head": 6379, "postgres": 5432, "objects": 9000}
    for service, port in ports.items():
        with pytest.raises(RuntimeError, match="unreachable"):
            site.client.run(sys.executable, "-c", connect, site.deployment.address(service, "inside"), str(port))
    with pytest.raises(RuntimeError, match="refused"):  # its health is its own business
        site.client.run(sys.executable, "-c", connect, site.deployment.address("proxy", "outside"), "8080")


def test_the_proxy_lets_nobody_in_without_password_or_token(site: Site) -> None:
    search = f"https://{MLFLOW}/api/2.0/mlflow/experiments/search?max_results=1"
    assert site.statuses(search, f"https://{RAY}/api/jobs/", f"https://{MLFLOW}/health") == [401, 401, 200]


def test_a_sweep_and_a_retune_run_through_it(used: Used) -> None:
    assert used.job["state"] == "SUCCEEDED"
    assert (used.status["status"], used.status["trials"]) == ("finished", 8)
    assert [period["state"] for period in used.periods] == ["promoted"]


def test_the_admin_gets_a_new_password_and_deleted_runs_go(site: Site, used: Used) -> None:
    secret = site.folder / "secrets/MLFLOW_AUTH_ADMIN_PASSWORD"
    former = secret.read_text()
    assert "MLflow knows caviar-jobs" in site.follow_the_runbook("**The admin's password**")
    assert site.caviar("status", "first") == used.status, "with the password that is there now"
    assert secret.read_text() != former
    assert sorted(path.name for path in secret.parent.glob("former*")) == []
    site.follow_the_runbook("**Deleted runs**")


@pytest.fixture(scope="module")
def backup(site: Site, used: Used) -> Path:
    """A backup after all that, the only one."""
    assert used.periods
    site.follow_the_runbook("## Backup")
    (made,) = (site.folder / "backup").iterdir()
    return made


def test_of_backups_the_last_good_one_stays_and_a_broken_one_is_refused(site: Site, backup: Path) -> None:
    assert (backup.stat().st_mode & 0o777, {one.name for one in backup.iterdir()}) == (
        0o700,
        {"database.dump", "objects.tar"},
    )
    site.deployment.stop("postgres")
    assert site.shell("./backup.sh").returncode != 0
    assert [one.name for one in backup.parent.iterdir() if one.suffix != ".partial"] == [backup.name]
    broken = shutil.copytree(backup, backup.with_name("broken"))
    os.truncate(broken / "database.dump", (broken / "database.dump").stat().st_size // 2)
    running = dict(site.deployment.running)
    for what in ("database", "everything"):
        assert "could not read from input file" in site.shell(f"./restore.sh {what} backup/broken").stderr
    assert site.deployment.running == running


def test_a_damaged_database_is_restored_alone(site: Site, used: Used, backup: Path) -> None:
    since = site.folder / "volumes/objects/objects/caviar/since"
    since.touch()
    (site.folder / "volumes/database/18/docker/PG_VERSION").write_text("damaged")
    going_on = {name: site.deployment.running[name] for name in ("objects", "head", "worker", "proxy")}
    site.follow_the_runbook("**The database alone**")
    assert backup.exists()
    assert since.exists()
    assert going_on.items() <= site.deployment.running.items()
    assert site.retuned() == used.periods
    since.unlink()


def test_restored_from_its_backup_it_is_as_before_and_goes_on(site: Site, used: Used, backup: Path) -> None:
    since = site.folder / "volumes/objects/objects/caviar/since"
    since.touch()
    site.follow_the_runbook("**Everything**")
    assert backup.exists()
    assert not since.exists()
    assert site.retuned() == used.periods
    assert site.caviar("status", "first") == used.status
    assert site.predictions() == used.predictions
    site.caviar("extend", "first", "--trials", "+4", "--address", f"https://{RAY}")
    journal = site.folder / "volumes/objects/objects/caviar/storage/sweeps/first/journal"
    wait_until(lambda: kinds(journal).count("ended") == 2, 120, "the sweep to end again")
    extended = wait_until(lambda: finished(site, 12), 60, "four more trials in MLflow")
    assert extended["best"]["val_loss"] <= used.status["best"]["val_loss"]


def kinds(journal: Path) -> list[str]:
    """What the entries are, as the S3 server's disk has them."""
    return [json.loads(entry.read_text())["kind"] for entry in sorted(journal.glob("0*.json"))]


def finished(site: Site, trials: int) -> Any:
    """The status of the sweep, once it has ended with so many trials."""
    status = site.caviar("status", "first")
    return status if (status["status"], status["trials"]) == ("finished", trials) else None
