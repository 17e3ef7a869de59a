"""What a sweep found: the figures of `run --json` and the leaderboard. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

from tuner.engine import stages
from tuner.engine.evidence import evidence
from tuner.engine.ledger import Ledger
from tuner.engine.luck import luck_of
from tuner.engine.verdict import comparison, spent, verdict, worth
from tuner.trial import Stage, State, Trial

LEADERBOARD = 20


def figures(ledger: Ledger, class_counts: Mapping[str, list[int]]) -> dict[str, Any]:
    """The sweep in numbers. `class_counts` gives the rows of each class in train, validation and holdout.

    `best` is None when no trial has a finite loss; `softmax_regression` is the best baseline trial. `holdout`
    compares both, refitted on training and validation rows, with the class frequencies alone. `luck` is what fresh
    seeds say of the winner's score in the search, None without any. `reason` says why
    there is no model, `failures` what made trials fail: the commonest first. `importance`: see `evidence`. `compared`
    has the best trial of each value of the hyperparameter that was to be compared, on fresh seeds and the holdout.
    """
    winner, baseline = stages.winner(ledger), stages.best_baseline(ledger)
    found: dict[str, Any] = {
        "metric": ledger.terms.metric,
        "trials": sum(trial.stage is Stage.SEARCH for trial in ledger.trials.values()),
        "epochs": ledger.epochs,
        "states": counts(ledger),
        "halted": ledger.halted or None,
        "best": _described(ledger, winner) if winner else None,
        "confirmed": stages.confirmed(ledger, winner) if winner else None,
        "luck": luck_of(ledger),
        "softmax_regression": _described(ledger, baseline) if baseline else None,
        "holdout": {
            "winner": _holdout(ledger, winner),
            "softmax_regression": _holdout(ledger, baseline),
            "class_prior": class_prior(class_counts),
        },
        "compared": _compared(ledger),
        "importance": evidence(ledger),
        "failures": failures(ledger),
        "reason": no_model(ledger, winner),
    }
    return {
        **found,
        "spent": spent(found),
        "verdict": verdict(ledger, found),
        "comparison": comparison(found),
    }


def _compared(ledger: Ledger) -> dict[str, Any] | None:
    """Each value of the hyperparameter to be compared, with its best trial on fresh seeds; None if there is none.

    `losses` has, for each of these seeds, the validation and the holdout loss.
    """
    if not ledger.terms.compare:
        return None
    values = [
        {
            "value": trial.params[ledger.terms.compare],
            **_described(ledger, trial),
            **(stages.confirmed(ledger, trial) or {}),
            "losses": [
                [ledger.best_row(again.id).val_loss, ledger.holdout[again.id][0]]
                for again in stages.repeats_of(ledger, trial)
                if again.id in ledger.holdout
            ],
        }
        for trial in stages.compared(ledger)
    ]
    return {"name": ledger.terms.compare, "values": values, "words": worth(ledger.terms.compare, values)}


def failures(ledger: Ledger) -> list[dict[str, Any]]:
    """Why trials of any stage failed, and how many for each reason."""
    reasons = Counter(reason for state, _, reason in ledger.states.values() if state is State.FAILED)
    return [{"trials": trials, "reason": reason} for reason, trials in reasons.most_common()]


def no_model(ledger: Ledger, winner: Trial | None) -> str | None:
    """Why there is nothing to export; None if there is."""
    if winner is None:
        return "no trial reached a finite loss"
    state, _, reason = ledger.states.get(stages.refit_name(ledger, winner), (None, 0, "that comes last"))
    return None if state is State.FINISHED else f"the winner is not refitted: {reason}"


def class_prior(counts: Mapping[str, list[int]]) -> dict[str, float] | None:
    """Holdout loss and accuracy of predicting the class frequencies of training and validation for every row."""
    seen = [a + b for a, b in zip(counts["train"], counts["validation"], strict=True)]
    met = counts["holdout"]
    if not sum(met):
        return None
    loss = -sum(n * math.log(k / sum(seen)) for n, k in zip(met, seen, strict=True) if n) / sum(met)
    return {"loss": loss, "accuracy": met[seen.index(max(seen))] / sum(met)}


def counts(ledger: Ledger) -> dict[str, int]:
    """How many search trials there are in each state."""
    found = dict.fromkeys((state.value for state in State), 0)
    for trial_id, (state, _, _) in ledger.states.items():
        if ledger.trials[trial_id].stage is Stage.SEARCH:
            found[state.value] += 1
    return {state: number for state, number in found.items() if number}


def leaderboard(ledger: Ledger) -> list[dict[str, Any]]:
    """The best search trials, best first: one flat record each, with what was searched, most important first."""
    searched = [axis.name for axis in ledger.space.axes]
    rows = []
    for rank, trial in enumerate(ledger.ranked()[:LEADERBOARD], 1):
        row = ledger.best_row(trial.id)
        again = stages.confirmed(ledger, trial) or {}
        rows.append(
            {
                "rank": rank,
                "trial": trial.id,
                "val_loss": row.val_loss,
                "val_accuracy": row.val_accuracy,
                "epoch": row.epoch,
                "epochs": ledger.rows[trial.id][-1].epoch,
                "state": ledger.states[trial.id][0].value,
                f"confirmed_{ledger.terms.metric}": again.get(f"{ledger.terms.metric}_mean"),
                **{name: trial.params.get(name) for name in searched},
            }
        )
    return rows


def _described(ledger: Ledger, trial: Trial) -> dict[str, Any]:
    row = ledger.best_row(trial.id)
    return {
        "trial": trial.id,
        "params": dict(trial.params),
        "seed": trial.seed,
        "epoch": row.epoch,
        "val_loss": row.val_loss,
        "val_accuracy": row.val_accuracy,
    }


def _holdout(ledger: Ledger, trial: Trial | None) -> dict[str, float] | None:
    measured = ledger.holdout.get(stages.refit_name(ledger, trial)) if trial else None
    return {"loss": measured[0], "accuracy": measured[1]} if measured else None
