"""What a new sweep takes over from earlier ones: which trials, how much of what is known of them, and why. Pure.

Losses are told only where they mean the same: the same snapshot (rows, split and encoding: one digest), as many rows an
epoch, and the epochs at which this sweep compares trials, too. Of any other sweep only the order of its trials counts:
its best configurations are tried first, and what they are worth here is found out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from math import isfinite, nan
from typing import Any

from tuner.engine.earlier import Earlier, counted, counts
from tuner.engine.score import loss_of, score
from tuner.search.lessons import Lesson, Lessons
from tuner.trial import Row, Trial, Value

STARTS = 5  # configurations that are tried first, but no more than a quarter of the trials
TOLD = 500  # trials whose losses are told: TPE looks at the best 25, a box at fewer; a journal's entry is read often


@dataclass(frozen=True, slots=True)
class Heir:
    """What of the new sweep decides what it takes over; `rungs` are the epochs at which it compares trials.

    `learns`: its sampler does; `start` is what it tries first in any case.
    """

    trials: int
    digest: str
    epoch_rows: int | None
    metric: str
    select: str
    rungs: Sequence[int]
    learns: bool
    start: Sequence[Mapping[str, Value]] = ()


@dataclass(frozen=True, slots=True)
class Inheritance:
    """The `lessons`, and for each sweep an account of them: how many, what was left out, and in words."""

    lessons: Lessons = field(default_factory=Lessons)
    accounts: tuple[Mapping[str, Any], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As plain data, from which a journal's reader has it without the earlier sweeps."""
        lists = {"starts": self.lessons.starts, "told": self.lessons.told}
        return {
            **{name: [lesson.to_json() for lesson in lessons] for name, lessons in lists.items()},
            "accounts": [dict(account) for account in self.accounts],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any] | None) -> Inheritance:
        """From what `to_json` gave; nothing is taken over where there is nothing."""
        if not value:
            return cls()
        starts, told = (tuple(map(Lesson.from_json, value[name])) for name in ("starts", "told"))
        return cls(Lessons(starts, told), tuple(value["accounts"]))


def inherit(heir: Heir, earlier: Sequence[Earlier]) -> Inheritance:
    """What `heir` takes over from these sweeps, of whose trials only those in its space are left."""
    starts: list[list[Lesson]] = []
    told: list[Lesson] = []
    accounts = []
    for one in earlier:
        lessons = _lessons(heir, one)[: TOLD // len(earlier)]
        best = one.ranked(heir.metric, heir.select)
        starts.append([_lesson(one, trial) for trial in best[: 1 if lessons else STARTS]])
        told += lessons
        accounts.append(_account(heir, one, len(lessons), len(starts[-1])))
    return Inheritance(Lessons(_first(heir, starts), tuple(told)), tuple(accounts))


def _lessons(heir: Heir, one: Earlier) -> list[Lesson]:
    """The trials whose losses may be compared with those of `heir`, best first."""
    if not heir.learns or _difference(heir, one):
        return []
    ordered = sorted(one.trials, key=lambda trial: (_score(heir, one.rows[trial.id]), trial.number))
    told = [(trial, _at_rungs(heir, one.rows[trial.id])) for trial in ordered]
    return [_lesson(one, trial, losses) for trial, losses in told if losses]


def _score(heir: Heir, rows: Sequence[Row]) -> float:
    return score([loss_of(row, heir.metric) for row in rows], heir.select)


def _at_rungs(heir: Heir, rows: Sequence[Row]) -> dict[int, float]:
    """What the trial would have reported at each rung that it came to, as this sweep scores; NaN once it diverged."""
    found: dict[int, float] = {}
    for epochs in heir.rungs:
        seen = _score(heir, [row for row in rows if row.epoch <= epochs])
        if rows[-1].epoch >= epochs and isfinite(seen):
            found[epochs] = seen
        elif not isfinite(rows[-1].val_loss):
            return {**found, epochs: nan}
    return found


def _lesson(one: Earlier, trial: Trial, losses: Mapping[int, float] | None = None) -> Lesson:
    return Lesson(f"{trial.id} of {one.name}", trial.params, losses or {})


def _first(heir: Heir, starts: Sequence[Sequence[Lesson]]) -> tuple[Lesson, ...]:
    """The best of each sweep, then the second best, and so on; every configuration once."""
    chosen: list[Lesson] = []
    known = [dict(params) for params in heir.start]
    for lesson in (lesson for turn in zip_longest(*starts) for lesson in turn if lesson):
        if dict(lesson.params) not in known:
            known.append(dict(lesson.params))
            chosen.append(lesson)
    return tuple(chosen[: max(1, min(STARTS, heir.trials // 4))])


def _difference(heir: Heir, one: Earlier) -> str:
    """Why losses of the sweep cannot be compared with those of `heir`; "" if they can."""
    if one.digest != heir.digest:
        return "its data are others"
    if one.epoch_rows != heir.epoch_rows:
        return "its epochs have another number of rows"
    return ""


def _account(heir: Heir, one: Earlier, told: int, best: int) -> dict[str, Any]:
    trials = len(one.trials) + len(one.left_out)
    if not told and not best:
        words = f"nothing of its {trials} trials is taken over: none that is possible here has a finite loss"
    elif told:
        words = f"the losses of {told} of its {trials} trials, on the same data, are told to the sampler"
    else:
        why = _difference(heir, one) if heir.learns else "this sampler does not learn from losses"
        why = why or f"none was compared after {heir.rungs[0]} epochs, as trials are here"
        words = f"the best of its {trials} trials are tried first: {why}"
    if one.left_out:
        words += f"; {len(one.left_out)} are left out, for what is not so here: {counted(one.left_out)}"
    return {
        "sweep": one.name,
        "digest": one.digest,
        "trials": trials,
        "told": told,
        "left_out": counts(one.left_out),
        "words": f"{one.name}: {words}",
    }
