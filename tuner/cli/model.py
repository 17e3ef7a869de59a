"""Commands around a model: predict, reproduce."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tuner.cli.app import FAILED, Json, StorageUri, TrackingUri, answer, app, console, fail, place
from tuner.cli.find import find_sweep
from tuner.cli.panda import replayed
from tuner.cli.panda_looking import named
from tuner.cli.waiting import counting, waiting

if TYPE_CHECKING:
    from models.classifier import Classifier


def _in_a_folder(out: Path | None) -> Path | None:
    if out and not out.parent.is_dir():
        raise typer.BadParameter(f"{out.parent} is no folder: make it, or write elsewhere")
    return out


@app.command()
def predict(
    model: Annotated[
        str, typer.Argument(help="A sweep, or a registered model: models:/NAME@champion.", metavar="MODEL")
    ],
    data: Annotated[
        str, typer.Argument(help="Raw rows: csv, parquet, feather or npz; URIs and (quoted) globs too.", metavar="DATA")
    ],
    *,
    out: Annotated[
        Path | None,
        typer.Option(
            help="CSV file to write. [default: stdout]", show_default=False, dir_okay=False, callback=_in_a_folder
        ),
    ] = None,
    storage: StorageUri = None,
    tracking: TrackingUri = None,
    as_json: Json = False,
) -> None:
    """Predict class probabilities for raw rows, as CSV: one column a class, then the most probable class."""
    import pandas as pd

    from models.columns import Kind
    from tuner.data.source import read_rows

    told = console(json_wanted=True)  # stderr: the predictions go to stdout
    with waiting(told, f"loading {model}"):
        classifier = _classifier(model, storage, tracking)
    columns = classifier.encoder.columns
    texts = [column.name for column in columns if column.kind in (Kind.CATEGORY, Kind.DATETIME)]
    with waiting(told, f"reading {data}"):
        frame = read_rows(data, [column.name for column in columns], texts)
    with waiting(told, f"predicting {len(frame):,} rows"):
        probabilities = classifier.predict_proba(frame)
    classes = [str(name) for name in classifier.classes]
    predictions = [classes[place] for place in probabilities.argmax(axis=1)]
    if out or not as_json:
        table = pd.DataFrame(probabilities, columns=classes).assign(prediction=predictions)
        with waiting(told, f"writing {len(table):,} rows") if out else contextlib.nullcontext():
            table.to_csv(out or sys.stdout, index=False)
    if as_json:
        answer({"classes": classes, "probabilities": probabilities.tolist(), "predictions": predictions})


def _classifier(model: str, storage: str | None, tracking: str | None) -> Classifier:
    """The registered model, or the one that a sweep exported."""
    from models.classifier import Classifier
    from tuner.engine.objects import MODEL_FOLDER
    from tuner.engine.panda.making import storage_of

    where = place(storage)
    if "://" in model or model.startswith(("models:", "runs:")):
        from tuner.engine.tracking import classifier_of

        return classifier_of(tracking or where.tracking, model)
    panda = named(model, where)
    sweep = storage_of(where, panda) if panda else where.sweep(find_sweep(model, where))
    with tempfile.TemporaryDirectory() as folder:
        names = sweep.names(MODEL_FOLDER)
        if not names:
            made, why = ("panda", "no epoch had") if panda else ("sweep", "no trial reached")
            raise ValueError(f"{made} {model} has no model: it has not finished, or {why} a finite loss")
        for name in names:
            Path(folder, name).write_bytes(sweep.read(f"{MODEL_FOLDER}/{name}"))
        return Classifier.load(Path(folder))


@app.command()
def reproduce(
    run: Annotated[str, typer.Argument(help="A trial's MLflow run id, a sweep, or a panda.", metavar="RUN-or-SWEEP")],
    trial: Annotated[str | None, typer.Argument(help="With a sweep: the trial. [default: its winner]")] = None,
    storage: StorageUri = None,
    tracking: TrackingUri = None,
    as_json: Json = False,
) -> None:
    """Train one trial again, alone, and compare its curve with the one it had in its pack; replay a panda."""
    from tuner.engine import stages
    from tuner.engine.reproduce import TOLERANCE, compare, retrain, with_params
    from tuner.engine.sweep import load
    from tuner.engine.tracking import run_of

    where = place(storage)
    if panda := named(run, where):
        replayed(panda, where, console(as_json), as_json)
        return
    recorded = run_of(tracking or where.tracking, run) if _is_run_id(run) else None
    sweep = where.sweep(recorded.sweep if recorded else find_sweep(run, where))
    _, ledger, _ = load(sweep)
    best = stages.winner(ledger)
    wanted = recorded.trial if recorded else trial or (best.id if best else None)
    if wanted is None:
        raise ValueError(f"{sweep.uri} has no winner: no trial reached a finite loss; name a trial")
    if wanted not in ledger.rows:
        raise ValueError(f"no trial {wanted!r} with evaluations in {sweep.uri}: `caviar best` lists trials")
    found, before = ledger.trials[wanted], ledger.rows[wanted]
    if recorded:
        found, before = with_params(found, recorded.params, recorded.seed), recorded.rows
    out = console(as_json)
    out.print(f"training {wanted} alone for {len(before)} epochs", highlight=False)
    with counting(out, wanted, len(before), "epochs") as observe:
        again = retrain(sweep, where.snapshots, found, len(before), observe)
    result = compare(found, before, again)
    words = (
        "equal to the last bit"
        if result.bitwise
        else f"largest relative difference {result.difference:.2e} (tolerance {TOLERANCE:.0e})"
    )
    out.print(f"{wanted}: {result.epochs} epochs compared, {words}", highlight=False)
    if as_json:
        answer(result.to_json())
    if not result.ok:
        fail(f"the curve of {wanted} was not reproduced", FAILED)


def _is_run_id(text: str) -> bool:
    return len(text) == 32 and all(letter in "0123456789abcdef" for letter in text)
