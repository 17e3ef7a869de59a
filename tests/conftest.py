"""What several test modules share: one Ray cluster, the digits, and the command as users run it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from tests.environment import EVEN
from tests.s3 import S3, serving
from tuner.engine.place import Place
from tuner.engine.storage import Storage
from tuner.engine.tracking import embedded_uri

COMMAND = str(Path(sys.executable).with_name("caviar"))


os.environ["RAY_AUTH_MODE"] = "token"  # here: Ray reads it when it is imported, which some test modules do at once
os.environ |= EVEN


@dataclass(frozen=True)
class Home:
    """A user's folder: CAVIAR_HOME in it, the working directory, and the cluster to run on."""

    folder: Path
    env: dict[str, str]
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def caviar(self, *args: str, code: int = 0, timeout: float = 240) -> subprocess.CompletedProcess[str]:
        """Runs the command and checks its exit code."""
        done = subprocess.run(
            [COMMAND, *args],
            check=False,
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        assert done.returncode == code, f"exit {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}"
        return done

    def answer(self, *args: str, code: int = 0) -> Any:
        """The JSON object on the last line of stdout."""
        return json.loads(self.caviar(*args, "--json", code=code).stdout.splitlines()[-1])

    def start(self, *args: str) -> subprocess.Popen[bytes]:
        log = (self.folder / "driver.log").open("ab")
        self.started.append(subprocess.Popen([COMMAND, *args], cwd=self.folder, env=self.env, stdout=log, stderr=log))
        return self.started[-1]

    def end(self) -> None:
        """Kills what tests have left running, with its children: it would be in the way of those that follow."""
        for process in self.started:
            with contextlib.suppress(psutil.NoSuchProcess):
                for child in psutil.Process(process.pid).children(recursive=True):
                    child.kill()
            process.kill()
            process.wait()


@pytest.fixture(scope="session", autouse=True)
def ray_token(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The token of this process, which Ray reads once and keeps: whichever test comes first, it is this one."""
    token = tmp_path_factory.mktemp("ray") / "token"
    token.write_text("a" * 64)
    os.environ["RAY_AUTH_TOKEN_PATH"] = str(token)
    return token


@pytest.fixture(scope="session")
def ray_address(ray_token: Path) -> Iterator[str]:
    """One Ray cluster of two cores for all tests."""
    import ray

    quiet: dict[str, Any] = {"include_dashboard": False, "log_to_driver": False, "_node_ip_address": "127.0.0.1"}
    quiet["_system_config"] = {"health_check_period_ms": 500}  # a node that is killed is noticed within 3 s, not 15
    ray.init("local", num_cpus=2, **quiet)  # else it would join whatever cluster runs on this machine
    yield ray.get_runtime_context().gcs_address
    ray.shutdown()


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """One S3 server for all tests; this process, too, has in its environment what it takes to use it."""
    with serving(tmp_path_factory.mktemp("s3")) as server, pytest.MonkeyPatch.context() as patch:
        for name, value in server.env.items():
            patch.setenv(name, value)
        yield server


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """scikit-learn's 1,797 digits as X [N, 8, 8] and y [N]."""
    from sklearn.datasets import load_digits

    path = tmp_path_factory.mktemp("digits") / "digits.npz"
    X, y = load_digits(return_X_y=True)
    np.savez(path, X=X.reshape(-1, 8, 8), y=y)
    return path


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, ray_address: str) -> Iterator[Home]:
    """A new user's folder, on the shared cluster."""
    folder = tmp_path_factory.mktemp("home")
    env = {key: value for key, value in os.environ.items() if not key.startswith(("MLFLOW_", "CAVIAR_"))}
    made = Home(folder, {**env, "RAY_ADDRESS": ray_address})
    yield made
    made.end()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Where the commands of a new user, run in this process, find and put everything."""
    monkeypatch.setenv("CAVIAR_HOME", str(tmp_path))
    monkeypatch.delenv("CAVIAR_STORAGE", raising=False)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return Place(tmp_path, Storage(tmp_path / "storage"), embedded_uri(tmp_path))
