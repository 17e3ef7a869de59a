"""The words everyone speaks: trial, row, pack, draw, decision. A leaf: standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import blake2b

Value = float | int | str | bool


class Stage(StrEnum):
    """What a trial is trained for."""

    SEARCH = "search"
    BASELINE = "baseline"  # plain softmax regression, the model to beat
    CONFIRM = "confirm"  # a top trial again, on a fresh seed
    REFIT = "refit"  # the winner on training and validation rows


class State(StrEnum):
    """Where a trial stands. All but PENDING, RUNNING and WAITING are final."""

    PENDING = "pending"
    RUNNING = "running"
    WAITING = "waiting"  # at a rung: it may still be promoted
    FINISHED = "finished"  # trained to its last epoch
    STOPPED = "stopped"  # the search ended before it was promoted further
    DIVERGED = "diverged"  # its loss became NaN or infinite
    FAILED = "failed"  # its worker failed, alone and repeatedly

    @property
    def final(self) -> bool:
        return self not in (State.PENDING, State.RUNNING, State.WAITING)


@dataclass(frozen=True, slots=True)
class Trial:
    """One hyperparameter configuration with its own seed.

    `number` is its place in the order of drawing (it breaks ties); `id` is its name in the journal
    and in MLflow; `params` holds active hyperparameters only; `source` names the search trial that a
    confirmation or refit repeats.
    """

    id: str
    number: int
    seed: int
    params: Mapping[str, Value]
    stage: Stage = Stage.SEARCH
    source: str | None = None
    origin: str = ""  # why it was drawn, in words


@dataclass(frozen=True, slots=True)
class Row:
    """One evaluation of one trial after `epoch` epochs (1-based). `time` is in seconds since 1970."""

    trial: str
    epoch: int
    train_loss: float
    val_loss: float
    val_accuracy: float
    learning_rate: float
    time: float = 0.0


@dataclass(frozen=True, slots=True)
class Draw:
    """A sampler's answer: a point of the unit cube, one coordinate per axis of the space, and why."""

    point: tuple[float, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Promotion:
    """`trial` (a number) goes on from rung `rung` to `rung + 1`."""

    trial: int
    rung: int
    reason: str

    def __post_init__(self) -> None:
        if not self.reason:
            raise ValueError("a promotion must carry a reason")


@dataclass(frozen=True, slots=True)
class Pack:
    """Trials trained together by one worker from one epoch to another; the unit that Ray Tune runs.

    `starts` names, for each trial that goes on, the pack whose state file holds its weights.
    """

    id: int
    stage: Stage
    rung: int
    from_epoch: int
    to_epoch: int
    trials: tuple[Trial, ...]
    reason: str
    starts: Mapping[str, int] = field(default_factory=dict)


def seed_of(*parts: object) -> int:
    """A 63-bit seed made from `parts`; equal parts give equal seeds on every machine."""
    text = "/".join(str(part) for part in parts)
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") >> 1
