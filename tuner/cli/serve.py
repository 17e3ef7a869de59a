"""The processes of a deployment, one a command, for images and units: serve head, worker, mlflow; and admit."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Annotated

import typer

from tuner.cli.app import app, console, own_home
from tuner.cli.cluster import DASHBOARD_PORT, MLFLOW_PORT, RAY_PORT, Cpus, Port
from tuner.cli.database import DATABASE

ARTIFACTS = "CAVIAR_ARTIFACTS"

serve = typer.Typer(
    help="Be one process of a deployment, in the foreground: for containers and systemd.", no_args_is_help=True
)
app.add_typer(serve, name="serve")

Host = Annotated[
    str | None,
    typer.Option(
        envvar="CAVIAR_HOST",
        help="The address to listen at. [default: this machine's name]",
        metavar="ADDRESS",
        show_default=False,
    ),
]
Former = Annotated[
    typer.FileText | None,
    typer.Option(
        "--former-admin-password",
        help="A file with the admin's password until now (-: standard input); MLFLOW_AUTH_ADMIN_PASSWORD replaces it.",
        metavar="FILE",
    ),
]
HeadAddress = Annotated[str, typer.Argument(help="The head.", metavar="HEAD[:PORT]")]


@serve.command()
def head(
    host: Host = None, cpus: Cpus = None, ray_port: Port = RAY_PORT, dashboard_port: Port = DASHBOARD_PORT
) -> None:
    """Be Ray's head. It demands the token in RAY_AUTH_TOKEN_PATH; its jobs get this environment."""
    from cluster import serving
    from tuner.cli import credentials

    token = credentials.cluster_token(own_home())
    serving.become(serving.head(_address(host), (ray_port, dashboard_port), token, cpus, os.environ))


@serve.command()
def worker(head: HeadAddress, cpus: Cpus = None) -> None:
    """Be a worker of the head at HEAD, until the head gives it up: then join again by starting again."""
    from cluster import serving
    from cluster.addresses import host_and_port
    from tuner.cli import credentials

    address = ":".join(map(str, host_and_port(head, RAY_PORT)))
    serving.become(serving.worker(address, credentials.head_token(own_home()), cpus, os.environ))


@serve.command()
def mlflow(host: Host = None, mlflow_port: Port = MLFLOW_PORT) -> None:
    """Be MLflow, which asks for passwords: the admin's is MLFLOW_AUTH_ADMIN_PASSWORD until it is changed there.

    Runs, models and users are kept in CAVIAR_DATABASE, artifacts in CAVIAR_ARTIFACTS, a folder or URI; both are in
    CAVIAR_HOME where they are not set.
    """
    from cluster import serving
    from cluster.database import checked
    from tuner.cli import credentials
    from tuner.engine.tracking import embedded_uri, prepare

    admin, home = credentials.admin(), own_home()
    home.mkdir(parents=True, exist_ok=True)
    uri = checked(os.environ.get(DATABASE) or embedded_uri(home))
    artifacts = _uri(os.environ.get(ARTIFACTS) or str(home / "artifacts"))
    prepare(uri)
    where = (_address(host), mlflow_port, home)
    serving.become(serving.mlflow(*where, database=uri, artifacts=artifacts, admin=admin, env=os.environ))


@app.command()
def admit(former: Former = None) -> None:
    """As MLflow's admin, give a login what jobs need: MLFLOW_TRACKING_USERNAME with that password, new or changed."""
    from cluster import logins
    from cluster.server import Login
    from tuner.cli import credentials

    url, admin, jobs = os.environ.get("MLFLOW_TRACKING_URI", ""), credentials.admin(), credentials.jobs()
    if not url.startswith("http"):
        raise ValueError("MLFLOW_TRACKING_URI must name the MLflow server, such as http://mlflow:5000")
    if former:  # done before, it is refused here, and no error: what counts is whether the password of now is taken
        logins.renewed(url, Login(admin.name, former.read().rstrip("\r\n")), admin)
    if not logins.admitted(url, admin, jobs):
        raise OSError(
            f"MLflow at {url} does not answer, or not to {admin.name!r} with this MLFLOW_AUTH_ADMIN_PASSWORD, or the "
            "password is shorter than 12 characters: nothing is lost, try again"
        )
    console().print(f"MLflow knows {jobs.name}, who may create and change experiments and models", highlight=False)


def _address(host: str | None) -> str:
    """The IPv4 address to listen at. ValueError if it is none of this machine's."""
    from cluster.addresses import bound_address

    return bound_address(host or socket.gethostname())


def _uri(place: str) -> str:
    return place if "://" in place else Path(place).absolute().as_uri()
