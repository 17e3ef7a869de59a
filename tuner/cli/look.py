"""Commands that look: list, status, best, ui, schema."""

from __future__ import annotations

import os
import socket
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from tuner.cli.app import Json, StorageUri, SweepName, TrackingUri, answer, app, console, place
from tuner.cli.find import PANDAS, SWEEPS, Made, find_shown, find_sweep, newest
from tuner.cli.handle import handle, is_server, standing

if TYPE_CHECKING:
    from rich.console import Console

    from tuner.engine.place import Place
    from tuner.engine.status import Status


@app.command("list")
def list_sweeps(storage: StorageUri = None, as_json: Json = False) -> None:
    """List the sweeps in storage, and those that the MLflow server shows, newest first."""
    from tuner.review.terminal import table

    where, out = place(storage), console(as_json)
    folder = where.storage.local(".")
    if storage and folder and not folder.is_dir():
        raise ValueError(f"there is no storage {where.storage.uri}: check --storage (or CAVIAR_STORAGE)")
    sweeps = [
        {
            "sweep": status.sweep,
            "name": status.name,
            "status": status.status,
            "trials": sum(status.states.values()),
            "best_val_loss": status.best["val_loss"] if status.best else None,
        }
        for status in sorted(_statuses(where, out), key=lambda status: status.created, reverse=True)
    ]
    pandas = len(where.storage.names(PANDAS))
    nothing = f"no sweeps in {where.storage.uri}" + (f" or at {where.tracking}" if is_server(where.tracking) else "")
    out.print(table(sweeps) if sweeps else nothing)
    if pandas:
        out.print(f"and {pandas} panda{'s' * (pandas > 1)}: caviar panda list", highlight=False)
    if as_json:
        answer({"sweeps": sweeps})


def _statuses(where: Place, out: Console) -> list[Status]:
    """Of the sweeps in storage, and of those that only the server shows; without the server those in storage count."""
    from tuner.engine.status import read

    names = where.storage.names("sweeps")
    stored = [found for found in (read(where.sweep(name)) for name in names) if found]
    if not is_server(where.tracking):
        return stored
    from tuner.engine.tracking import remote_sweeps

    try:
        return [*stored, *(seen.status for seen in remote_sweeps(where.tracking).all() if seen.sweep not in names)]
    except OSError as error:
        if not stored:
            raise
        out.print(f"only the sweeps in storage: {error}", style="yellow", highlight=False, soft_wrap=True)
        return stored


@app.command()
def status(name: SweepName, storage: StorageUri = None, as_json: Json = False) -> None:
    """Show where a sweep stands: from its storage, or from MLflow where that is all that can be reached."""
    from tuner.review.terminal import panel

    sweep, out = handle(name, place(storage)), console(as_json)
    found, sent = sweep.status(), sweep.published()
    out.print(panel(found))
    out.print(f"status   {standing(found)}", highlight=False)
    if sent.error:
        out.print(f"MLflow   {sent.error}", highlight=False)
    if as_json:
        answer({**asdict(found), "parent_run_id": sent.parent_run_id, "model_uri": sent.model_uri})


@app.command()
def best(name: SweepName, storage: StorageUri = None, as_json: Json = False) -> None:
    """Show the winner of a sweep and how it stands on fresh seeds and the holdout; before that the best so far."""
    from tuner.engine.journal import Journal
    from tuner.engine.result import figures, leaderboard
    from tuner.engine.sweep import load
    from tuner.review.describe import describe_best

    where = place(storage)
    sweep = where.sweep(find_sweep(name, where))
    _, ledger, _ = load(sweep)
    found = figures(ledger, Journal(sweep).read(1)["snapshot"]["class_counts"])
    rows = leaderboard(ledger)
    console(as_json).print(describe_best(found, rows), highlight=False)
    if as_json:
        answer({**found, "leaderboard": rows})


@app.command()
def ui(
    name: Annotated[
        str | None,
        typer.Argument(help="The sweep or panda to show, or a spec. [default: the newest]", metavar="SWEEP"),
    ] = None,
    port: Annotated[int, typer.Option(help="Port on this machine.", min=1, max=65535)] = 5000,
    storage: StorageUri = None,
    tracking: TrackingUri = None,
) -> None:
    """Open MLflow on this user's sweeps, or on one: the server's page, or one that ends with Ctrl-C."""
    from cluster.current import head
    from tuner.engine.tracking import ui_command

    where = place(storage)
    made = None if name is None else find_shown(name, where)
    uri = tracking or (made.tracking if made else where.tracking)
    page = _page(made or newest(where, SWEEPS, PANDAS, tracking=uri))
    record = head(where.home)
    served = uri if uri.startswith("http") else record.mlflow if record and record.database == uri else None
    if served:
        _open(_public(served) + page)
        return
    command = ui_command(uri, port)
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            raise ValueError(f"port {port} is taken: choose another one with --port")
    print(f"MLflow is starting; in a few seconds: http://127.0.0.1:{port}{page}", flush=True)
    os.environ |= {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    os.execvp(command[0], command)  # noqa: S606  # no shell: a list made here


def _public(uri: str) -> str:
    """A server's address without a login, which a browser would show in the list of processes."""
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"


def _open(page: str) -> None:
    """Prints the address and, where somebody sits in front of it, opens it."""
    import webbrowser

    print(f"MLflow is at {page}", flush=True)
    if sys.stdout.isatty():
        webbrowser.open(page)


def _page(made: Made | None) -> str:
    """The page of its experiment, as the sweep has it shown; without it MLflow opens on language models."""
    from tuner.engine.publisher import published

    sent = published(made.storage) if made else None
    if sent is None or not sent.experiment_id:
        return ""
    view = f"&viewStateShareKey={sent.view}" if sent.view else ""
    return f"/#/experiments/{sent.experiment_id}/runs?workflowType=machine_learning{view}"


@app.command()
def schema(
    policy: Annotated[bool, typer.Option("--policy", help="That of policies, which `caviar retune` takes.")] = False,
    _: Json = False,
) -> None:
    """Print the JSON Schema of specs, for editors; with --json or without."""
    from tuner import spec
    from tuner.retune import policy as policies

    answer(policies.json_schema() if policy else spec.json_schema())
