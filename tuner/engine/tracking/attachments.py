"""What a sweep's run in MLflow has beside its figures: the spec, the data set, the tables, the report."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from tuner.engine.objects import REPORT
from tuner.engine.storage import Storage
from tuner.engine.tracking.store import MlflowStore
from tuner.spec import masked

TABLE = '[{"path": "leaderboard.json", "type": "table"}]'


def introduce(store: MlflowStore, run_id: str, created: Mapping[str, Any]) -> None:
    """What it has from the start: the spec and the data."""
    store.write_text(run_id, "spec.yaml", masked(created["spec_yaml"]))
    store.use_data(run_id, created["name"], created["snapshot"])


def conclude(store: MlflowStore, run_id: str, entry: Mapping[str, Any]) -> None:
    """What it has in the end: leaderboard, summary, and the rounds of a sampler that learns."""
    result, board = entry["result"], entry.get("leaderboard") or []
    store.write_text(run_id, "result.json", json.dumps(result, indent=2))
    store.write_text(run_id, "summary.md", result.get("summary_markdown") or "")
    if schedule := result.get("schedule"):  # a panda has this instead of a leaderboard
        store.write_text(run_id, "schedule.json", json.dumps(schedule, indent=2))
        return
    as_csv, as_table = _tables(board)
    store.write_text(run_id, "leaderboard.csv", as_csv)
    store.write_text(run_id, "leaderboard.json", as_table)
    if rounds := entry.get("rounds"):
        store.write_text(run_id, "rounds.json", json.dumps(rounds, indent=2))
    store.log(run_id, [], {}, {"mlflow.loggedArtifacts": TABLE})


def report(store: MlflowStore, run_id: str, sweep: Storage) -> None:
    """The page beside the journal; where it was taken away, there is nothing to show."""
    with suppress(FileNotFoundError):
        store.write_text(run_id, REPORT, sweep.read(REPORT).decode())


def _tables(board: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """The leaderboard as CSV, and as the JSON that MLflow shows as a table."""
    columns = list(dict.fromkeys(key for row in board for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns)
    writer.writeheader()
    writer.writerows(board)
    return text.getvalue(), json.dumps({"columns": columns, "data": [[row.get(c) for c in columns] for row in board]})
