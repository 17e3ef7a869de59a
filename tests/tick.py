"""The command `caviar` in a process that kills itself the moment a period's state is written: tick.py STATE ARGS."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from tuner.cli import main
from tuner.engine.tracking.champions import Champions
from tuner.retune.periods import Periods


def die(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def watch(state: str) -> None:
    """`alias`: between the alias and what is written about it; `promoted`: before it is shown."""
    advance, point = Periods.advance, Champions.point

    def advanced(self: Periods, *args: Any, **data: Any) -> Any:
        found = advance(self, *args, **data)
        if found.state.value == state:
            die()
        return found

    def pointed(self: Champions, model: str, alias: str, number: str) -> None:
        point(self, model, alias, number)
        if (state, alias) == ("alias", "champion"):
            die()

    Periods.advance, Champions.point = advanced, pointed  # type: ignore[method-assign]
    if state == "promoted":
        from tuner.retune import publishing

        publishing.publish = die  # type: ignore[assignment]


if __name__ == "__main__":
    watch(sys.argv.pop(1))
    main()
