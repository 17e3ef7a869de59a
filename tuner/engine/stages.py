"""What follows a search: the baseline, the confirmation of the top trials, and the refits. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import islice
from statistics import fmean, stdev
from typing import TYPE_CHECKING

from tuner.trial import Pack, Stage, State, Trial, Value, seed_of

if TYPE_CHECKING:
    from tuner.engine.ledger import Ledger

BASELINE_RATES = tuple(10 ** (-3 + 2.5 * step / 7) for step in range(8))  # eight, log-equidistant, 1e-3 … 0.3
BASELINE_STEPS = 1000  # with fewer it may not come near its optimum, and then it is no fair comparison


def baseline(ledger: Ledger) -> list[Pack]:
    """Plain softmax regression with Adam at eight learning rates: the model to beat.

    At least as long as the longest trial, and long enough to converge: small data come in smaller batches.
    """
    rows = ledger.cost.rows
    batch = min(128, rows, max(8, 1 << max(rows // 32, 1).bit_length() - 1))
    epochs = max(ledger.rule.rungs[-1], math.ceil(BASELINE_STEPS / (rows // batch)))
    common: Mapping[str, Value] = {
        "hidden_layers": 0,
        "optimizer": "adam",
        "batch_size": batch,
        "decay": "inverse_time",
        "decay_rate": 0.1,
    }
    trials = tuple(
        Trial(
            f"baseline-{number}",
            number,
            seed_of(ledger.terms.seed, "baseline", number),
            {**common, "learning_rate": rate},
            Stage.BASELINE,
            origin="plain softmax regression",
        )
        for number, rate in enumerate(BASELINE_RATES)
    )
    return [Pack(0, Stage.BASELINE, 0, 0, epochs, trials, "plain softmax regression, to compare with")]


def confirmation(ledger: Ledger) -> list[Pack]:
    """One pack for each of the best search trials, and for those to be compared: the same configuration and epochs on
    fresh seeds.

    What was confirmed before the search was extended, and was trained no further since, is not trained again.
    """
    packs = []
    first = ledger.ranked()[: ledger.terms.confirm]
    also = [trial for trial in compared(ledger) if trial not in first]
    for rank, best in enumerate([*first, *also]):
        epochs = ledger.rows[best.id][-1].epoch
        trials = tuple(
            Trial(
                _repeat_name(ledger, best, seed, epochs),
                rank * ledger.terms.seeds + seed,
                seed_of(ledger.terms.seed, "confirm", best.id, seed),
                best.params,
                Stage.CONFIRM,
                source=best.id,
                origin=f"{best.id} on fresh seed {seed + 1}",
            )
            for seed in range(ledger.terms.seeds)
        )
        new = tuple(trial for trial in trials if trial.id not in ledger.trials)
        if new:
            why = f"the best with {ledger.terms.compare} {best.params[ledger.terms.compare]}" if best in also else ""
            reason = f"{best.id} {why or f'ranked {rank + 1}'}: confirm on new seeds"
            packs.append(Pack(0, Stage.CONFIRM, 0, 0, epochs, new, reason))
    return packs


def compared(ledger: Ledger) -> list[Trial]:
    """The best trial of each value of the hyperparameter that is to be compared, best first; [] if none is."""
    best: dict[Value, Trial] = {}
    for trial in ledger.ranked() if ledger.terms.compare else ():
        if ledger.terms.compare in trial.params:
            best.setdefault(trial.params[ledger.terms.compare], trial)
    return list(best.values())


def refits(ledger: Ledger) -> list[Pack]:
    """The winner, and the best baseline, once more on training and validation rows together; what is left of that.

    Where the winner's refit fails or diverges, the next best takes its place.
    """
    chosen = {trial.id: trial for trial in (winner(ledger), best_baseline(ledger)) if trial}
    packs = []
    for number, trial in enumerate(chosen.values()):  # number 0, the winner, is exported
        name = refit_name(ledger, trial)
        if name in ledger.trials:
            continue
        again = repeats_of(ledger, trial) or [trial]
        epochs = _best_epoch(ledger, again)
        seed = seed_of(ledger.terms.seed, "refit", trial.id)
        refit = Trial(name, number, seed, trial.params, Stage.REFIT, trial.id, f"refit of {trial.id}")
        reason = f"{trial.id} on training and validation rows for {epochs} epoch{'s' * (epochs != 1)}"
        packs.append(Pack(0, Stage.REFIT, 0, 0, epochs, (refit,), reason))
    return packs


def refit_name(ledger: Ledger, trial: Trial) -> str:
    """A search that was extended has its winner refitted again."""
    return f"refit-{trial.id}" + f"-x{ledger.extensions}" * (ledger.extensions > 0)


def winner(ledger: Ledger) -> Trial | None:
    """The search trial with the lowest mean score on fresh seeds (of the search alone if none were confirmed).

    One whose refit failed loses its place to the next, unless all did. The choice never looks at the holdout, so
    that the holdout's figures stay unbiased.
    """
    ranked = _candidates(ledger)
    return next((trial for trial in ranked if not _refit_failed(ledger, trial)), ranked[0] if ranked else None)


def best_baseline(ledger: Ledger) -> Trial | None:
    """The best softmax regression of all: of the baseline, or a trial of the search that has no hidden layer."""
    if not ledger.terms.baseline:
        return None
    searched = (trial for trial in ledger.ranked() if is_softmax_regression(trial))
    found = [*ledger.ranked(Stage.BASELINE)[:1], *islice(searched, 1)]
    return min(found, key=lambda trial: ledger.score(trial.id), default=None)


def is_softmax_regression(trial: Trial) -> bool:
    return not trial.params.get("hidden_layers")


def confirmed(ledger: Ledger, trial: Trial) -> dict[str, float | int | None] | None:
    """Mean and standard deviation over fresh seeds of the trial's validation and holdout figures.

    One seed alone has no deviation: that is None.
    """
    found = repeats_of(ledger, trial)
    if not found:
        return None
    rows = [ledger.best_row(repeat.id) for repeat in found]
    figures: dict[str, float | int | None] = {"seeds": len(found), "diverged_seeds": _diverged(ledger, trial)}
    measured = {
        "val_loss": [row.val_loss for row in rows],
        "val_accuracy": [row.val_accuracy for row in rows],
        "holdout_loss": [ledger.holdout[repeat.id][0] for repeat in found if repeat.id in ledger.holdout],
        "holdout_accuracy": [ledger.holdout[repeat.id][1] for repeat in found if repeat.id in ledger.holdout],
    }
    for name, values in measured.items():
        if values:
            figures[f"{name}_mean"] = fmean(values)
            figures[f"{name}_std"] = stdev(values) if len(values) > 1 else None
    return figures


def _best_epoch(ledger: Ledger, again: Sequence[Trial]) -> int:
    """The epoch at which these trials of one configuration are best on average: one alone may be lucky early."""
    curves = [ledger.rows[repeat.id] for repeat in again]
    last = min(map(len, curves))
    if ledger.terms.select == "last":
        return last
    means = [
        (fmean(map(ledger.loss_of, rows)), fmean(row.val_loss for row in rows)) for rows in zip(*curves, strict=False)
    ]
    return min(range(last), key=means.__getitem__) + 1


def _candidates(ledger: Ledger) -> list[Trial]:
    """What may win, best first."""
    sources = {str(repeat.source) for repeat in ledger.ranked(Stage.CONFIRM) if _is_current(ledger, repeat)}
    if not sources:
        return ledger.ranked()[: max(ledger.terms.confirm, 1)]
    found = [ledger.trials[source] for source in sources]
    return sorted(found, key=lambda trial: (fmean(_scores(ledger, trial)), ledger.score(trial.id), trial.number))


def _refit_failed(ledger: Ledger, trial: Trial) -> bool:
    state, _, _ = ledger.states.get(refit_name(ledger, trial), (None, 0, ""))
    return state in (State.FAILED, State.DIVERGED)


def repeats_of(ledger: Ledger, trial: Trial) -> list[Trial]:
    """The trial's confirmations that ended with a finite score."""
    confirmed = ledger.ranked(Stage.CONFIRM)
    return [repeat for repeat in confirmed if repeat.source == trial.id and _is_current(ledger, repeat)]


def _is_current(ledger: Ledger, repeat: Trial) -> bool:
    """Whether the trial that it repeats has come no further since: a search may be extended."""
    return ledger.goals[repeat.id] == ledger.rows[str(repeat.source)][-1].epoch


def _repeat_name(ledger: Ledger, best: Trial, seed: int, epochs: int) -> str:
    name = f"{best.id}-s{seed + 1}"
    return name if ledger.goals.get(name, epochs) == epochs else f"{name}-e{epochs}"


def _diverged(ledger: Ledger, trial: Trial) -> int:
    """On how many fresh seeds the configuration diverged."""
    seeds = [found for found in ledger.trials.values() if found.source == trial.id and found.stage is Stage.CONFIRM]
    return sum(ledger.states[seed.id][0] is State.DIVERGED for seed in seeds if _is_current(ledger, seed))


def _scores(ledger: Ledger, trial: Trial) -> list[float]:
    """One score a fresh seed; a seed on which the configuration diverged counts as infinity."""
    scores = [ledger.score(repeat.id) for repeat in repeats_of(ledger, trial)]
    return scores + [math.inf] * (ledger.terms.seeds - len(scores))
