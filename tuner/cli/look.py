"""Commands that look: list, status, best, ui, schema."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Annotated

import typer

from tuner.cli.app import Json, StorageUri, SweepName, answer, app, console, find_sweep, place


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

    command = ui_command(place().tracking, port)
    print(f"MLflow UI: http://127.0.0.1:{port}", flush=True)
    os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
    os.execvp(command[0], command)  # noqa: S606  # no shell: a list made here


@app.command()
def schema() -> None:
    """Print the JSON Schema of specs, for editors."""
    from tuner.spec import json_schema

    answer(json_schema())
