"""Commands around a model: predict, reproduce."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from tuner.cli.app import FAILED, Json, StorageUri, answer, app, console, fail, find_sweep, place


@app.command()
def predict(
    model: Annotated[str, typer.Argument(help="A sweep, or a registered model: models:/NAME@champion.")],
    data: Annotated[Path, typer.Argument(help="Raw rows: csv, parquet or feather.")],
    out: Annotated[Path | None, typer.Option(help="CSV file to write. [default: stdout]", show_default=False)] = None,
    storage: StorageUri = None,
) -> None:
    """Predict class probabilities for raw rows, as CSV: one column a class, then the most probable class."""
    from tuner.engine.serve import load_model, predictions
    from tuner.data.source import read_rows

    where = place(storage)
    classifier = load_model(model, where.tracking, lambda: where.sweep(find_sweep(model, where)))
    found = predictions(classifier, read_rows(str(data)))
    found.to_csv(out or sys.stdout, index=False)


@app.command()
def reproduce(
    run: Annotated[str, typer.Argument(help="A trial's MLflow run id, or a sweep.", metavar="RUN-or-SWEEP")],
    trial: Annotated[str | None, typer.Argument(help="With a sweep: the trial. [default: its winner]")] = None,
    storage: StorageUri = None,
    as_json: Json = False,
) -> None:
    """Train one trial again, alone, and compare its curve with the one it had in its pack."""
    from tuner.engine import stages
    from tuner.engine.reproduce import compare, retrain, with_params
    from tuner.engine.sweep import load
    from tuner.engine.tracking import run_of

    where = place(storage)
    recorded = run_of(where.tracking, run) if _is_run_id(run) else None
    sweep = where.sweep(recorded.sweep if recorded else find_sweep(run, where))
    _, ledger, _ = load(sweep, where)
    best = stages.winner(ledger)
    wanted = recorded.trial if recorded else trial or (best.id if best else "")
    if wanted not in ledger.rows:
        raise ValueError(f"no trial {wanted!r} with evaluations in {sweep.uri}: `caviar best` lists trials")
    found, before = ledger.trials[wanted], ledger.rows[wanted]
    if recorded:
        found, before = with_params(found, recorded.params, recorded.seed), recorded.rows
    out = console(as_json)
    out.print(f"training {wanted} alone for {len(before)} epochs", highlight=False)
    result = compare(found, before, retrain(sweep, where.snapshots, found, len(before)))
    words = "equal to the last bit" if result.bitwise else f"largest relative difference {result.difference:.2e}"
    out.print(f"{wanted}: {result.epochs} epochs, {words} (tolerance {result.to_json()['tolerance']:.0e})", highlight=False)
    if as_json:
        answer(result.to_json())
    if not result.ok:
        fail(f"the curve of {wanted} was not reproduced", FAILED)


def _is_run_id(text: str) -> bool:
    return len(text) == 32 and all(letter in "0123456789abcdef" for letter in text)
