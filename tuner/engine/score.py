"""What trials are compared by, as the objective says. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tuner.trial import Row


def loss_of(row: Row, metric: str) -> float:
    """An evaluation in the objective's terms, lower is better; a loss that is not finite is NaN in any terms."""
    if metric == "val_loss" or not math.isfinite(row.val_loss):
        return row.val_loss
    return -row.val_accuracy


def score(losses: Sequence[float], select: str) -> float:
    """The best or last one of a trial's losses; infinity if there is none, or if it diverged in the end."""
    if not losses or not math.isfinite(losses[-1]):
        return math.inf
    return min(losses) if select == "best" else losses[-1]
