"""What people ask of a panda: objects in its inbox, in the order in which they came."""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from tuner.engine.panda.settings import assignments
from tuner.engine.storage import Storage
from tuner.trial import Value

FOLDER = "inbox"


class Verb(StrEnum):
    """SET changes hyperparameters, REWIND goes back (and may set some there), STOP ends the training for now."""

    SET = "set"
    REWIND = "rewind"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Request:
    """One thing asked. `epoch` is that of a rewind; `facts` are for the record, such as what a fan-out found.

    A rewind with a `line` (a key of the schedule at its epoch) is for that one alone: on another it would mean nothing.
    """

    verb: Verb
    values: Mapping[str, Value] = field(default_factory=dict)
    epoch: int | None = None
    reason: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    line: str = ""

    @classmethod
    def parse(cls, text: str) -> Request:
        """A request as people write it: `rewind 12 learning_rate=0.01`, `set momentum=0.95`, `stop`.

        ValueError for anything else.
        """
        verb, _, rest = text.strip().partition(" ")
        if verb not in list(Verb):
            raise ValueError(f"a command to a panda must be one of {', '.join(Verb)}, not {text[:60]!r}")
        epoch = None
        if verb == Verb.REWIND:
            found = re.fullmatch(r"(\d{1,9})(?:\s+(.*))?", rest.strip(), re.DOTALL)
            if not found:
                raise ValueError(f"rewind needs the epoch to go back to, as in `rewind 12`, not {text[:60]!r}")
            epoch, rest = int(found[1]), found[2] or ""
        values = assignments([rest])
        if (verb == Verb.SET) != bool(values) and verb != Verb.REWIND:
            right = "set learning_rate=0.003" if verb == Verb.SET else "stop"
            raise ValueError(f"must be written like `{right}`, not {text[:60]!r}")
        return cls(Verb(verb), values, epoch)

    def __str__(self) -> str:
        place = [] if self.epoch is None else [str(self.epoch)]
        return " ".join([self.verb, *place, *(f"{name}={value}" for name, value in self.values.items())])


def ask(panda: Storage, request: Request) -> str:
    """Leaves the request, and returns the name that the journal will know it by."""
    name = f"{time.time_ns():020d}-{secrets.token_hex(4)}"
    said: dict[str, Any] = {"verb": request.verb, "values": dict(request.values), "epoch": request.epoch}
    said |= {"reason": request.reason, "facts": dict(request.facts), "line": request.line}
    panda.create(f"{FOLDER}/{name}.json", json.dumps(said, allow_nan=False).encode())
    return name


def asked(panda: Storage) -> list[tuple[str, Request]]:
    """What was asked and is not yet taken away, oldest first, by name. What is no request is taken away."""
    found = []
    for file in panda.names(FOLDER):
        name = file.removesuffix(".json")
        try:
            said = json.loads(panda.read(f"{FOLDER}/{file}"))
            found.append((name, Request(**{**said, "verb": Verb(said["verb"])})))
        except (ValueError, KeyError, TypeError):
            done(panda, name)
        except FileNotFoundError:
            continue
    return found


def done(panda: Storage, name: str) -> None:
    """Takes the request away."""
    panda.remove(f"{FOLDER}/{name}.json")
