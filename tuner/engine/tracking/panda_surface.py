"""A panda's run as people work with it: `caviar.set` and `caviar.command` come in as tags, and are answered by one."""

from __future__ import annotations

import time

from tuner.engine.panda import requests
from tuner.engine.panda.outlook import outlook
from tuner.engine.panda.requests import Request, Verb
from tuner.engine.storage import Storage
from tuner.engine.tracking.panda import ANSWER
from tuner.engine.tracking.surface import COMMAND, LOOK_SECONDS, Tags

SET = "caviar.set"  # `learning_rate=0.003`, or several, with spaces between


class PandaSurface:
    """One panda's run, looked at every few seconds while it is trained.

    What it finds at its first look was set while nobody trained: to do it now, in the middle of an epoch that depends
    on nothing but how fast this process began, would be nothing that anybody has asked for.
    """

    def __init__(self, panda: Storage) -> None:
        self._panda = panda
        self._looked = 0.0
        self._first = True

    def look(self, store: Tags, run_id: str, state: str, *, last: bool = False) -> None:
        """Passes what is asked on to the training process, answers it and clears it.

        At most every few seconds, but for the `last` time: then nobody trains any more, and the answer says so.
        """
        now = time.monotonic()
        if not last and now - self._looked < LOOK_SECONDS:
            return
        self._looked, first, self._first = now, self._first, False
        if last and (waiting := outlook(self._panda).waiting):  # asked when it was too late
            request, refused = waiting[-1]
            said = f"it will be refused: {refused}" if refused else "it takes effect with `caviar panda resume`"
            store.set_tag(run_id, ANSWER, f"{request}: the panda is {state}; {said}")
        tags = store.tags(run_id)
        for key in (SET, COMMAND):
            if text := tags.get(key):
                if last:
                    said = f"the panda is {state}; `caviar panda resume` goes on with it, then set this again"
                elif first:
                    said = "it was set while nobody trained the panda, and is dropped; now set it again"
                else:
                    said = self._take(text, key)
                store.set_tag(run_id, ANSWER, f"{text[:100]}: {said}")
                store.delete_tag(run_id, key)

    def _take(self, text: str, key: str) -> str:
        """Asks for it, unless it is known already that it cannot be; what is said to that."""
        try:
            request = Request.parse(f"{Verb.SET} {text}" if key == SET else text)
            if request.verb is not Verb.STOP:
                outlook(self._panda).chronicle.entry_for(request)
        except ValueError as error:
            return str(error)
        requests.ask(self._panda, request)
        return "accepted"
