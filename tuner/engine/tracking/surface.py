"""A sweep's run as people work with it: commands come in as a tag, the status goes out as one."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any, Protocol

from tuner.engine import control, status
from tuner.engine.control import Command
from tuner.engine.storage import Storage

COMMAND, ANSWER, STATUS = "caviar.command", "caviar.answer", "caviar.status"
LOOK_SECONDS = 3.0
SHOWN, LONGEST_REASON = (
    4,
    200,
)  # running packs and decisions that the status names, and characters of each: a tag has 5000


class Tags(Protocol):
    """What is needed of MLflow."""

    def tags(self, run_id: str) -> Mapping[str, str]: ...
    def set_tag(self, run_id: str, key: str, value: str) -> None: ...
    def delete_tag(self, run_id: str, key: str) -> None: ...


class Surface:
    """One sweep's run, looked at every few seconds."""

    def __init__(self, sweep: Storage) -> None:
        self._sweep = sweep
        self._looked = 0.0
        self._shown = ""

    def look(self, store: Tags, run_id: str, state: str, *, last: bool = False) -> None:
        """Passes a command on to the driver, answers it and clears it; shows the status.

        At most every few seconds, but for the `last` time: then the status says `state`, and nobody obeys any more.
        """
        now = time.monotonic()
        if not last and now - self._looked < LOOK_SECONDS:
            return
        self._looked = now
        self._show(store, run_id, state if last else None)
        text = store.tags(run_id).get(COMMAND)
        if text:
            store.set_tag(run_id, ANSWER, f"{text[:100]}: the sweep has ended" if last else self._take(text))
            store.delete_tag(run_id, COMMAND)

    def _take(self, text: str) -> str:
        try:
            command = Command.parse(text)
        except ValueError as error:
            return str(error)
        control.ask(self._sweep, command)
        return f"{command}: accepted"

    def _show(self, store: Tags, run_id: str, state: str | None) -> None:
        try:
            found: dict[str, Any] = json.loads(self._sweep.read(status.NAME))
        except FileNotFoundError:
            return
        for name, some in (("running", slice(SHOWN)), ("decisions", slice(-SHOWN, None))):
            found[name] = [reason[:LONGEST_REASON] for reason in found.get(name, ())[some]]
        text = json.dumps(found | ({"status": state} if state else {}))
        if text != self._shown:
            store.set_tag(run_id, STATUS, text)
            self._shown = text
