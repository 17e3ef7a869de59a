"""The end of a sweep: its result, its report, and what of both MLflow has."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tuner.data import variables
from tuner.engine import accounting, build
from tuner.engine.account import Draw
from tuner.engine.history import History
from tuner.engine.journal import Journal
from tuner.engine.objects import MODEL_FOLDER, REPORT
from tuner.engine.publisher import Publisher
from tuner.engine.result import figures, leaderboard
from tuner.engine.status import Reporter
from tuner.engine.storage import Storage
from tuner.engine.verdict import summary
from tuner.spec import Spec

if TYPE_CHECKING:
    import pandas as pd

DRAIN_SECONDS = 60.0  # how long a finished sweep waits for MLflow before it says what is still to be sent
JOB_DRAIN_SECONDS = 900.0  # in a job, whose last line nobody may read: also for an MLflow that is away


@dataclass(frozen=True, slots=True)
class SweepResult:
    """What a sweep found.

    `figures` is the object that `run --json` prints, `leaderboard` the best trials as flat records, `trials` a
    data frame with one row a trial, `unsent` says why MLflow has not got everything yet (None: it has), `unreported`
    why there is no report (None: there is, or none was asked for).
    """

    figures: dict[str, Any]
    leaderboard: list[dict[str, Any]]
    trials: pd.DataFrame
    unsent: str | None
    unreported: str | None = None

    @property
    def sweep(self) -> str:
        return str(self.figures["sweep"])

    @property
    def best(self) -> dict[str, Any] | None:
        found: dict[str, Any] | None = self.figures["best"]
        return found


def conclude(sweep: Storage, history: History, reporter: Reporter) -> None:
    """Writes the result into the journal and beside it."""
    ledger = history.ledger
    reporter.report(ledger, "running", "publish")
    created = Journal(sweep).read(1)
    found = figures(ledger, created["snapshot"]["class_counts"])
    exported = found["reason"] is None and sweep.exists(f"{MODEL_FOLDER}/model.json")
    result = {
        "sweep": created["sweep"],
        "status": "finished" if exported else "failed",
        **found,
        "seconds": history.seconds,
        "model_path": sweep.path(MODEL_FOLDER) if exported else None,
    }
    sweep.write("result.json", json.dumps(result).encode())
    history.write(
        "result",
        result={**result, "summary_markdown": summary(created["sweep"], result)},
        model_dir=MODEL_FOLDER if exported else None,
        leaderboard=leaderboard(ledger),
        rounds=ledger.rounds,
    )


def end(sweep: Storage, spec: Spec, history: History, draw: Draw | None) -> None:
    """Writes the last entries. The report's comes before: meanwhile the result is published, and the model."""
    if draw:
        accounting.write_report(sweep, spec, history, draw)
    result = json.loads(sweep.read("result.json"))
    history.write("ended", status=result["status"], reason=result.get("reason") or "")


def published(sweep: Storage, history: History, publisher: Publisher) -> SweepResult:
    """The result, once MLflow has it too or has been waited for."""
    ledger = history.ledger
    job = variables.JOB in os.environ
    where = publisher.wait(JOB_DRAIN_SECONDS, JOB_DRAIN_SECONDS) if job else publisher.wait(DRAIN_SECONDS)
    result = json.loads(sweep.read("result.json"))
    result |= {"parent_run_id": where.parent_run_id, "model_uri": where.model_uri, "model_alias": where.model_alias}
    result["report_path"] = sweep.path(REPORT) if sweep.exists(REPORT) else None
    return SweepResult(result, leaderboard(ledger), build.frame(ledger), where.error, history.unreported)
