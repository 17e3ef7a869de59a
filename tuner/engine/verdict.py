"""What a finished sweep says in words: its summary, the comparison on the holdout, and an honest verdict. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tuner.engine import stages
from tuner.engine.ledger import Ledger
from tuner.trial import Stage, State

TITLES = {"val_loss": "validation loss", "val_accuracy": "validation accuracy"}


def summary(sweep: str, result: Mapping[str, Any]) -> str:
    """The sweep as Markdown, for the description of its MLflow run, of which the page shows the beginning unasked."""
    best, again, metric = result["best"], result["confirmed"], result["metric"]
    trained = f"{result['spent']}."
    if result["halted"]:
        trained += f" The search was ended early: {result['halted']}."
    if not best:
        return f"**No winner:** {result['reason']}.\n\n{trained}"
    lines = [f"**Winner: {best['trial']}**, {TITLES[metric]} {shown(metric, best[metric])}"]
    if again:
        lines[0] += f"; on {_seeds(again)} {confirmed(metric, again)}"
        lines += ["", result["luck"]]
    lines += ["", result["verdict"], "", trained]
    lines += ["", f"| | {TITLES[metric]} | on fresh seeds | holdout loss | holdout accuracy |", "|---|---|---|---|---|"]
    lines += [f"| {' | '.join(row.values())} |" for row in comparison(result)]
    lines += ["", "| hyperparameter | value |", "|---|---|"]
    lines += [f"| {name} | {_short(value)} |" for name, value in best["params"].items()]
    if told := (result.get("compared") or {}).get("words"):
        lines += ["", "**Compared:**", "", *(f"- {words}" for words in told)]
    mattered = [f"**What mattered:** {'. '.join(words)}.", ""] if (words := _mattered(result)) else []
    hint = f"The experiment's menu *Views* has {sweep}: its trials, best first, their curves, and what was searched."
    return "\n".join([*lines, "", *mattered, hint])


def spent(result: Mapping[str, Any]) -> str:
    """How much was trained, in words; epochs count those of baseline, confirmation and refits, too."""
    trials, failed = result["trials"], result["states"].get(State.FAILED.value, 0)
    words = f"{trials} trial{'s' * (trials != 1)}, {result['epochs']:,} epochs with all that followed the search"
    return f"{words}; {failed} failed" if failed else words


def comparison(result: Mapping[str, Any]) -> list[dict[str, str]]:
    """Winner, plain softmax regression and class prior side by side, as texts. Refitted for the holdout."""
    named = {"winner": ("winner", "best"), "softmax_regression": ("plain softmax regression", "softmax_regression")}
    rows, metric = [], result["metric"]
    for key, found in result["holdout"].items():
        name, trial = named.get(key, ("class prior", ""))
        searched = result.get(trial) or {}
        if found:
            row = {"": name, TITLES[metric]: shown(metric, searched[metric]) if searched else ""}
            again = result.get("confirmed") if key == "winner" else None
            row["on fresh seeds"] = confirmed(metric, again) if again else ""
            rows.append({**row, "holdout loss": f"{found['loss']:.4f}", "holdout accuracy": f"{found['accuracy']:.1%}"})
    return rows


def worth(name: str, values: Sequence[Mapping[str, Any]]) -> list[str]:
    """What each value of the hyperparameter `name` came to: one sentence a value, in the order given."""
    lines = []
    for one in values:
        line = f"{name} {str(one['value']).lower()} ({one['trial']}): validation loss {one['val_loss']:.4f}"
        if "holdout_loss_mean" in one:
            again, holdout = (confirmed(figure, one) for figure in ("val_loss", "holdout_loss"))
            line += f"; on {_seeds(one)} {again}, on the holdout {holdout}"
        lines.append(line)
    return lines


def shown(metric: str, value: float) -> str:
    """A metric's value as people write it."""
    return f"{value:.4f}" if metric.endswith("_loss") else f"{value:.1%}"


def confirmed(metric: str, again: Mapping[str, Any]) -> str:
    """Mean and standard deviation over fresh seeds; one alone has none."""
    mean, spread = shown(metric, again[f"{metric}_mean"]), again[f"{metric}_std"]
    return mean if spread is None else f"{mean} ± {shown(metric, spread)}"


def verdict(ledger: Ledger, found: Mapping[str, Any]) -> str:
    """How far the winner is from what it must beat, on the holdout, in the objective's terms: good or not."""
    holdout, metric = found["holdout"], ledger.terms.metric
    measured, winner, baseline = holdout["winner"], stages.winner(ledger), stages.best_baseline(ledger)
    if not measured or not winner:
        return "The winner was not measured on a holdout."
    parts = [_gap(metric, measured, holdout["class_prior"], "the class prior")] if holdout["class_prior"] else []
    compared = bool(holdout["softmax_regression"] and baseline and baseline.id != winner.id)
    if compared:
        parts.append(_gap(metric, measured, holdout["softmax_regression"], "plain softmax regression"))
    loss, accuracy = f"loss of {measured['loss']:.4f}", f"accuracy of {measured['accuracy']:.1%}"
    text = f"On the holdout the winner's {loss if metric == 'val_loss' else accuracy} is " + " and ".join(parts) + "."
    if stages.is_softmax_regression(winner):
        both = "both are softmax regressions, trained differently"
        text += f" It has no hidden layer: {both if compared else 'it is softmax regression itself'}."
    elif not holdout["softmax_regression"]:
        text += _no_baseline(ledger)
    return text + _refit_warning(measured, found["confirmed"])


def _mattered(result: Mapping[str, Any]) -> list[str]:
    """What is known of the importance of hyperparameters, in words; a sweep of an earlier version has nothing."""
    return list((result.get("importance") or {}).get("words", ()))


def _refit_warning(measured: Mapping[str, float], again: Mapping[str, Any] | None) -> str:
    """A refit that is worse than the fresh seeds were, on less data, is not the model that was confirmed."""
    if not again or "holdout_loss_mean" not in again:
        return ""
    mean, spread = again["holdout_loss_mean"], again["holdout_loss_std"] or 0.0
    if measured["loss"] <= mean + max(4 * spread, 0.05 * mean):
        return ""
    before = f"{confirmed('holdout_loss', again)} on {_seeds(again)}"
    return f" Beware: before it was refitted, its loss there was {before}."


def _seeds(again: Mapping[str, Any]) -> str:
    return f"{again['seeds']} fresh seed{'s' * (again['seeds'] != 1)}"


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


def _short(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
