"""The states of a period, and which may follow which. A leaf."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any


class NothingToDoError(ValueError):
    """The period is over, or another process sees to it."""


class State(StrEnum):
    """Where a period stands; each is written before anything is done that it stands for."""

    DUE = "due"
    CLAIMED = "claimed"
    SNAPSHOTTED = "snapshotted"
    HELD_DATA = "held_data"
    DRIFT_SCORED = "drift_scored"
    SKIPPED = "skipped"
    TUNING = "tuning"
    CANDIDATE = "candidate"
    EVALUATED = "evaluated"
    REJECTED = "rejected"
    INCONCLUSIVE = "inconclusive"
    BLESSED = "blessed"
    PENDING_APPROVAL = "pending_approval"
    PROMOTING = "promoting"
    PROMOTED = "promoted"
    ROLLED_BACK = "rolled_back"


AFTER: Mapping[State, frozenset[State]] = MappingProxyType(
    {
        State.DUE: frozenset({State.CLAIMED}),
        State.CLAIMED: frozenset({State.SNAPSHOTTED, State.HELD_DATA}),
        State.HELD_DATA: frozenset({State.CLAIMED}),  # a delivery that comes late is looked at again
        State.SNAPSHOTTED: frozenset({State.DRIFT_SCORED, State.HELD_DATA}),
        State.DRIFT_SCORED: frozenset({State.TUNING, State.SKIPPED}),
        State.TUNING: frozenset({State.CANDIDATE, State.HELD_DATA, State.REJECTED}),
        State.CANDIDATE: frozenset({State.EVALUATED, State.INCONCLUSIVE}),
        State.EVALUATED: frozenset({State.REJECTED, State.INCONCLUSIVE, State.BLESSED}),
        State.BLESSED: frozenset({State.PENDING_APPROVAL, State.PROMOTING}),
        State.PENDING_APPROVAL: frozenset({State.PROMOTING, State.REJECTED}),
        State.PROMOTING: frozenset({State.PROMOTED, State.ROLLED_BACK, State.INCONCLUSIVE}),
        State.PROMOTED: frozenset({State.ROLLED_BACK}),
        State.SKIPPED: frozenset(),
        State.REJECTED: frozenset(),
        State.INCONCLUSIVE: frozenset(),
        State.ROLLED_BACK: frozenset(),
    }
)

ENDS = frozenset({State.SKIPPED, State.REJECTED, State.INCONCLUSIVE, State.PROMOTED, State.ROLLED_BACK})
RESTS = ENDS | {State.HELD_DATA, State.PENDING_APPROVAL}
"""Nothing is under way: the period has ended, or it waits for data or for a person."""


def words(state: State) -> str:
    """The state as people read it."""
    return state.replace("_", " ")


def allowed(before: State, after: State) -> bool:
    """Whether `after` may follow; a newer period ends every older one that has not begun to promote."""
    overtaken = after is State.SKIPPED and before not in ENDS and before is not State.PROMOTING
    return overtaken or after in AFTER[before]


@dataclass(frozen=True, slots=True)
class Period:
    """One row of the database. `at` (UTC) is when the period begins: its data are the rows before.

    `data` holds what each step left for those after it, as plain JSON values by the step's name.
    """

    model: str
    period: str
    at: datetime
    state: State
    reason: str
    fence: int
    updated: datetime
    data: Mapping[str, Any] = field(default_factory=dict)
