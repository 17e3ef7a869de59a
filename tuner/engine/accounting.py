"""Makes the account of a sweep from what its journal, model and snapshot say; and the report at its end."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tuner.engine import stages
from tuner.engine.account import Account, Draw, Told, Work
from tuner.engine.evidence import loss_after
from tuner.engine.examined import take
from tuner.engine.journal import Journal
from tuner.engine.luck import luck_of
from tuner.engine.objects import REPORT
from tuner.engine.result import figures, leaderboard
from tuner.trial import Stage, Trial

if TYPE_CHECKING:
    from tuner.engine.history import History
    from tuner.engine.ledger import Ledger
    from tuner.engine.storage import Storage
    from tuner.spec import Spec


def account(sweep: Storage, spec: Spec, history: History, status: str) -> Account:
    """The sweep as it stands now. Nothing is trained, and no model run: what it says of rows was left with it."""
    ledger, created = history.ledger, Journal(sweep).read(1)
    examined, why = take(sweep)
    return Account(
        sweep=created["sweep"],
        name=created["name"],
        status=status,
        created=created["time"],
        time=time.time(),
        seconds=history.seconds_on_record,
        metric=ledger.terms.metric,
        sampler=spec.search.sampler,
        stopping=spec.stopping.kind,
        space=ledger.space,
        rungs=ledger.rule.rungs,
        trials=[_told(ledger, trial) for trial in ledger.trials.values()],
        figures=_figures(sweep, history, created["snapshot"]["class_counts"]),
        leaderboard=leaderboard(ledger),
        rounds=ledger.rounds,
        confirmations=_confirmations(ledger),
        work=_work(history),
        data=created["snapshot"],
        examined=examined,
        unexamined=why,
    )


def write_report(sweep: Storage, spec: Spec, history: History, draw: Draw) -> None:
    """Leaves the report beside the journal of a sweep that has its result, which the journal then says.

    Whatever goes wrong with it is noted, and is no fault of the sweep's.
    """
    try:
        status = json.loads(sweep.read("result.json"))["status"]
        sweep.write(REPORT, draw(account(sweep, spec, history, status)).encode())
    except Exception as error:
        history.write("report", error=f"{type(error).__name__}: {error}"[:500])
    else:
        history.write("report", error=None)


def _figures(sweep: Storage, history: History, counts: Mapping[str, list[int]]) -> Mapping[str, Any]:
    """Those of the result where the sweep has one: the importance of hyperparameters takes a second to find.

    A result of an earlier version lacks `luck`.
    """
    if history.concluded:
        return {"luck": luck_of(history.ledger), **json.loads(sweep.read("result.json"))}
    return figures(history.ledger, counts)


def _told(ledger: Ledger, trial: Trial) -> Told:
    state, rung, reason = ledger.states[trial.id]
    after: dict[int, float] = {}
    for epochs in ledger.rule.rungs if trial.stage is Stage.SEARCH else ():
        loss = loss_after(ledger, trial, epochs)
        if loss is None or math.inf in after.values():
            break
        after[epochs] = loss
    return Told(trial, state, rung, reason, ledger.rows.get(trial.id, ()), ledger.score(trial.id), after)


def _confirmations(ledger: Ledger) -> dict[str, list[float]]:
    """Best mean first."""
    sources = {str(trial.source) for trial in ledger.ranked(Stage.CONFIRM)}
    found = {
        source: [ledger.score(one.id) for one in stages.repeats_of(ledger, ledger.trials[source])] for source in sources
    }
    order = sorted(found, key=lambda source: (math.fsum(found[source]) / max(len(found[source]), 1), source))
    return {source: found[source] for source in order if found[source]}


def _work(history: History) -> list[Work]:
    """One record for each stage and rung, in the order in which they come."""
    together: dict[tuple[Stage, int], list[float]] = {}
    for pack, epochs, seconds in history.worked:
        sums = together.setdefault((pack.stage, pack.rung), [0, 0.0])
        sums[0] += epochs
        sums[1] += seconds
    order = list(Stage)
    keys = sorted(together, key=lambda key: (order.index(key[0]), key[1]))
    return [Work(*key, int(together[key][0]), together[key][1]) for key in keys]
