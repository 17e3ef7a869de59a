"""What a finished sweep says: the figures of `run --json`, the leaderboard, and a summary in words. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from tuner.engine import stages
from tuner.engine.ledger import Ledger
from tuner.trial import Stage, State, Trial

LEADERBOARD = 20


def figures(ledger: Ledger, class_counts: Mapping[str, list[int]]) -> dict[str, Any]:
    """The sweep in numbers. `class_counts` gives the rows of each class in train, validation and holdout.

    `best` is None when no trial has a finite loss; `softmax_regression` is the best baseline trial. `holdout`
    compares both, refitted on training and validation rows, with the class frequencies alone.
    """
    winner, baseline = stages.winner(ledger), stages.best_baseline(ledger)
    return {
        "trials": sum(trial.stage is Stage.SEARCH for trial in ledger.trials.values()),
        "epochs": ledger.epochs,
        "states": counts(ledger),
        "halted": ledger.halted or None,
        "best": _described(ledger, winner) if winner else None,
        "confirmed": stages.confirmed(ledger, winner) if winner else None,
        "softmax_regression": _described(ledger, baseline) if baseline else None,
        "holdout": {
            "winner": _holdout(ledger, winner),
            "softmax_regression": _holdout(ledger, baseline),
            "class_prior": class_prior(class_counts),
        },
    }


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
                "confirmed_val_loss": again.get("val_loss_mean"),
                **{name: trial.params.get(name) for name in searched},
            }
        )
    return rows


def summary(sweep: str, result: Mapping[str, Any]) -> str:
    """The sweep as Markdown, for the description of its MLflow run."""
    best, again, holdout = result["best"], result["confirmed"], result["holdout"]
    lines = [f"### {sweep}", "", f"{result['trials']} trials, {result['epochs']} epochs."]
    if result["halted"]:
        lines.append(f"The search was ended early: {result['halted']}.")
    if not best:
        return "\n".join([*lines, "", "**No winner:** no trial reached a finite loss."])
    lines += ["", f"**Winner: {best['trial']}**, validation loss {best['val_loss']:.4f}"]
    if again:
        lines[-1] += f"; on {again['seeds']} fresh seeds {again['val_loss_mean']:.4f} ± {again['val_loss_std']:.4f}"
    lines += ["", "| hyperparameter | value |", "|---|---|"]
    lines += [f"| {name} | {_short(value)} |" for name, value in best["params"].items()]
    lines += ["", "| | validation loss | on fresh seeds | holdout loss | holdout accuracy |", "|---|---|---|---|---|"]
    lines += [f"| {' | '.join(row.values())} |" for row in comparison(result)]
    hint = "Among the runs, the filter `tags.caviar.stage = 'search'` shows the search's trials only."
    return "\n".join([*lines, "", verdict(holdout), "", hint])


def comparison(result: Mapping[str, Any]) -> list[dict[str, str]]:
    """Winner, plain softmax regression and class prior side by side, as texts. Refitted for the holdout."""
    named = {"winner": ("winner", "best"), "softmax_regression": ("plain softmax regression", "softmax_regression")}
    rows = []
    for key, found in result["holdout"].items():
        name, trial = named.get(key, ("class prior", ""))
        searched = result.get(trial) or {}
        if found:
            row = {"": name, "validation loss": f"{searched['val_loss']:.4f}" if searched else ""}
            again = result.get("confirmed") if key == "winner" else None
            row["on fresh seeds"] = f"{again['val_loss_mean']:.4f} ± {again['val_loss_std']:.4f}" if again else ""
            rows.append({**row, "holdout loss": f"{found['loss']:.4f}", "holdout accuracy": f"{found['accuracy']:.1%}"})
    return rows


def verdict(holdout: Mapping[str, Mapping[str, float] | None]) -> str:
    """How far the winner is from what it must beat, on the holdout, in one honest sentence."""
    winner = holdout["winner"]
    if not winner:
        return "The winner was not measured on a holdout."
    parts = []
    for key, name in (("class_prior", "the class prior"), ("softmax_regression", "plain softmax regression")):
        other = holdout[key]
        if other:
            gap = other["loss"] - winner["loss"]
            parts.append(f"{abs(gap):.4f} nats {'better' if gap > 0 else 'worse'} than {name} ({other['loss']:.4f})")
    return f"On the holdout the winner's loss of {winner['loss']:.4f} is " + " and ".join(parts) + "."


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
    measured = ledger.holdout.get(f"refit-{trial.id}") if trial else None
    return {"loss": measured[0], "accuracy": measured[1]} if measured else None


def _short(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
