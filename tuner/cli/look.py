"""Commands that look: list, status, best, ui, schema."""

from __future__ import annotations

import os
import socket
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from tuner.cli.app import Json, StorageUri, SweepName, answer, app, console, find_sweep, place

if TYPE_CHECKING:
    from tuner.engine.sweep import Place


@app.command("list")
def list_sweeps(storage: StorageUri = None, as_json: Json = False) -> None:
    """List the sweeps, newest first."""
    from tuner.engine.status import read
    from tuner.review.terminal import table

    where = place(storage)
    found = [read(where.sweep(name)) for name in where.storage.names("sweeps")]
    sweeps = [
        {
            "sweep": status.sweep,
            "name": status.name,
            "status": status.status,
            "trials": sum(status.states.values()),
            "best_val_loss": status.best["val_loss"] if status.best else None,
        }
        for status in sorted((status for status in found if status), key=lambda status: status.created, reverse=True)
    ]
    console(as_json).print(table(sweeps) if sweeps else f"no sweeps in {where.storage.uri}")
    if as_json:
        answer({"sweeps": sweeps})


@app.command()
def status(name: SweepName, storage: StorageUri = None, as_json: Json = False) -> None:
    """Show where a sweep stands."""
    from tuner.engine.publisher import published
    from tuner.engine.status import read
    from tuner.review.terminal import panel

    where = place(storage)
    sweep = where.sweep(find_sweep(name, where))
    found = read(sweep)
    if found is None:
        raise ValueError(f"sweep {name!r} has no status yet: `caviar resume {name}` starts it")
    out = console(as_json)
    out.print(panel(found))
    out.print(f"status   {found.status}", highlight=False)
    sent = published(sweep)
    if sent.error:
        out.print(f"MLflow   {sent.error}", highlight=False)
    if as_json:
        answer({**asdict(found), "parent_run_id": sent.parent_run_id, "model_uri": sent.model_uri})


@app.command()
def best(name: SweepName, storage: StorageUri = None, as_json: Json = False) -> None:
    """Show the winner of a sweep, or the best trials so far."""
    from tuner.engine.result import leaderboard
    from tuner.engine.sweep import load
    from tuner.review.terminal import table

    where = place(storage)
    _, ledger, _ = load(where.sweep(find_sweep(name, where)), where)
    rows = leaderboard(ledger)
    console(as_json).print(table(rows) if rows else "no trial has been evaluated yet")
    if as_json:
        answer({"leaderboard": rows})


@app.command()
def ui(port: Annotated[int, typer.Option(help="Port on this machine.")] = 5000) -> None:
    """Open the MLflow UI on this user's sweeps; ends with Ctrl-C."""
    from tuner.engine.tracking import ui_command

    where = place()
    command = ui_command(where.tracking, port)
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            raise ValueError(f"port {port} is taken: choose another one with --port")
    print(f"MLflow is starting; in a few seconds: {_page(where, port)}", flush=True)
    os.environ |= {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    os.execvp(command[0], command)  # noqa: S606  # no shell: a list made here


def _page(where: Place, port: int) -> str:
    """The address of the newest sweep's experiment; without its last part MLflow shows pages for language models."""
    from tuner.engine.publisher import published

    newest = max(where.storage.names("sweeps"), key=lambda name: name[-20:], default=None)
    experiment = published(where.sweep(newest)).experiment_id if newest else None
    path = f"/#/experiments/{experiment}/runs?workflowType=machine_learning" if experiment else ""
    return f"http://127.0.0.1:{port}{path}"


@app.command()
def schema() -> None:
    """Print the JSON Schema of specs, for editors."""
    from tuner.spec import json_schema

    answer(json_schema())
