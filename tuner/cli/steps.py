"""What to do with a cluster that is up, in words."""

from __future__ import annotations

import getpass
import os
from pathlib import Path
from typing import TYPE_CHECKING

from cluster.addresses import is_loopback

if TYPE_CHECKING:
    from cluster.record import Record


def next_steps(record: Record) -> str:
    """The cluster's three addresses; then how to use it from here, from a laptop, and with more machines."""
    here = ["here", *_here(record), "", "on a laptop", *_laptop(record), "", "with more machines", *_join(record)]
    places = [
        f"Ray        {record.ray}",
        f"dashboard  {record.dashboard}   asks for the token in {_short(record.token)}",
        f"MLflow     {record.mlflow}   {'asks for name and password' if record.auth else ''}",
    ]
    return "\n".join(line.rstrip() for line in [*places, "", *here])


def _here(record: Record) -> list[str]:
    login = ["  export MLFLOW_TRACKING_USERNAME=… MLFLOW_TRACKING_PASSWORD=…"] if record.auth else []
    return [
        *login,
        "  caviar submit SPEC   hands a sweep to the cluster",
        "  caviar ui            shows MLflow",
        "  caviar down          ends the cluster",
    ]


def _laptop(record: Record) -> list[str]:
    ports = [str(url).rpartition(":")[2] for url in (record.dashboard, record.mlflow)]
    tunnel = " ".join(f"-L {port}:127.0.0.1:{port}" for port in ports)
    login = " MLFLOW_TRACKING_USERNAME=… MLFLOW_TRACKING_PASSWORD=…" if record.auth else ""
    where = f"{getpass.getuser()}@{record.machine if is_loopback(record.host) else record.host}"
    return [
        f"  (umask 077; ssh {where} cat {_quoted(record.token)} > ray.token)",
        *([f"  ssh -N {tunnel} {where} &"] if is_loopback(record.host) else []),
        "  export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=$PWD/ray.token",
        f"  export RAY_API_SERVER_ADDRESS={record.dashboard} MLFLOW_TRACKING_URI={record.mlflow}{login}",
        "  caviar submit SPEC",
    ]


def _join(record: Record) -> list[str]:
    if is_loopback(record.host):
        return [
            "  this head is reached from here only; one that others join:",
            "  caviar down; MLFLOW_AUTH_ADMIN_PASSWORD=… caviar up --host ADDRESS --auth",
        ]
    return [
        "  with the token copied as above, on each of them:",
        f"  RAY_AUTH_TOKEN_PATH=ray.token caviar up --join {record.ray}",
    ]


def _short(path: str | None) -> str:
    """The path as it is shortest from where the command runs."""
    return min(str(path), os.path.relpath(str(path)), key=len)


def _quoted(path: str | None) -> str:
    import shlex

    return shlex.quote(str(Path(str(path)).absolute()))
