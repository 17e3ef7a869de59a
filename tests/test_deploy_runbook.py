"""The runbook's lines for Kubernetes, and those that decide about a period: names, words, and what they do."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import time
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests import commands, compose, postgres
from tests.manifests import COMPONENT, NAME, SECRETS, built, only

needs_kubectl = pytest.mark.skipif(not shutil.which("kubectl"), reason="needs kubectl")
RUNBOOK = (compose.DEPLOY / "RUNBOOK.md").read_text()
BLOCKS = re.findall(r"```bash\n(.*?)\n```", RUNBOOK, re.S)
LINES = [line for block in BLOCKS for line in re.sub(r"(\\|(?<=&&)|(?<=\|))\n\s*", " ", block).splitlines()]
KUBECTL = [line for line in LINES + re.findall(r"`(kubectl [^`]+)`", RUNBOOK) if "kubectl" in line]


@needs_kubectl
def test_the_runbook_makes_the_secrets_that_the_pods_read(tmp_path: Path) -> None:
    """Its own lines, and kubectl itself; all that is sent to a cluster is printed instead."""
    made = [line.partition(" | ")[0] for line in KUBECTL if "create secret" in line]
    subprocess.run([compose.DEPLOY / "secrets.sh", tmp_path / "secrets"], check=True, capture_output=True, timeout=60)
    key = ["-newkey", "rsa:2048", "-nodes", "-keyout", "secrets/tls.key", "-out", "secrets/tls.crt", "-subj", "/CN=x"]
    subprocess.run(["openssl", "req", "-x509", *key], cwd=tmp_path, check=True, capture_output=True, timeout=60)
    found: dict[str, set[str]] = {}
    for line in made:
        command = [*shlex.split(line.replace(" --dry-run=client --output=yaml", "")), "--dry-run=client", "-o", "json"]
        told = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True, timeout=60).stdout
        secret = json.loads(told)
        assert secret["metadata"]["namespace"] == "caviar"
        assert found.setdefault(secret["metadata"]["name"], set(secret["data"])) == set(secret["data"])
    assert found == {**SECRETS, "caviar-tls": {"tls.crt", "tls.key"}}


def test_the_runbook_names_what_is_there() -> None:
    """Every kubectl line says which namespace, and only objects and labels that the manifests, or KubeRay, make."""
    objects = built("base")
    kinds = {"Deployment": "deploy", "CronJob": "cronjob", "StatefulSet": "statefulset", "Job": "job"}
    there = {f"{kinds[one['kind']]}/{one['metadata']['name']}" for one in objects if one["kind"] in kinds}
    pods = {f"{one['metadata']['name']}-0" for one in objects if one["kind"] == "StatefulSet"}
    assert len(KUBECTL) > 20
    for line in KUBECTL:
        assert all(part.startswith((" --namespace caviar ", " apply ")) for part in line.split("kubectl")[1:]), line
        named = re.findall(r"\b(?:deploy|cronjob|statefulset|job)/[\w-]+", line)
        assert set(named) <= there, line
        assert set(re.findall(r"\bcaviar-postgres-\d\b", line)) <= pods
        selected = re.findall(r"--selector '?(\S+)", line)
        assert set(selected) <= {"ray.io/cluster=caviar", f"{COMPONENT}=tick", NAME}, line
    tick = only(objects, "CronJob", "caviar-retune")["spec"]["jobTemplate"]
    assert tick["metadata"]["labels"] == {COMPONENT: "tick"}
    assert {"deploy/caviar-operator", "cronjob/caviar-retune"} <= {word for line in KUBECTL for word in line.split()}


def test_what_the_runbook_types_is_taken() -> None:
    """On every deployment: behind `kubectl exec … --`, `docker compose exec SERVICE` and `caviar-operator`."""
    typed = [line.rpartition(" caviar ")[2] for line in LINES if re.search(r"\bexec\b.* caviar retune ", line)]
    typed += [line.partition("caviar-operator ")[2] for line in LINES if line.startswith("sudo caviar-operator ")]
    assert len(typed) >= 3
    for words in typed:
        assert commands.refusal(shlex.split(words, comments=True)) == ""


# -- the database, thrown away and restored --------------------------------------------------------------------------

CLUSTER = """#!/bin/sh
# In place of a cluster: writes down what it is told; a program of the pod is run here, a secret is made by kubectl.
echo "$*" >> "$TOLD"
case "$3" in
    exec) while [ "$1" != -- ]; do shift; done; shift; exec "$@" ;;
    create) exec "$KUBECTL" "$@" ;;
    apply) exec cat > "$TOLD.applied" ;;
esac
"""


class Site:
    """Somebody in deploy/ with a cluster whose PostgreSQL is a real one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.told = folder / "told"
        programs = folder / "programs"
        programs.mkdir()
        (programs / "kubectl").write_text(CLUSTER)
        (programs / "kubectl").chmod(0o755)
        shutil.copy(compose.DEPLOY / "secrets.sh", folder)
        self.env = {
            **os.environ,
            "PATH": f"{programs}:{postgres.binaries()}:{os.environ['PATH']}",
            "KUBECTL": str(shutil.which("kubectl")),
            "TOLD": str(self.told),
            "PGHOST": str(folder / "database"),
        }

    def follow(self, beginning: str) -> list[str]:
        """Types the block after the paragraph that begins so; the words that kubectl was given, line by line."""
        self.told.write_text("")
        block = RUNBOOK.partition(f"\n{beginning}")[2].partition("```bash\n")[2].partition("\n```")[0]
        done = self.run("bash", "-euo", "pipefail", "-c", block)
        assert block
        assert done.returncode == 0, f"{block}\n{done.stderr}"
        return self.told.read_text().splitlines()

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=self.folder, env=self.env, capture_output=True, text=True, check=False, timeout=60
        )

    def sql(self, statement: str) -> str:
        return self.run("psql", "--username=caviar", "--tuples-only", "--no-align", f"--command={statement}").stdout


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    postgres.prepare(tmp_path / "database")
    with subprocess.Popen(postgres.server(tmp_path / "database"), stderr=subprocess.DEVNULL) as server:
        try:
            until = time.monotonic() + 30
            while not postgres.answers(tmp_path / "database"):
                assert time.monotonic() < until
                time.sleep(0.1)
            for command in (["createuser", "--superuser", "caviar"], ["createdb", "--owner=caviar", "caviar"]):
                assert made.run(command[0], "--username=postgres", *command[1:]).returncode == 0
            yield made
        finally:
            server.terminate()


@needs_kubectl
def test_the_database_is_as_it_was_when_it_was_backed_up(site: Site) -> None:
    site.sql("create table periods as select 'flights' as model, 3 as period")
    site.follow("**Backup**, daily")
    site.sql("drop table periods; create table rubbish (x int)")
    url = f"postgresql+psycopg2://caviar@/caviar?host={site.env['PGHOST']}"
    with sa.create_engine(url, poolclass=sa.NullPool).connect():  # somebody who hangs on
        told = site.follow("**Restore** the database")
    assert site.sql("select * from periods") == "flights|3\n"
    assert site.sql("select count(*) from pg_tables where tablename = 'rubbish'") == "0\n"
    order = [line.removeprefix("--namespace caviar ") for line in told]
    dropped = next(number for number, line in enumerate(order) if " dropdb " in line)
    for line in ("patch cronjob/caviar-retune", "delete job", "scale deploy/caviar-mlflow deploy/caviar-operator"):
        before, after = order[:dropped], order[dropped:]
        assert any(one.startswith(line) for one in before), line
        assert line == "delete job" or any(one.startswith(line) for one in after), line


@needs_kubectl
def test_a_backup_that_fails_leaves_the_last_one_alone(site: Site) -> None:
    site.follow("**Backup**, daily")
    (backup,) = (site.folder / "backup").iterdir()
    good = backup.read_bytes()
    assert backup.stat().st_mode & 0o077 == 0
    site.env["PGHOST"] = "/nowhere"
    with pytest.raises(AssertionError, match="nowhere"):
        site.follow("**Backup**, daily")
    assert backup.read_bytes() == good


@needs_kubectl
def test_a_new_password_of_the_database_is_known_on_both_sides(site: Site) -> None:
    told = site.follow("PostgreSQL's password:")
    password = (site.folder / "secrets/PGPASSWORD").read_text()
    assert password
    assert not any(password in line for line in told), "on no command line"
    assert "SCRAM" in site.sql("select rolpassword from pg_authid where rolname = 'caviar'")
    applied = Path(f"{site.told}.applied").read_text()
    assert b64encode(password.encode()).decode() in applied
    assert told[-1].endswith("rollout restart deploy/caviar-mlflow")
