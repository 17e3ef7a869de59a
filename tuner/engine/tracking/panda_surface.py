"""A panda's run as people work with it: `caviar.set` and `caviar.command` come in as tags, and are answered by one."""

from __future__ import annotations

import time

from tuner.engine.journal import Journal
from tuner.engine.panda import requests
from tuner.engine.panda.chronicle import Chronicle
from tuner.engine.panda.requests import Request, Verb
from tuner.engine.storage import Storage
from tuner.engine.tracking.panda import ANSWER
from tuner.engine.tracking.surface import COMMAND, LOOK_SECONDS, Tags

SET = "caviar.set"  # `learning_rate=0.003`, or several, with spaces between


class PandaSurface:
    """One panda's run, looked at every few seconds."""

    def __init__(self, panda: Storage) -> None:
        self._panda = panda
        self._looked = 0.0

    def look(self, store: Tags, run_id: str, state: str, *, last: bool = False) -> None:
        """Passes what is asked on to the training process, answers it and clears it.

        At most every few seconds, but for the `last` time: then nobody trains any more, and the answer says so.
        """
        now = time.monotonic()
        if not last and now - self._looked < LOOK_SECONDS:
            return
        self._looked = now
        tags = store.tags(run_id)
        for key in (SET, COMMAND):
            if text := tags.get(key):
                ended = (
                    f"{text[:100]}: the panda is {state}; `caviar panda resume` goes on with it, then set this again"
                )
                store.set_tag(run_id, ANSWER, ended if last else self._take(text, key))
                store.delete_tag(run_id, key)

    def _take(self, text: str, key: str) -> str:
        """Asks for it, unless it is known already that it cannot be; what it said to that."""
        try:
            request = Request.parse(f"{Verb.SET} {text}" if key == SET else text)
            if request.verb is not Verb.STOP:
                Chronicle.of(entry for _, entry in Journal(self._panda).entries()).entry_for(request)
        except ValueError as error:
            return f"{text[:100]}: {error}"
        requests.ask(self._panda, request)
        return f"{request}: accepted"
