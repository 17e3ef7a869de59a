"""Earlier sweeps, for a new one to learn from: what their journals tell now. Nothing is replayed or changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean

from tuner.engine.journal import FIRST_ENTRY, Journal, JournalError, pack_from_json, rows_from_json
from tuner.engine.score import loss_of, score
from tuner.engine.storage import Storage
from tuner.search.space import Space
from tuner.search.starts import misfits
from tuner.trial import Row, Stage, Trial


@dataclass(frozen=True, slots=True)
class Earlier:
    """One sweep, as the new one's spec names it: its data, and its search trials with their evaluations.

    `repeats` has, by trial, the evaluations on each fresh seed. A pack that is not at its end has none yet. `left_out`
    are the trials that the new one's space does not have, and for which hyperparameters.
    """

    name: str
    digest: str
    epoch_rows: int | None
    trials: Sequence[Trial]
    rows: Mapping[str, Sequence[Row]]
    repeats: Mapping[str, Sequence[Sequence[Row]]]
    left_out: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def within(self, space: Space) -> Earlier:
        """The sweep with those of its trials only that are configurations of `space`; ValueError if there is none."""
        found = {trial.id: misfits(space, trial.params) for trial in self.trials}
        left_out = {trial: names for trial, names in found.items() if names}
        kept = [trial for trial in self.trials if trial.id not in left_out]
        if not kept:
            raise ValueError(
                f"search.from: none of the {len(found)} trials of {self.name} is a configuration of this space; what "
                f"differs, and in how many: {counted(left_out)}. Search or fix these as it did, or leave it out"
            )
        return replace(self, trials=kept, left_out=left_out)

    def ranked(self, metric: str, select: str) -> list[Trial]:
        """The trials with a finite score, best first: those with fresh seeds before the others, by the mean there."""
        places = {trial.id: self._place(trial.id, metric, select) for trial in self.trials}
        finite = [trial for trial in self.trials if places[trial.id][1] != float("inf")]
        return sorted(finite, key=lambda trial: (places[trial.id], trial.number))

    def _place(self, trial: str, metric: str, select: str) -> tuple[bool, float]:
        curves = self.repeats.get(trial) or [self.rows[trial]]
        scores = [score([loss_of(row, metric) for row in rows], select) for rows in curves]
        return trial not in self.repeats, fmean(scores)


def read(
    names: Sequence[str], space: Space, folder: Callable[[str], Storage], own: Storage | None = None
) -> list[Earlier]:
    """The sweeps of these names, each an id, whose `folder` that is, or the path or URI of a sweep's folder.

    Of each, the trials that are configurations of `space`. ValueError where there is no sweep, or no such trial, or no
    result yet, or it is `own`, the new one's.
    """
    return [_read(name, Storage(name) if "/" in name else folder(name), own).within(space) for name in names]


def counts(left_out: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """For how many trials that are left out each hyperparameter is a reason: the commonest first."""
    return dict(Counter(name for names in left_out.values() for name in names).most_common())


def counted(left_out: Mapping[str, Sequence[str]]) -> str:
    """The same in words."""
    return ", ".join(f"{name} ({count})" for name, count in counts(left_out).items())


def _read(name: str, storage: Storage, own: Storage | None) -> Earlier:
    if own is not None and storage.path(FIRST_ENTRY) == own.path(FIRST_ENTRY):
        raise ValueError(f"search.from: {name} is this sweep itself: name earlier ones, or choose another id")
    if not storage.exists(FIRST_ENTRY):
        raise ValueError(
            f"search.from: there is no sweep {name} (no {storage.uri}): `caviar list` shows those there are"
        )
    try:
        found = _told(name, Journal(storage))
    except JournalError as error:
        raise ValueError(f"search.from: sweep {name} cannot be read: {error}") from error
    if not found.trials:
        raise ValueError(f"search.from: sweep {name} has no results yet: let it train, or leave it out")
    return found


def _told(name: str, journal: Journal) -> Earlier:
    created = journal.read(1)
    trials: dict[str, Trial] = {}
    rows: dict[str, list[Row]] = {}
    for _, entry in journal.entries():
        if entry["kind"] == "pack":
            trials |= {trial.id: trial for trial in pack_from_json(entry["pack"]).trials}
        elif entry["kind"] == "done":
            for row in rows_from_json(entry["rows"]):
                rows.setdefault(row.trial, []).append(row)
    repeats: dict[str, list[list[Row]]] = {}
    for trial in trials.values():
        if trial.stage is Stage.CONFIRM and trial.id in rows:
            repeats.setdefault(str(trial.source), []).append(rows[trial.id])
    searched = [trial for trial in trials.values() if trial.stage is Stage.SEARCH and trial.id in rows]
    epoch_rows = created["spec"].get("train", {}).get("epoch_rows")
    return Earlier(name, created["snapshot"]["digest"], epoch_rows, searched, rows, repeats)
