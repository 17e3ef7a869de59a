"""The Searcher that Ray Tune sees: hands out packs within the sweep's share of the cluster, and gives workers back."""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ray.tune import Callback, Stopper
from ray.tune.search import Searcher

from tuner.engine.pack import LEAVE
from tuner.engine.presence import IDLE_SECONDS, Presence

if TYPE_CHECKING:
    from tuner.engine.searcher import PackSearcher

RETRIES = 3  # how often a pack is trained again whose worker or host was lost


@dataclass(frozen=True, slots=True)
class Handed:
    """A pack that was handed out, by the id under which PackSearcher knows it.

    `lost` counts the workers that were lost since it came no further; `seen` are its evaluations, (trial, epoch).
    """

    id: str
    config: dict[str, Any]
    lost: int = 0
    seen: frozenset[tuple[str, int]] = frozenset()


class SharingSearcher(Searcher):
    """Asks `packs` for packs, as many at a time as `presence` grants.

    Tune keeps one idle worker, with its processors, for the next pack. Where that worker is another sweep's turn, it is
    handed a pack that makes it leave. Without any share Tune's run is ended, and `resting` says so: Tune would block in
    here else, and free nothing. Packs whose worker was lost are handed out again here, within the share, too.
    """

    def __init__(self, packs: PackSearcher, presence: Presence) -> None:
        super().__init__()
        self.resting = False
        self._packs = packs
        self._presence = presence
        self._running: dict[str, Handed] = {}
        self._lost: list[Handed] = []
        self._leaving: set[str] = set()
        self._started: set[str] = set()  # packs that have a worker, and wait for none any more
        self._idle_since = math.inf  # since when Tune keeps an idle worker

    def suggest(self, trial_id: str) -> Any:
        """The next pack as a Tune configuration; None: not now; FINISHED: never again in this run of Tune."""
        while self._packs.ended_by and self._lost:  # they go on with the next run
            self._packs.on_trial_complete(self._lost.pop().id, error=True)
        room = len(self._running) < self._presence.workers()
        if room and self._lost:
            return self._hand_out(trial_id, self._lost.pop(0))
        found = self._packs.suggest(trial_id)
        if isinstance(found, dict):
            return self._hand_out(trial_id, Handed(trial_id, found))
        if found is None:
            self._presence.tell(len(self._running), hungry=not room)
            return self._without_a_pack(trial_id)
        return found

    def on_trial_start(self, trial_id: str) -> None:
        """Takes in that a pack has got a worker, perhaps the idle one."""
        self._started.add(trial_id)
        self._idle_since = math.inf

    @property
    def idle_end(self) -> bool:
        """Whether a command ends this run of Tune, and no pack has a worker: those that wait for one shall not."""
        return self._packs.ended_by is not None and not self._started & self._running.keys()

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Takes in the evaluations of a pack that goes on; whoever comes further than before may be lost again."""
        handed = self._running.get(trial_id)
        if handed is None:
            return
        found = {(trial, epoch) for trial, epoch, *_ in json.loads(result["progress"])}
        if found - handed.seen:
            self._running[trial_id] = replace(handed, lost=0, seen=handed.seen | found)
        self._packs.on_trial_result(handed.id, result)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Takes in the end of a pack; one whose worker was lost has not ended yet."""
        error = error or result is None
        self._started.discard(trial_id)
        if not error:
            self._idle_since = time.monotonic()
        if trial_id in self._leaving:
            self._leaving.discard(trial_id)
            return
        handed = self._running.pop(trial_id)
        if error and handed.lost < RETRIES and not self._packs.ended_by:
            self._lost.append(replace(handed, lost=handed.lost + 1))
        else:
            self._packs.on_trial_complete(handed.id, result, error)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the journal is the only truth."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: the journal is the only truth."""

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles its searcher into a snapshot that nobody reads

    def _hand_out(self, trial_id: str, handed: Handed) -> dict[str, Any]:
        self._running[trial_id] = handed
        self._idle_since = math.inf
        self._presence.tell(len(self._running), hungry=True)
        return handed.config

    def _without_a_pack(self, trial_id: str) -> Any:
        """What Tune is told when there is nothing to train: to wait, to end, or to let its idle worker go."""
        running, share = len(self._running), self._presence.workers()
        if not running:
            self.resting = share == 0
            return self.FINISHED if self.resting else None
        if not self._started >= self._running.keys():
            return None  # a worker that becomes idle goes to the pack that waits for one
        idle = time.monotonic() - self._idle_since
        if (idle >= 0 and running >= share) or (self._presence.contested and idle > IDLE_SECONDS):
            self._idle_since = math.inf
            self._leaving.add(trial_id)
            return {LEAVE: True}
        return None


class CommandedEnd(Stopper):
    """Ends a run of Tune whose packs all wait for a worker, once a command has ended the sweep."""

    def __init__(self, searcher: SharingSearcher) -> None:
        self._searcher = searcher

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:  # noqa: ARG002
        return False

    def stop_all(self) -> bool:
        return self._searcher.idle_end


class Starts(Callback):
    """Tells a SharingSearcher of the packs that have got a worker, of which a Searcher hears nothing."""

    def __init__(self, searcher: SharingSearcher) -> None:
        self._searcher = searcher

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:  # noqa: ARG002
        self._searcher.on_trial_start(trial.trial_id)
