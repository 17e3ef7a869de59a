"""The first period's rule: what a model must surely keep where there is no champion to compare it with. Pure."""

from __future__ import annotations

import numpy as np

from tuner.retune.bootstrap import Interval
from tuner.retune.comparison import Comparison
from tuner.retune.judgement import Finding, Verdict


def judge_first(case: Comparison) -> Finding:
    """Of the challenger: its loss surely below `first_max_loss`, its accuracy surely above `first_min_accuracy`.

    Where neither is given: its loss surely below the class prior's, paired by row. ValueError where what is needed
    was not passed.
    """
    if obstacle := case.obstacle("challenger"):
        return obstacle
    margins = _margins(case)
    words = "; ".join(f"{text} (surely by {margin.low:.4f})" for text, margin in margins)
    if all(margin.low > 0 for _, margin in margins):
        return Finding(Verdict.BLESSED, f"The first model: {words}.")
    if failed := [text for text, margin in margins if margin.mean <= 0]:
        return Finding(Verdict.REJECTED, f"The first model is not good enough: {'; '.join(failed)}.")
    return Finding(Verdict.INCONCLUSIVE, f"The first model is not surely good enough: {words}.")


def _margins(case: Comparison) -> list[tuple[str, Interval]]:
    """What is demanded, in words with figures, and by how much it is kept."""
    rule, margins = case.rule, []
    loss, accuracy = case.interval(case.contenders.challenger), case.accuracy("challenger")
    if rule.first_max_loss is not None:
        limit = rule.first_max_loss
        margin = Interval(limit - loss.mean, limit - loss.high, limit - loss.low)
        margins.append((f"its loss is {loss.mean:.4f} nats, the limit {limit:.4f}", margin))
    if rule.first_min_accuracy is not None:
        if accuracy is None:
            raise ValueError("first_min_accuracy is set: pass the hits of the challenger")
        limit = rule.first_min_accuracy
        margin = Interval(accuracy.mean - limit, accuracy.low - limit, accuracy.high - limit)
        margins.append((f"its accuracy is {accuracy.mean:.4f}, at least {limit:.4f} is needed", margin))
    return margins or [_against_prior(case)]


def _against_prior(case: Comparison) -> tuple[str, Interval]:
    contenders = case.contenders
    if contenders.prior is None or len(contenders.prior) != len(contenders.classes):
        raise ValueError("a first period without thresholds needs `prior`, one share for each of the classes")
    shares = np.asarray(contenders.prior, np.float64)[contenders.y]
    if (shares <= 0).any():
        raise ValueError("prior: a class of the holdout has no share; name it in missing_classes of the challenger")
    loss, prior = contenders.challenger, -np.log(shares)
    words = f"its loss is {loss.mean():.4f} nats, the class prior's {prior.mean():.4f}"
    return words, case.interval(np.subtract(prior, loss, dtype=np.float64))
