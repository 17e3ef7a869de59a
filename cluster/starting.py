"""Waits until what was started answers, or says why it will not."""

from __future__ import annotations

import contextlib
import json
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

from cluster.processes import ticks
from cluster.server import Login

SECONDS = 150.0
ANSWER_SECONDS = 5.0

Question = Callable[[], bool]


class StartError(OSError):
    """Something did not start; all that was started with it is ended again."""


class Started:
    """A process, and the file with all it said."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], log: Path) -> None:
        self.name, self.process, self.log = name, process, log

    def check(self) -> None:
        """StartError if it ended."""
        code = self.process.poll()
        if code is not None:
            raise StartError(f"{self.name} ended with {code} while it started. {self.said()}")

    def said(self) -> str:
        """The end of its log in a sentence."""
        lines = [line.strip() for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
        last = f"It said: {lines[-1][:500]}\n" if lines else ""
        return f"{last}All of it: {self.log}"


def wait(started: list[Started], questions: Mapping[str, Question]) -> None:
    """Returns when every question was answered with yes. StartError if a process ends, or it takes too long."""
    open_ones = dict(questions)
    for _ in ticks(SECONDS):
        for one in started:
            one.check()
        open_ones = {name: question for name, question in open_ones.items() if not question()}
        if not open_ones:
            return
    logs = ", ".join(str(one.log) for one in started)
    raise StartError(f"{' and '.join(open_ones)} did not answer within {SECONDS:g} seconds. The logs: {logs}")


def dashboard_answers(url: str, token: str) -> bool:
    """Whether the head lives and would take a job."""
    status, body = ask(f"{url}/nodes?view=summary", token)
    nodes = body.get("data", {}).get("summary", []) if status == HTTPStatus.OK else []
    return any(node.get("raylet", {}).get("state") == "ALIVE" for node in nodes)


def mlflow_answers(url: str, admin: Login | None) -> bool:
    """Whether experiments are listed. StartError if `admin` is not let in."""
    status, _ = ask(f"{url}/api/2.0/mlflow/experiments/search?max_results=1", admin)
    if status == HTTPStatus.UNAUTHORIZED and admin:
        raise StartError(
            f"MLflow knows its user {admin.name!r} by another password than MLFLOW_AUTH_ADMIN_PASSWORD: it keeps that "
            "of the first start in mlflow-users.db in CAVIAR_HOME. Set that one; it is changed in MLflow, as admin"
        )
    return status == HTTPStatus.OK


def ask(url: str, who: Login | str | None, body: object = None, method: str = "POST") -> tuple[int, dict[str, Any]]:
    """Status and JSON of an answer; 0 if there is none yet. `who` asks, by a login or a token; GET without a body."""
    headers = {} if who is None else {"Authorization": f"Bearer {who}" if isinstance(who, str) else who.header()}
    data = None if body is None else json.dumps(body).encode()
    headers |= {} if data is None else {"Content-Type": "application/json"}
    request = urllib.request.Request(url, data, headers, method="GET" if data is None else method)  # noqa: S310
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(request, timeout=ANSWER_SECONDS) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with contextlib.suppress(OSError, ValueError):
            return error.code, dict(json.load(error))
        return error.code, {}
    except (OSError, ValueError):
        return 0, {}
