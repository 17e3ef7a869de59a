"""The images and deploy/compose.yaml, as far as they can be checked without running them: see test_deploy_live."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import compose_spec
import pytest
import yaml

from cluster import nodes
from tests import commands, compose

BIN = Path(sys.executable).parent
NAMES = {"CAVIAR_MLFLOW_NAME": "mlflow.example.org", "CAVIAR_RAY_NAME": "ray.example.org"}
SERVICES: dict[str, Any] = compose.load(NAMES)["services"]
OURS = [name for name, service in SERVICES.items() if "build" in service]


def run(*command: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
    given = {**os.environ, **env}
    return subprocess.run(
        command, cwd=compose.DEPLOY, env=given, capture_output=True, text=True, check=False, timeout=60
    )


# -- the image -----------------------------------------------------------------------------------------------------


def test_the_linters_have_no_complaint() -> None:
    for command in ([BIN / "hadolint", "Dockerfile"], [BIN / "shellcheck", *compose.DEPLOY.glob("*.sh")]):
        done = run(*command)
        assert done.returncode == 0, done.stdout


def test_the_image_has_what_it_is_made_of_and_nothing_else_of_this_folder() -> None:
    """Every path that is copied is let through by the list of what the build may see."""
    text = (compose.DEPLOY / "Dockerfile").read_text()
    copied = {word for line in re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.M) for word in line.split()}
    seen = (compose.DEPLOY / "Dockerfile.dockerignore").read_text().split()
    assert copied == {name.removeprefix("!") for name in seen if name.startswith("!")}
    assert all((compose.ROOT / name).exists() for name in copied)
    assert seen[0] == "*"


def test_the_image_is_pinned_and_belongs_to_nobody_special() -> None:
    text = (compose.DEPLOY / "Dockerfile").read_text()
    assert re.search(r"^ARG PYTHON=3\.\d+\.\d+-slim-\w+$", text, re.M)
    assert all("--constraint constraints.txt" in line or "^torch==" in line for line in pip_lines(text))
    last = text.rpartition("\nFROM ")[2]
    assert re.search(r"^USER 10001:10001$", last, re.M)
    assert "pip" not in last


def pip_lines(text: str) -> list[str]:
    found = [line for line in text.replace("\\\n", "").splitlines() if line.startswith("RUN pip install")]
    assert len(found) == 3
    return found


def test_the_extras_that_the_image_installs_are_there_and_pinned() -> None:
    import tomllib

    project = tomllib.loads((compose.ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    wanted = re.search(r"'\.\[(.*?)\]'", (compose.DEPLOY / "Dockerfile").read_text())
    assert wanted
    pinned = {line.partition("==")[0].lower() for line in (compose.ROOT / "constraints.txt").read_text().splitlines()}
    for extra in wanted[1].split(","):
        assert {re.split(r"[>=<]", name)[0].lower() for name in project[extra]} <= pinned


# -- compose -------------------------------------------------------------------------------------------------------


FILES = {
    "as it is": {},
    "s3": {"COMPOSE_FILE": "compose.yaml:compose.s3.yaml", "CAVIAR_S3_ENDPOINT": "https://s3.example.org"},
    "cuda": {"COMPOSE_FILE": "compose.yaml:compose.cuda.yaml"},
}
FILES["both"] = {**FILES["s3"], "COMPOSE_FILE": "compose.yaml:compose.s3.yaml:compose.cuda.yaml"}


def test_what_the_example_of_variables_has_is_there() -> None:
    pairs = re.findall(r"^(?:# )?([A-Z][A-Z0-9_]+)=(.*)$", (compose.DEPLOY / "env.example").read_text(), re.M)
    files = {file for name, value in pairs if name == "COMPOSE_FILE" for file in value.split(":")}
    texts = [(compose.DEPLOY / file).read_text() for file in files]
    assert len(files) == 3
    for name, value in pairs:
        assert name == "COMPOSE_FILE" or any(f"${{{name}:" in text or f"profiles: [{value}]" in text for text in texts)


@pytest.mark.parametrize("kind", FILES)
def test_the_files_are_what_compose_reads(kind: str) -> None:
    compose_spec.PyCompose.from_yaml(yaml.safe_dump(compose.load(NAMES | FILES[kind]))).to_spec()


def test_an_s3_of_ones_own_is_reached_and_the_small_one_is_not_missed() -> None:
    variables = NAMES | FILES["s3"] | {"CAVIAR_S3_REGION": "eu-central-1", "CAVIAR_S3_BUCKET": "ours"}
    found = compose.load(variables)
    services = {name: one for name, one in found["services"].items() if one.get("profiles") != ["unused"]}
    assert set(SERVICES) - set(services) == {"objects"}
    assert not any("objects" in {*one.get("depends_on", ()), *one.get("profiles", ())} for one in services.values())
    clients = {name: one["environment"] for name, one in services.items() if "AWS_ENDPOINT_URL" in one["environment"]}
    assert set(clients) == {"mlflow", "head", "worker", "scheduler"}
    for service in clients.values():
        assert service["AWS_ENDPOINT_URL"] == "https://s3.example.org"
        assert service["AWS_DEFAULT_REGION"] == "eu-central-1"
        assert "s3://ours/" in service.get("CAVIAR_STORAGE", "") + service.get("CAVIAR_ARTIFACTS", "")
    assert not any(found["networks"][one].get("internal") for name in clients for one in services[name]["networks"])
    with pytest.raises(KeyError, match="the URL of your S3"):
        compose.load(variables | {"CAVIAR_S3_ENDPOINT": ""})


def test_with_gpus_one_worker_has_the_cuda_build_and_all_of_them() -> None:
    services = compose.load(NAMES | FILES["cuda"] | {"CAVIAR_WORKERS": "4"})["services"]
    worker = services.pop("worker")
    assert worker["deploy"]["replicas"] == 1
    (device,) = worker["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["count"], device["capabilities"]) == ("nvidia", "all", ["gpu"])
    assert worker["build"]["args"]["VARIANT"] == "cuda"
    assert worker["image"].endswith("-cuda"), "or it would take the place of the CPU build"
    assert worker["environment"] == services["head"]["environment"]
    assert all(
        one["image"].endswith("-cpu") and "VARIANT" not in one["build"]["args"]
        for name, one in services.items()
        if name in OURS
    )


def test_what_is_written_where_it_is_run_is_no_concern_of_git(tmp_path: Path) -> None:
    """Secrets, passwords' hashes in dumps, names: by the rules of the repository alone, whatever is ignored here."""
    assert run("git", "init", "--quiet", tmp_path).returncode == 0
    shutil.copy(compose.ROOT / ".gitignore", tmp_path)
    secrets = [f"deploy/{one['file']}" for one in compose.load(NAMES)["secrets"].values()]
    written = ["deploy/.env", "deploy/backup/2026-11-23T021700Z/database.dump", "deploy/secrets/former", *secrets]
    there = ["deploy/compose.yaml", "deploy/secrets.sh", "deploy/backup.sh", "deploy/env.example"]
    done = run("git", "-C", tmp_path, "check-ignore", *written, *there)
    assert done.stdout.split() == [*written]


def test_without_the_published_names_nothing_starts() -> None:
    with pytest.raises(KeyError, match="CAVIAR_MLFLOW_NAME: the name under which people reach MLflow"):
        compose.load({})


def test_only_the_proxy_is_published_and_the_rest_cannot_call_out() -> None:
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["proxy"]
    assert {name for name, service in SERVICES.items() if service["networks"] != ["inside"]} == {"proxy", "scheduler"}
    assert compose.load(NAMES)["networks"]["inside"] == {"internal": True}


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_can_do_no_more_than_it_must(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service.get("cap_add", []) == (["NET_BIND_SERVICE"] if name == "proxy" else [])
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "build" in service or not service["user"].startswith("0")
    assert re.search(r":\d+\.\d+", service["image"])
    assert "healthcheck" in service or name == "admit"
    assert not set(service.get("environment", {})) & set(compose.load(NAMES)["secrets"]), "secrets come from files"


@pytest.mark.parametrize("name", OURS)
def test_caviar_takes_the_command(name: str) -> None:
    words, check = SERVICES[name]["command"], SERVICES[name].get("healthcheck", {}).get("test", [])
    assert name == "objects" or words[0] == "caviar"
    for command in (words, check[1:]):
        if command[:1] == ["caviar"]:
            assert commands.refusal(command[1:]) == ""
        if command[:2] == ["python", "-m"]:
            assert importlib.util.find_spec(command[2])
        if command[:2] == ["python", "-c"]:
            compile(command[2], name, "exec")


def test_a_command_that_is_not_there_is_refused() -> None:
    """So that the tests above and below mean something."""
    assert "NoSuchOption" in commands.refusal(["serve", "head", "--cpu", "0"])
    assert "No such command" in commands.refusal(["serve", "hed"])
    assert "MissingParameter" in commands.refusal(["retune", "tick"])


def test_the_scheduler_and_jobs_find_each_other() -> None:
    """The head's environment is its jobs'; who submits has the same storage, MLflow and token."""
    head, scheduler = SERVICES["head"]["environment"], SERVICES["scheduler"]["environment"]
    assert head.items() <= scheduler.items()
    assert SERVICES["mlflow"]["environment"]["CAVIAR_DATABASE"] == scheduler["CAVIAR_DATABASE"]
    assert not set(nodes.SECRET) & set(SERVICES["head"]["secrets"]), "jobs need neither database nor admin"


def test_every_secret_is_granted_and_made(tmp_path: Path) -> None:
    granted = {name for service in SERVICES.values() for name in service.get("secrets", [])}
    assert granted == set(compose.load(NAMES)["secrets"])
    first = run("sh", "secrets.sh", tmp_path / "secrets")
    made = {file.name: file.read_text() for file in (tmp_path / "secrets").iterdir()}
    assert granted - set(made) == {"tls.crt", "tls.key"}
    assert all(len(text.strip()) >= 20 for text in made.values())
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    assert not any(text.strip() in first.stdout + first.stderr for text in made.values())
    assert "still to come from you" in run("sh", "secrets.sh", tmp_path / "secrets").stdout
    assert {file.name: file.read_text() for file in (tmp_path / "secrets").iterdir()} == made, "what is there stays"


def test_the_proxy_reads_its_file(tmp_path: Path) -> None:
    """Caddy itself, with the certificate elsewhere."""
    key, certificate = tmp_path / "tls.key", tmp_path / "tls.crt"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=x", "-keyout", key, "-out"]
    assert run(*made, certificate).returncode == 0
    file = tmp_path / "Caddyfile"
    file.write_text((compose.DEPLOY / "Caddyfile").read_text().replace("/run/secrets", str(tmp_path)))
    done = run(BIN / "caddy", "validate", "--adapter", "caddyfile", "--config", file, **NAMES)
    assert done.returncode == 0, done.stderr
    assert run(BIN / "caddy", "fmt", "--diff", "Caddyfile").returncode == 0
    upstreams = re.findall(r"reverse_proxy (\S+):(\d+)", file.read_text())
    assert {name for name, _ in upstreams} <= set(SERVICES)


def test_rclone_knows_its_options() -> None:
    words = " ".join(SERVICES["objects"]["command"])
    assert shutil.which("rclone", path=str(BIN))
    assert "--addr" in words
    assert all(flag in commands.help_of("rclone", "serve", "s3") for flag in ("--addr", "--auth-key"))
