"""What happened lately in a sweep: how its best loss fell, and its last decisions in words. Reads a ledger."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

from tuner.engine.ledger import Ledger
from tuner.engine.records import Standing
from tuner.trial import Pack, State

DECISIONS = 8  # the newest
POINTS = 60  # of the curve
VERBS = {
    State.WAITING: "waits",
    State.STOPPED: "is stopped",
    State.FINISHED: "is done",
    State.DIVERGED: "diverged",
    State.FAILED: "failed",
}


class Recent:
    """Compares a ledger with what it was at the last look.

    `curve` lists (epochs trained by all, best validation loss) where that fell; `decisions` the newest ones last.
    """

    def __init__(self, curve: Sequence[tuple[int, float]] = ()) -> None:
        self.curve = [(int(epochs), float(loss)) for epochs, loss in curve]
        self.decisions: deque[str] = deque(maxlen=DECISIONS)
        self._standings: dict[str, Standing] = {}
        self._packs = 0

    def skip(self, ledger: Ledger) -> None:
        """What is decided by now is no news."""
        self._standings, self._packs = dict(ledger.states), ledger.packs

    def look(self, ledger: Ledger, best: float | None) -> None:
        """Takes in what is new: results before the packs that follow from them. `best` is the best validation loss."""
        if best is not None and (not self.curve or best < self.curve[-1][1]):
            self.curve.append((ledger.epochs, best))
            if len(self.curve) > POINTS:
                del self.curve[1]  # the beginning says how far it fell
        news = {name: now for name, now in ledger.states.items() if self._standings.get(name) != now}
        self.decisions.extend(_results(ledger, news))
        self.decisions.extend(_begun(pack) for pack in ledger.open.values() if pack.id > self._packs)
        self._standings.update(news)
        self._packs = ledger.packs


def _results(ledger: Ledger, news: dict[str, Standing]) -> Iterator[str]:
    """One sentence for all trials that came into the same state, with the reason of the best of them."""
    for state, verb in VERBS.items():
        names = [name for name, standing in news.items() if standing[0] is state]
        if names:
            best = min(names, key=ledger.score)
            others = f" (and {len(names) - 1} more)" if len(names) > 1 else ""
            yield f"{best} {verb}{others}: {news[best][2]}"


def _begun(pack: Pack) -> str:
    who = pack.trials[0].id if len(pack.trials) == 1 else f"{len(pack.trials)} trials"
    return f"{who} to epoch {pack.to_epoch}: {pack.reason}"
