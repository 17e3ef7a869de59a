"""One process of a deployment, in the foreground: for containers and systemd, which watch it and start it again.

`caviar up` starts the same processes by hand; here each gets its environment and takes this process's place, so that
signals, exit codes and logs are its own.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from cluster import files, nodes, server
from cluster.addresses import address_towards
from cluster.processes import Service
from cluster.server import Login

LOGIN = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")  # the jobs', on purpose


def head(address: str, ports: tuple[int, int], token: Path, cpus: int | None, env: Mapping[str, str]) -> Service:
    """Ray's head at the IPv4 `address`, with ports of its own and of the dashboard. Jobs get what is in `env`."""
    found = nodes.connection(f"{address}:{ports[0]}", f"http://{address}:{ports[1]}", str(token))
    del found["RAY_ADDRESS"]  # this is where the address begins
    return nodes.head(address, ports, _node(cpus, env), {**_given(env), **found})


def worker(head_address: str, token: Mapping[str, str], cpus: int | None, env: Mapping[str, str]) -> Service:
    """A worker of the head at `head_address` (host:port); it ends when the head gives it up. OSError without a way."""
    host, _, port = head_address.rpartition(":")
    mine = {**_given(env), **token, "RAY_AUTH_MODE": "token"}
    return nodes.worker(head_address, _node(cpus, env), mine, address_towards(host, int(port)))


def mlflow(
    address: str, port: int, home: Path, *, database: str, artifacts: str, admin: Login, env: Mapping[str, str]
) -> Service:
    """MLflow at `address`; users are kept in its `database`, and artifacts go through it to the URI `artifacts`."""
    home.mkdir(parents=True, exist_ok=True)
    places = server.Places(database, artifacts, users=database)
    return server.server(address, port, home, places, admin=admin, workers=server.workers(), env=env)


def become(service: Service) -> NoReturn:
    """Makes this process the service. OSError where its program cannot be started."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(service.command[0], list(service.command), dict(service.env))  # noqa: S606  # a list, no shell


def _given(env: Mapping[str, str]) -> dict[str, str]:
    """What Ray and its jobs get of `env`: it was made for this process, so the login in it is the jobs'."""
    return {**nodes.clean(env), **{name: env[name] for name in LOGIN if env.get(name)}}


def _node(cpus: int | None, env: Mapping[str, str]) -> nodes.Node:
    """A node named as the machine is: what asks whether it lives need not know more."""
    folder = env.get("RAY_TMPDIR") or files.make()
    files.keep_last_session(folder)
    return nodes.Node(socket.gethostname(), folder, cpus)
