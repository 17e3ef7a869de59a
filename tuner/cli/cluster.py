"""Commands that make this machine a cluster, or a part of one: up, down."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tuner.cli.app import Json, StorageUri, answer, app, console, home_is_named, own_home
from tuner.cli.waiting import waiting

RAY_PORT, DASHBOARD_PORT, MLFLOW_PORT = 6379, 8265, 5000
JOINING = ("join", "cpus", "as_json")

Port = Annotated[int, typer.Option(min=1024, max=65535, metavar="PORT")]
Host = Annotated[str, typer.Option(help="The address of this machine to listen at; beyond loopback it takes --auth.")]
Database = Annotated[
    str | None,
    typer.Option(
        envvar="CAVIAR_DATABASE",
        help="MLflow's database, such as postgresql://host/mlflow; with a password in it, set it as CAVIAR_DATABASE. "
        "[default: SQLite in CAVIAR_HOME]",
        metavar="URL",
        show_default=False,
        show_envvar=False,
    ),
]
Auth = Annotated[
    bool, typer.Option("--auth", help="MLflow demands passwords; the admin's is MLFLOW_AUTH_ADMIN_PASSWORD.")
]
HeadName = Annotated[
    str | None,
    typer.Option(help="Be a worker of the head there, instead.", metavar="HEAD[:PORT]", show_default=False),
]
Cpus = Annotated[
    int | None, typer.Option(min=0, help="CPUs of this machine to train on. [default: all]", show_default=False)
]


@app.command()
def up(
    context: typer.Context,
    *,
    host: Host = "127.0.0.1",
    storage: StorageUri = None,
    database: Database = None,
    auth: Auth = False,
    join: HeadName = None,
    cpus: Cpus = None,
    ray_port: Port = RAY_PORT,
    dashboard_port: Port = DASHBOARD_PORT,
    mlflow_port: Port = MLFLOW_PORT,
    as_json: Json = False,
) -> None:
    """Start a cluster here: Ray's head with its dashboard, and MLflow. With --join: a worker of another machine's."""
    from tuner.engine.locks import locked

    _check_options(context, join=join, database=database)
    ports = {"ray_port": ray_port, "dashboard_port": dashboard_port, "mlflow_port": mlflow_port}
    home = own_home()
    with locked(home / "cluster.lock"):
        if join:
            _join(home, join, cpus, as_json=as_json)
        else:
            _up(home, host, {**ports, "storage": storage, "cpus": cpus}, database, auth=auth, as_json=as_json)


def _check_options(context: typer.Context, *, join: str | None, database: str | None) -> None:
    from tuner.spec.secrets import holds_secret

    given = {name for name in context.params if str(context.get_parameter_source(name)).endswith("COMMANDLINE")}
    if join and given - set(JOINING):
        wrong = ", ".join(f"--{name.replace('_', '-')}" for name in sorted(given - set(JOINING)))
        raise ValueError(f"{wrong} is for a head: with --join there are --cpus and --json")
    if database and "database" in given and holds_secret(database):
        raise ValueError(
            "a password in --database is seen by everyone who lists this machine's processes: set the URL as "
            "CAVIAR_DATABASE"
        )


def _up(home: Path, host: str, settings: dict[str, Any], database: str | None, *, auth: bool, as_json: bool) -> None:
    from cluster import current, local
    from cluster.addresses import bound_address, is_loopback
    from cluster.database import checked
    from tuner.cli import credentials
    from tuner.cli.steps import next_steps
    from tuner.engine.tracking import embedded_uri, prepare

    record, out = current.head(home, shared=home_is_named()), console(as_json)
    began = record is None
    if record is None:
        address = bound_address(host)
        admin = credentials.admin() if auth else None
        if not (auth or is_loopback(address)):
            raise ValueError(
                f"--host {host} lets others reach MLflow, which would obey everyone: add --auth, with the admin's "
                "password in MLFLOW_AUTH_ADMIN_PASSWORD"
            )
        uri = checked(database or embedded_uri(home))
        settings["storage"] = _absolute(settings["storage"])
        plan = local.Head(home, address, token=credentials.cluster_token(home), database=uri, admin=admin, **settings)
        with waiting(out, "Ray and MLflow are starting; this takes about 15 seconds"):
            record = local.up(plan, lambda: prepare(uri))
    out.print(
        f"the cluster {'is up' if began else 'was up already'}\n\n{next_steps(record)}", highlight=False, soft_wrap=True
    )
    if as_json:
        shown = {name: getattr(record, name) for name in ("ray", "dashboard", "mlflow", "token", "database", "machine")}
        answer({"started": began, **shown, "environment": current.environment(home, shared=home_is_named())})


def _join(home: Path, head: str, cpus: int | None, *, as_json: bool) -> None:
    from cluster import current, local
    from cluster.addresses import host_and_port
    from tuner.cli import credentials

    out = console(as_json)
    address = ":".join(map(str, host_and_port(head, RAY_PORT)))
    here = current.head(home)
    if here and here.is_here:
        raise ValueError(f"this machine is the head of {here.ray}, started in {home}: `caviar down` first")
    record = current.worker(home)
    began = record is None
    if record and record.ray != address:
        raise ValueError(f"this machine is a worker of {record.ray}: `caviar down` first")
    if record is None:
        with waiting(out, f"this machine joins {address}"):
            record = local.join(home, address, credentials.head_token(home), cpus)
    became = "is" if began else "was already"
    out.print(f"this machine {became} a worker of {record.ray}; `caviar down` takes it away", highlight=False)
    if as_json:
        answer({"started": began, "ray": record.ray, "machine": record.machine})


@app.command()
def down(as_json: Json = False) -> None:
    """End what `caviar up` started on this machine: sweeps are interrupted and can go on; the data stay."""
    from cluster import current, local
    from tuner.engine.locks import locked

    home, out = own_home(), console(as_json)
    with locked(home / "cluster.lock"):
        with waiting(out, "jobs end and write down where they stand; this can take a minute"):
            ended = local.down(home)
        elsewhere = current.head(home, shared=home_is_named())
    for name, count in ended.items():
        out.print(f"ended {name} ({count} {'process' if count == 1 else 'processes'})", highlight=False)
    if not ended:
        out.print(f"nothing that `caviar up` started with {home} runs on this machine", highlight=False)
    if elsewhere:
        out.print(f"the head runs on {elsewhere.machine}: `caviar down` there ends it", highlight=False)
    if as_json:
        answer({"ended": ended})


def _absolute(storage: str | None) -> str | None:
    """A storage that means the same for jobs, which run elsewhere."""
    return storage if storage is None or "://" in storage else str(Path(storage).absolute())
