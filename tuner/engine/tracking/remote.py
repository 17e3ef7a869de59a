"""Sweeps seen from a machine that reaches nothing but MLflow: found, looked at, and told what to do by their tags."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tuner.engine import status
from tuner.engine.control import Command
from tuner.engine.status import Status
from tuner.engine.tracking.answering import answering
from tuner.engine.tracking.store import MlflowStore, told
from tuner.engine.tracking.surface import ANSWER, COMMAND, STATUS

PAGE = 1000
NAME = re.compile(r"[A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Seen:
    """A sweep as MLflow shows it."""

    sweep: str
    run_id: str
    status: Status


class RemoteSweeps:
    """The sweeps of one MLflow store. Every method raises OSError where the store does not do what is asked."""

    def __init__(self, uri: str) -> None:
        self._uri = told(uri)
        with answering(self._uri):
            self._store = MlflowStore(uri)

    def all(self, beginning: str = "") -> list[Seen]:
        """The sweeps whose id has this `beginning`, newest first."""
        if beginning and not NAME.fullmatch(beginning):
            return []
        wanted = f" AND tags.`caviar.sweep` LIKE '{beginning}%'" if beginning else ""
        with answering(self._uri):
            found = [_seen(run) for run in self._runs(f"tags.`{STATUS}` LIKE '{{%'{wanted}")]
        mine = (one for one in found if one and one.sweep.startswith(beginning))  # to LIKE, `_` is any letter
        return sorted(mine, key=lambda one: -one.status.created)

    def find(self, sweep: str) -> Seen:
        """The sweep of this id, or the only one whose id begins so. ValueError if there is none, or several."""
        found = self.all(sweep)
        same = [one for one in found if one.sweep == sweep] or found
        if not same:
            raise ValueError(f"no sweep {sweep!r} in MLflow at {self._uri}: `caviar list` shows those there are")
        if len({one.sweep for one in same}) > 1:
            raise ValueError(f"sweep {sweep!r} could be any of {len(same)}: write more of its id")
        return same[0]

    def tell(self, seen: Seen, command: Command) -> None:
        """Leaves the command for the sweep's driver."""
        with answering(self._uri):
            self._store.set_tag(seen.run_id, COMMAND, str(command))

    def answer(self, seen: Seen) -> str | None:
        """What became of the command; None while nobody has looked at it."""
        with answering(self._uri):
            tags = self._store.tags(seen.run_id)
        return None if COMMAND in tags else tags.get(ANSWER)

    def _runs(self, wanted: str) -> Iterator[Any]:
        client = self._store.client
        experiments = [found.experiment_id for found in client.search_experiments()]
        token: str | None = None
        while True:
            page = client.search_runs(experiments, wanted, max_results=PAGE, page_token=token)
            yield from page
            token = page.token
            if not token:
                return


def _seen(run: Any) -> Seen | None:
    """What the run says of its sweep; None where people have written something else into its tags."""
    tags = run.data.tags
    try:
        return Seen(tags["caviar.sweep"], run.info.run_id, status.parse(tags[STATUS]))
    except (KeyError, TypeError, ValueError):
        return None
