"""What a sweep must have come to, whatever was killed: everything once, in its journal and in MLflow's database."""

from __future__ import annotations

import math
from collections import Counter, defaultdict

from sqlalchemy import create_engine, text

from tuner.engine.journal import Journal, pack_from_json, rows_from_json
from tuner.engine.storage import Storage
from tuner.engine.sweep import load
from tuner.trial import Row, Stage, State, Trial

KEYS = ("train_loss", "val_loss", "val_accuracy", "learning_rate")
OF_REFIT = ("train_loss", "learning_rate")  # it trains on all rows, so there are none to compare it on
OF_SWEEP = "SELECT run_uuid FROM tags WHERE key = 'caviar.sweep' AND value = :sweep"
TRIALS = f"SELECT run_uuid, value FROM tags WHERE key = 'caviar.trial' AND run_uuid IN ({OF_SWEEP})"  # noqa: S608
STATUSES = f"SELECT run_uuid, status FROM runs WHERE lifecycle_stage = 'active' AND run_uuid IN ({OF_SWEEP})"  # noqa: S608
METRICS = f"SELECT run_uuid, key, step, value, is_nan FROM metrics WHERE run_uuid IN ({OF_SWEEP})"  # noqa: S608

Numbers = dict[tuple[str, str], list[tuple[int, float]]]  # (trial, metric) -> (epoch, value), in order


def draws(sweep: Storage) -> dict[str, Trial]:
    """The trials that the search drew: ids, seeds, hyperparameters, and where they come from."""
    return {name: trial for name, (trial, _) in evaluations(sweep).items() if trial.stage is Stage.SEARCH}


def complaints(sweep: Storage, database: str) -> list[str]:
    """All that is lost, doubled or left open of a sweep that ended; nothing, if all is well.

    `database` is the URL of MLflow's.
    """
    _, ledger, history = load(sweep)
    found = [] if history.concluded and history.ended else ["the sweep has not ended"]
    drawn = len(draws(sweep))
    found += [f"{drawn} trials were drawn, not {ledger.terms.trials}"] * (drawn != ledger.terms.trials)
    for name, (state, _, reason) in ledger.states.items():
        if not state.final or state is State.FAILED:
            found.append(f"{name} is {state}: {reason}")
    for name, (_, rows) in evaluations(sweep).items():
        epochs = [row.epoch for row in rows]
        found += [f"{name} has the epochs {epochs}"] * (epochs != list(range(1, len(rows) + 1)))
    return found + in_mlflow(sweep, database)


def in_mlflow(sweep: Storage, database: str) -> list[str]:
    """Where MLflow's database says otherwise than the journal: runs, their ends, and each number."""
    engine = create_engine(database)
    name = {"sweep": Journal(sweep).read(1)["sweep"]}
    with engine.connect() as connection:
        trials, statuses, metrics = (connection.execute(text(q), name).all() for q in (TRIALS, STATUSES, METRICS))
    engine.dispose()
    trial_of, status_of = dict(map(tuple, trials)), dict(map(tuple, statuses))
    wanted = evaluations(sweep)
    runs = Counter(trial_of[run] for run in status_of if run in trial_of)
    found = [f"{trial} has {runs[trial]} runs" for trial in wanted.keys() | runs.keys() if runs[trial] != 1]
    found += [f"{trial_of.get(run, 'the sweep')} is {end}" for run, end in status_of.items() if end == "RUNNING"]
    logged: Numbers = defaultdict(list)
    for run, key, step, value, is_nan in sorted(metrics):
        if run in status_of and run in trial_of and key in KEYS:
            logged[trial_of[run], key].append((step, math.nan if is_nan else value))
    numbers = {
        (trial, key): [number(row, key) for row in rows]
        for trial, (drawn, rows) in wanted.items()
        for key in (KEYS if drawn.stage is not Stage.REFIT else OF_REFIT)
        if rows
    }
    for place in sorted(numbers.keys() | logged.keys()):
        if repr(numbers.get(place)) != repr(logged.get(place)):
            found.append(f"MLflow has {place} {logged.get(place)} instead of {numbers.get(place)}")
    return found


def evaluations(sweep: Storage) -> dict[str, tuple[Trial, list[Row]]]:
    """Each trial in the journal, by its id, and its rows from packs that ended, in order."""
    found: dict[str, tuple[Trial, list[Row]]] = {}
    for _, entry in Journal(sweep).entries():
        if entry["kind"] == "pack":
            for trial in pack_from_json(entry["pack"]).trials:
                found.setdefault(trial.id, (trial, []))
        elif entry["kind"] == "done":
            for row in rows_from_json(entry["rows"]):
                found[row.trial][1].append(row)
    return found


def number(row: Row, key: str) -> tuple[int, float]:
    """Epoch and value of one of the row's numbers."""
    value: float = getattr(row, key)
    return row.epoch, value
