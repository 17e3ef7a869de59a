"""What a finished sweep says: the figures of `run --json`, the leaderboard, and a summary in words. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

from tuner.engine import stages
from tuner.engine.ledger import Ledger
from tuner.trial import Stage, State, Trial

LEADERBOARD = 20


def figures(ledger: Ledger, class_counts: Mapping[str, list[int]]) -> dict[str, Any]:
    """The sweep in numbers. `class_counts` gives the rows of each class in train, validation and holdout.

    `best` is None when no trial has a finite loss; `softmax_regression` is the best baseline trial. `holdout`
    compares both, refitted on training and validation rows, with the class frequencies alone. `reason` says why
    there is no model, `failures` what made trials fail: the commonest first.
    """
    winner, baseline = stages.winner(ledger), stages.best_baseline(ledger)
    found: dict[str, Any] = {
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
        "failures": failures(ledger),
        "reason": no_model(ledger, winner),
    }
    return {
        **found,
        "spent": spent(found),
        "verdict": verdict(ledger, found["holdout"]),
        "comparison": comparison(found),
    }


def failures(ledger: Ledger) -> list[dict[str, Any]]:
    """Why trials of any stage failed, and how many for each reason."""
    reasons = Counter(reason for state, _, reason in ledger.states.values() if state is State.FAILED)
    return [{"trials": trials, "reason": reason} for reason, trials in reasons.most_common()]


def no_model(ledger: Ledger, winner: Trial | None) -> str | None:
    """Why there is nothing to export; None if there is."""
    if winner is None:
        return "no trial reached a finite loss"
    state, _, reason = ledger.states.get(stages.refit_name(winner), (None, 0, "that comes last"))
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
                "confirmed_val_loss": again.get("val_loss_mean"),
                **{name: trial.params.get(name) for name in searched},
            }
        )
    return rows


def summary(sweep: str, result: Mapping[str, Any]) -> str:
    """The sweep as Markdown, for the description of its MLflow run."""
    best, again = result["best"], result["confirmed"]
    lines = [f"### {sweep}", "", f"{result['spent']}."]
    if result["halted"]:
        lines.append(f"The search was ended early: {result['halted']}.")
    if not best:
        return "\n".join([*lines, "", f"**No winner:** {result['reason']}."])
    lines += ["", f"**Winner: {best['trial']}**, validation loss {best['val_loss']:.4f}"]
    if again:
        lines[-1] += f"; on {again['seeds']} fresh seeds {again['val_loss_mean']:.4f} ± {again['val_loss_std']:.4f}"
    lines += ["", "| hyperparameter | value |", "|---|---|"]
    lines += [f"| {name} | {_short(value)} |" for name, value in best["params"].items()]
    lines += ["", "| | validation loss | on fresh seeds | holdout loss | holdout accuracy |", "|---|---|---|---|---|"]
    lines += [f"| {' | '.join(row.values())} |" for row in comparison(result)]
    hint = "Among the runs, the filter `tags.caviar.stage = 'search'` shows the search's trials only."
    return "\n".join([*lines, "", result["verdict"], "", hint])


def spent(result: Mapping[str, Any]) -> str:
    """How much was trained, in words; epochs count those of baseline, confirmation and refits, too."""
    trials, failed = result["trials"], result["states"].get(State.FAILED.value, 0)
    words = f"{trials} trial{'s' * (trials != 1)}, {result['epochs']:,} epochs with all that followed the search"
    return f"{words}; {failed} failed" if failed else words


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


def verdict(ledger: Ledger, holdout: Mapping[str, Mapping[str, float] | None]) -> str:
    """How far the winner is from what it must beat, on the holdout, in the objective's terms: good or not."""
    winner, parts = holdout["winner"], []
    if not winner:
        return "The winner was not measured on a holdout."
    for key, name in (("class_prior", "the class prior"), ("softmax_regression", "plain softmax regression")):
        other = holdout[key]
        if other:
            parts.append(_gap(ledger.terms.metric, winner, other, name))
    loss, accuracy = f"loss of {winner['loss']:.4f}", f"accuracy of {winner['accuracy']:.1%}"
    what = loss if ledger.terms.metric == "val_loss" else accuracy
    missing = "" if holdout["softmax_regression"] else _no_baseline(ledger)
    return f"On the holdout the winner's {what} is " + " and ".join(parts) + f".{missing}"


def _gap(metric: str, winner: Mapping[str, float], other: Mapping[str, float], name: str) -> str:
    if metric == "val_loss":
        gap, unit, figure = other["loss"] - winner["loss"], "nats", f"{other['loss']:.4f}"
        size = f"{abs(gap):.4f}"
    else:
        gap, unit, figure = winner["accuracy"] - other["accuracy"], "points", f"{other['accuracy']:.1%}"
        size = f"{abs(gap) * 100:.1f}"
    return f"{size} {unit} {'better' if gap > 0 else 'worse'} than {name} ({figure})"


def _no_baseline(ledger: Ledger) -> str:
    """Why there is no plain softmax regression to compare with, as a sentence."""
    if not ledger.terms.baseline:
        return " Plain softmax regression was not asked for."
    standings = [ledger.states[name] for name, trial in ledger.trials.items() if trial.stage is Stage.BASELINE]
    reason = standings[0][2] if standings else "the search was ended before it"
    return f" Plain softmax regression is missing: {reason}."


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
    measured = ledger.holdout.get(stages.refit_name(trial)) if trial else None
    return {"loss": measured[0], "accuracy": measured[1]} if measured else None


def _short(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
