"""What the gate is given and what it says: the contenders on one holdout, the rule, the judgement. A leaf."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Sized
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

CONTENDERS = ("champion", "retrained", "challenger")

Figures = Mapping[str, float | None]


class Verdict(StrEnum):
    """What the gate decides. Only BLESSED moves the champion."""

    BLESSED = "blessed"
    REJECTED = "rejected"  # worse, or worse in a slice, or it cannot be used in the champion's place
    INCONCLUSIVE = "inconclusive"  # better on average, but not surely enough


@dataclass(frozen=True, eq=False)
class Contenders:
    """Three models measured on the same N rows, which none of them was trained or chosen on.

    `y` [N] are places in `classes`. `losses` [N], in nats, and `hits` [N] (whether the likeliest class is right) go by
    the names champion, retrained (the champion's configuration, trained on fresh data) and challenger; None or left
    out is a contender that there is not, a champion in a first period. `blocks` [N] names rows that are alike, such
    as those of one day. `slices` maps a column to the label of each row. `missing_classes` says by contender which
    classes it cannot predict. `prior` are the shares of the classes in the training rows: the model to beat in a
    first period. ValueError where lengths differ or there is no challenger.
    """

    y: NDArray[np.int64]
    classes: Sequence[str]
    losses: Mapping[str, NDArray[np.float64] | None]
    hits: Mapping[str, NDArray[np.bool_] | None] = field(default_factory=dict)
    blocks: NDArray[np.int64] | None = None
    slices: Mapping[str, Sequence[str]] = field(default_factory=dict)
    missing_classes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    prior: Sequence[float] | None = None

    def __post_init__(self) -> None:
        if unknown := {*self.losses, *self.hits, *self.missing_classes} - {*CONTENDERS}:
            raise ValueError(f"a contender is one of {', '.join(CONTENDERS)}, not {', '.join(sorted(unknown))}")
        columns: dict[str, Sized | None] = {"blocks": self.blocks, **self.slices}
        columns |= {f"losses of {name}": values for name, values in self.losses.items()}
        columns |= {f"hits of {name}": values for name, values in self.hits.items()}
        for name, values in {**columns, "losses of challenger": self.challenger}.items():
            if values is not None and len(values) != len(self.y):
                raise ValueError(f"{name}: one value a row is needed, {len(self.y)} in all; got {len(values)}")

    @property
    def challenger(self) -> NDArray[np.float64]:
        """The losses of the contender that there always is."""
        loss = self.losses.get("challenger")
        if loss is None:
            raise ValueError("the gate judges a challenger: pass its losses")
        return loss


@dataclass(frozen=True)
class Rule:
    """What is demanded of the contender that takes the champion's place.

    `min_delta` (nats, >= 0) is what it must surely be better by; 1 - `confidence` is the chance of promoting one that
    is not. `tolerance` (nats, >= 0) is what a slice of a column may lose, `class_tolerance` what a class may: one that
    has become rarer is rightly given less. Slices of fewer than `min_slice_rows` are not judged.
    `first_max_loss` and `first_min_accuracy` are what the first model must surely keep; where both are None, it must
    surely beat the class prior.
    """

    min_delta: float = 0.002
    confidence: float = 0.95
    tolerance: float = 0.1
    class_tolerance: float = 1.0
    min_slice_rows: int = 50
    resamples: int = 2000
    first_max_loss: float | None = None
    first_min_accuracy: float | None = None


@dataclass(frozen=True)
class Slice:
    """How a contender compares with the champion in the rows where `column` is `label`; losses in nats.

    `regression` is its mean loss less the champion's, `low` the bound that this surely exceeds (None where it is not
    judged, for `why`).
    """

    contender: str
    column: str
    label: str
    rows: int
    regression: float
    low: float | None = None
    regressed: bool = False
    why: str = ""


@dataclass(frozen=True)
class Finding:
    """What the rule says of one candidate."""

    verdict: Verdict
    reason: str


@dataclass(frozen=True)
class Judgement:
    """The verdict and all that it rests on.

    `best` names who is to be champion: "champion" says that nothing is moved, and only then `verdict` is not BLESSED.
    `losses` holds {mean, low, high, accuracy} by contender, `gains` {mean, low, high} by "fresh_data", "tuning" and
    "total", in nats; None for what could not be measured. `findings` are by candidate, `slices` by candidate and slice.
    `rows` and `blocks` were compared, `left_out` are rows of classes that the champion does not know.
    """

    verdict: Verdict
    best: str
    reason: str
    rows: int
    blocks: int
    left_out: int
    losses: Mapping[str, Figures]
    gains: Mapping[str, Figures]
    findings: Mapping[str, Finding]
    slices: Sequence[Slice]

    def to_json(self) -> dict[str, Any]:
        """Plain values; an infinite bound, where nothing is sure, is None."""
        plain: dict[str, Any] = _plain(asdict(self))
        return plain


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, StrEnum):
        return value.value
    return None if isinstance(value, float) and not math.isfinite(value) else value
