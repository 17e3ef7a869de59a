"""The objects of deploy/kubernetes, and what they are expected to find there."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import yaml

from tests import compose

FOLDER = compose.DEPLOY / "kubernetes"
BASE = yaml.safe_load((FOLDER / "base/kustomization.yaml").read_text())
Object = dict[str, Any]
SECRETS = {  # RUNBOOK.md, Install
    "caviar-database": {"PGPASSWORD"},
    "caviar-admin": {"MLFLOW_AUTH_ADMIN_PASSWORD"},
    "caviar-client": {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "MLFLOW_TRACKING_PASSWORD"},
    "caviar-ray-token": {"auth_token"},
}
NAME, COMPONENT = "app.kubernetes.io/name", "app.kubernetes.io/component"


def built(folder: str) -> list[Object]:
    """What `kubectl apply --kustomize` would send; the base as its files say it, where there is no kubectl."""
    if shutil.which("kubectl"):
        command = ["kubectl", "kustomize", str(FOLDER / folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        return list(yaml.safe_load_all(done.stdout))
    assert folder == "base"
    files = [FOLDER / "base" / name for name in BASE["resources"]]
    return [one for file in files for one in yaml.safe_load_all(file.read_text())]


def templates(objects: list[Object]) -> Iterator[tuple[str, Object]]:
    """Every pod template, under the name of its object or group."""
    for one in objects:
        spec = one.get("spec", {})
        match one["kind"]:
            case "Deployment" | "StatefulSet" | "Job":
                yield one["metadata"]["name"], spec["template"]
            case "CronJob":
                yield one["metadata"]["name"], spec["jobTemplate"]["spec"]["template"]
            case "RayCluster":
                yield "head", spec["headGroupSpec"]["template"]
                for group in spec["workerGroupSpecs"]:
                    yield group["groupName"], group["template"]


def only(objects: list[Object], kind: str, name: str) -> Object:
    (found,) = [one for one in objects if (one["kind"], one["metadata"]["name"]) == (kind, name)]
    return found
