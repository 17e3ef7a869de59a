"""What people ask of a running sweep: one object beside its journal, which driver and workers look at.

It comes from the command line, or from the tag `caviar.command` of the sweep's run in MLflow.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from tuner.engine.storage import Storage

NAME = "command"
LOOK_SECONDS = 1.0  # how often whoever runs the sweep looks for a command
WORDS = re.compile(r"(?P<verb>[a-z]+)(?:\s+(?P<limits>.+))?")


class Verb(StrEnum):
    """STOP ends the sweep, PAUSE keeps its driver waiting without workers for RESUME, EXTEND gives it more to do."""

    STOP = "stop"
    PAUSE = "pause"
    RESUME = "resume"
    EXTEND = "extend"


@dataclass(frozen=True, slots=True)
class Command:
    """One command. The limits of EXTEND are the new totals (None: as it is), so that obeying twice changes nothing."""

    verb: Verb
    trials: int | None = None
    max_epochs: int | None = None

    @classmethod
    def parse(cls, text: str) -> Command:
        """A command as people write it: `stop`, `pause`, `resume`, `extend trials=128 max_epochs=81`.

        ValueError for anything else.
        """
        found = WORDS.fullmatch(text.strip())
        if not found or found["verb"] not in list(Verb):
            raise ValueError(f"a command must be one of {', '.join(Verb)}, not {text[:60]!r}")
        verb, limits = Verb(found["verb"]), {}
        for part in (found["limits"] or "").split():
            key, _, number = part.partition("=")
            if verb is not Verb.EXTEND or key not in ("trials", "max_epochs") or not re.fullmatch(r"\d{1,9}", number):
                raise ValueError(
                    f"only extend takes limits, as in `extend trials=128 max_epochs=81`, not {part[:60]!r}"
                )
            limits[key] = int(number)
        if verb is Verb.EXTEND and not limits:
            raise ValueError("extend needs trials=N, max_epochs=N, or both: the new totals")
        return cls(verb, **limits)

    def __str__(self) -> str:
        limits = {"trials": self.trials, "max_epochs": self.max_epochs}
        return " ".join([self.verb, *(f"{key}={number}" for key, number in limits.items() if number is not None)])

    @property
    def ends_packs(self) -> bool:
        """Whether packs are to end at their next evaluation."""
        return self.verb in (Verb.STOP, Verb.PAUSE)


def ask(sweep: Storage, command: Command) -> None:
    """Asks the sweep's driver for `command`; a newer one takes the place of one that was not yet obeyed."""
    sweep.write(NAME, str(command).encode())


def asked(sweep: Storage) -> Command | None:
    """What was asked and not yet obeyed; None also for what is no command."""
    try:
        return Command.parse(sweep.read(NAME).decode())
    except (FileNotFoundError, ValueError):
        return None


def obeyed(sweep: Storage, command: Command) -> None:
    """Takes the command away, unless there is a newer one."""
    if asked(sweep) == command:
        sweep.remove(NAME)
