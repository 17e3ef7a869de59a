"""The commands that make this machine a part of a Ray cluster that demands a token."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cluster.addresses import is_loopback
from cluster.processes import Service

RAY = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats"]
STOP_SECONDS = 60  # that a job has to end by itself
ENVIRONMENT = {
    "RAY_AUTH_MODE": "token",
    "RAY_JOB_STOP_SIGNAL": "SIGINT",  # a sweep then writes down where it stands
    "RAY_JOB_STOP_WAIT_TIME_S": str(STOP_SECONDS),
    "RAY_USAGE_STATS_ENABLED": "0",
    # Metrics are served to everyone without the token, at every address of the machine. No port is the only way
    # to keep the dashboard's from being served.
    "RAY_enable_metrics_collection": "0",
    "DASHBOARD_METRIC_PORT": "-1",
    # What each submission brings is kept unpacked on every node; beyond this, what no job uses is removed. Ray's: 10.
    "RAY_RUNTIME_ENV_WORKING_DIR_CACHE_SIZE_GB": "1",
    "RAY_START_HOOK": "cluster.start_hook.without_client_server",
}
# Without it Ray replaces a loopback address by another one of the machine. Whoever connects needs it, too.
STAY_ON_LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
ELSEWHERE = (
    "RAY_ADDRESS",
    "RAY_API_SERVER_ADDRESS",
    "RAY_AUTH_TOKEN",
    "RAY_JOB_CONFIG_JSON_ENV_VAR",
    "MLFLOW_TRACKING_USERNAME",
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_TOKEN",
)
SECRET = ("CAVIAR_DATABASE", "PGPASSWORD", "MLFLOW_BACKEND_STORE_URI", "MLFLOW_AUTH_ADMIN_PASSWORD")


@dataclass(frozen=True, slots=True)
class Node:
    """A node's name, its folder for sockets and logs, and how many CPUs it offers (None: all)."""

    name: str
    files: str
    cpus: int | None

    def options(self) -> list[str]:
        cpus = [] if self.cpus is None else [f"--num-cpus={self.cpus}"]
        # The agent's usual port is a fixed one: of two clusters on one machine, one would send its jobs to the other.
        return [f"--node-name={self.name}", f"--temp-dir={self.files}", *cpus, "--dashboard-agent-listen-port=0"]


def connection(ray: str, dashboard: str | None, token: str | None) -> dict[str, str]:
    """What the environment of a command that uses the cluster must have."""
    host = ray.rpartition(":")[0]
    found = {"RAY_ADDRESS": ray, "RAY_AUTH_MODE": "token", **(STAY_ON_LOOPBACK if is_loopback(host) else {})}
    if dashboard:
        found["RAY_API_SERVER_ADDRESS"] = dashboard
    if token:
        found["RAY_AUTH_TOKEN_PATH"] = token
    return found


def head(address: str, ports: tuple[int, int], node: Node, env: Mapping[str, str]) -> Service:
    """The head at `address`, with ports of its own and of the dashboard; jobs get what `env` adds."""
    where = ["--head", f"--node-ip-address={address}", f"--port={ports[0]}"]
    served = [f"--dashboard-host={address}", f"--dashboard-port={ports[1]}", "--include-dashboard=true"]
    loopback = STAY_ON_LOOPBACK if is_loopback(address) else {}
    # Sweeps were stopped before: there is nothing to drain.
    mine = {**ENVIRONMENT, **loopback, "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0", **env}
    return Service("Ray head", [*RAY, *where, *served, "--no-monitor", *node.options()], mine)


def worker(head_address: str, node: Node, env: Mapping[str, str], address: str | None = None) -> Service:
    """A worker of the head at `head_address` (host:port); `address` is this machine's, if Ray need not find out."""
    # A node that says that it leaves is not missed: what it trained counts as moved, not as failed.
    mine = {**ENVIRONMENT, "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "3", **env}
    where = [f"--address={head_address}", *([f"--node-ip-address={address}"] if address else [])]
    return Service("Ray worker", [*RAY, *where, *node.options()], mine)


def clean(environment: Mapping[str, str]) -> dict[str, str]:
    """`environment` without what leads elsewhere or is no job's business; this Python's commands come first."""
    kept = {name: value for name, value in environment.items() if name not in (*ELSEWHERE, *SECRET)}
    path = f"{Path(sys.executable).parent}:{kept.get('PATH', '/usr/bin:/bin')}"
    return {**kept, "PATH": path}
