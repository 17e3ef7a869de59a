"""A panda in a process that kills itself at a moment: panda_child.py PANDA SNAPSHOTS MOMENT.

MOMENT is the kind of a journal entry, `epoch N`, or never. Objects `plan/NN` hold what is to be asked after epoch NN.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from tuner.engine.panda import requests
from tuner.engine.panda.chronicle import Chronicle
from tuner.engine.panda.requests import Request
from tuner.engine.panda.session import Session
from tuner.engine.storage import Storage
from tuner.trial import Row


class Mortal(Session):
    """Dies where it is told to."""

    moment = ""

    def write(self, kind: str, **fields: Any) -> None:
        super().write(kind, **fields)
        if kind == self.moment:
            os.kill(os.getpid(), signal.SIGKILL)


def main(uri: str, snapshots: str, moment: str) -> None:
    panda = Storage(uri)

    def look(_: Chronicle, row: Row) -> None:
        name = f"plan/{row.epoch:02d}"
        if panda.exists(name):
            text = panda.read(name).decode()
            panda.remove(name)
            requests.ask(panda, Request.parse(text))
        if moment == f"epoch {row.epoch}":
            os.kill(os.getpid(), signal.SIGKILL)

    session = Mortal(panda, Path(snapshots), look, commit_seconds=60.0)
    session.moment = moment
    session.begin()
    assert session.run() == "finished"


if __name__ == "__main__":
    main(*sys.argv[1:])
