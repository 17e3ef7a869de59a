"""What a panda will be once all that was asked of it is done."""

from __future__ import annotations

from dataclasses import dataclass

from tuner.engine.journal import Journal
from tuner.engine.panda import requests
from tuner.engine.panda.chronicle import Chronicle
from tuner.engine.panda.requests import Request, Verb
from tuner.engine.storage import Storage


@dataclass(frozen=True, slots=True)
class Outlook:
    """`chronicle` is how the panda will stand, before it trains on. `waiting` are the requests that nobody has obeyed
    yet, oldest first, each with the reason for which it will be refused ("": it will be done)."""

    chronicle: Chronicle
    waiting: tuple[tuple[Request, str], ...]

    @property
    def longer(self) -> str:
        """What it takes to go on training: an option of `resume`, or nothing."""
        found = self.chronicle
        return "" if found.epoch < found.goal else f" --epochs {found.epoch + max(found.epoch // 2, 1)}"


def outlook(panda: Storage) -> Outlook:
    """What the journal says, and the inbox on top of it."""
    found = Chronicle.of(entry for _, entry in Journal(panda).entries())
    waiting = []
    for name, request in requests.asked(panda):
        if name not in found.obeyed and request.verb is not Verb.STOP:
            try:
                found.apply(found.entry_for(request))
                refused = ""
            except ValueError as error:
                refused = str(error)
            waiting.append((request, refused))
    return Outlook(found, tuple(waiting))
