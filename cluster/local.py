"""This machine as the head of a cluster, or as a worker of one: up, join, down."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from cluster import files, logins, nodes, probe, server
from cluster.addresses import demand_free, is_loopback
from cluster.current import environment_of
from cluster.database import shown
from cluster.ending import all_or_nothing, end_recorded
from cluster.processes import Service, new_mark
from cluster.record import Record, answers, demand_no_other_head, demand_own, head_file, worker_file
from cluster.server import Login
from cluster.starting import dashboard_answers, mlflow_answers, wait


@dataclass(frozen=True, slots=True)
class Head:
    """What a head shall be. `address` is an IPv4 address of this machine; `database` can hold a password."""

    home: Path
    address: str
    ray_port: int
    dashboard_port: int
    mlflow_port: int
    token: Path
    database: str = field(repr=False)
    storage: str | None = None
    admin: Login | None = None
    cpus: int | None = None


def up(plan: Head, prepare: Callable[[], None]) -> Record:
    """Starts Ray's head and, after `prepare` made its database, MLflow; returns when both answer.

    The caller holds the home's lock and knows that no head is up. What is left of an earlier one, which can be half of
    it, is ended first: it may hold the ports. ValueError before anything is started; StartError after all that was
    started is ended.
    """
    demand_own(plan.home)
    end_recorded(head_file(plan.home))
    demand_no_other_head(plan.home)
    ports = {"--ray-port": plan.ray_port, "--dashboard-port": plan.dashboard_port, "--mlflow-port": plan.mlflow_port}
    demand_free(plan.address, ports)
    record = Record(
        mark=new_mark(),
        machine=socket.gethostname(),
        ray=f"{plan.address}:{plan.ray_port}",
        files=files.make(),
        token=str(plan.token),
        dashboard=f"http://{plan.address}:{plan.dashboard_port}",
        mlflow=f"http://{plan.address}:{plan.mlflow_port}",
        database=shown(plan.database),
        storage=plan.storage,
        auth=plan.admin is not None,
    )
    with all_or_nothing(head_file(plan.home), record) as run:
        jobs = logins.new()
        ray = run(_ray_head(plan, record, jobs))
        prepare()
        mlflow = run(_mlflow(plan))
        questions = {
            "Ray's dashboard": partial(dashboard_answers, str(record.dashboard), plan.token.read_text().strip()),
            "MLflow": partial(mlflow_answers, str(record.mlflow), plan.admin),
        }
        wait([ray, mlflow], questions)
        if plan.admin:
            known = partial(logins.admitted, str(record.mlflow), plan.admin, jobs)
            wait([ray, mlflow], {"MLflow, asked to know who jobs are,": known})
    return record


def join(home: Path, address: str, token: Mapping[str, str], cpus: int | None) -> Record:
    """Starts a worker of the head at `address` (host:port), with the token as in Ray's environment.

    The caller holds the home's lock and knows that this machine is no part of a cluster. OSError, with nothing
    running, if the head is not there or refuses the token.
    """
    env = {**nodes.clean(os.environ), **token, "RAY_AUTH_MODE": "token", "CAVIAR_HOME": str(home)}
    host, _, port = address.rpartition(":")
    if is_loopback(host):
        raise ValueError(f"a worker joins a head on another machine, and {host} is this one: write the head's address")
    if not answers(address, seconds=probe.CONNECT_SECONDS):
        raise OSError(
            f"nothing answers at {address}: on the head, `caviar up --host {host} --auth` must say that it is up, and "
            f"no firewall may be between it and this machine (port {port}, and all that Ray chooses)"
        )
    demand_own(home)
    _check_token(address, env, token)
    end_recorded(worker_file(home))
    path = token.get("RAY_AUTH_TOKEN_PATH")
    record = Record(new_mark(), socket.gethostname(), address, files.make(), token=path)
    name = _name(record)
    with all_or_nothing(worker_file(home), record) as run:
        ray = run(nodes.worker(address, nodes.Node(name, record.files, cpus), env))
        wait([ray], {"the worker": partial(probe.has_node, address, env, name)})
    return record


def _check_token(address: str, env: Mapping[str, str], token: Mapping[str, str]) -> None:
    """OSError if the head does not take the token, or does not answer."""
    try:
        probe.ask(address, env)
    except probe.RefusedError as error:
        used = token.get("RAY_AUTH_TOKEN_PATH", "RAY_AUTH_TOKEN")
        raise OSError(
            f"{error} in {used}: copy ray.token from CAVIAR_HOME on the head to this machine (mode 600), and set "
            "RAY_AUTH_TOKEN_PATH to the copy"
        ) from None


def down(home: Path) -> dict[str, int]:
    """Ends what `up` and `join` started on this machine; how many processes of what."""
    return {**end_recorded(worker_file(home)), **end_recorded(head_file(home))}


def _ray_head(plan: Head, record: Record, jobs: Login) -> Service:
    given = {**nodes.clean(os.environ), **environment_of(record), "CAVIAR_HOME": str(plan.home)}
    del given["RAY_ADDRESS"]  # this is where the address begins
    env = {**given, **(jobs.environment() if plan.admin else {})}
    node = nodes.Node(_name(record), record.files, plan.cpus)
    return nodes.head(plan.address, (plan.ray_port, plan.dashboard_port), node, env)


def _mlflow(plan: Head) -> Service:
    places = server.inside(plan.home, plan.database)
    where = (plan.address, plan.mlflow_port, plan.home, places)
    return server.server(*where, admin=plan.admin, workers=server.workers(), env=os.environ)


def _name(record: Record) -> str:
    """A node's name in Ray: the machine's, and what tells this start from others on it."""
    return f"{record.machine}-{record.mark[:8]}"
