"""How running sweeps share one cluster's workers: as cards are dealt. Pure; every sweep works it out for itself."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

SLICE_SECONDS = 20.0  # a worker that changes hands starts in about 3 seconds
NAME = re.compile(r"caviar-sweep:(?P<token>[0-9a-f]+):(?P<appetite>\d{1,4})")


@dataclass(frozen=True, slots=True)
class Claim:
    """A running sweep as all others see it: who it is, and the part of the cluster it could use now, in thousandths."""

    token: str
    appetite: int = 1000

    @classmethod
    def parse(cls, name: str) -> Claim | None:
        """The claim that `str` made a name of; None for any other name."""
        found = NAME.fullmatch(name)
        return cls(found["token"], int(found["appetite"])) if found else None

    def __str__(self) -> str:
        return f"caviar-sweep:{self.token}:{self.appetite}"


def deal(fits: int, mine: Claim, others: Iterable[Claim], now: float) -> int:
    """How many of the `fits` workers that fit on the cluster are mine at `now` (seconds since 1970).

    One worker after the other is dealt to all who can use more, in turn, so that nobody has two more than another who
    wants them, and none is idle that anybody wants. Who is dealt to first changes every SLICE_SECONDS: so everybody
    has a turn also where there are fewer workers than sweeps.
    """
    claims = {claim.token: claim for claim in (*others, mine)}
    tokens = sorted(claims)
    first = int(now // SLICE_SECONDS) % len(tokens)
    wants = {token: max(1, round(claims[token].appetite * fits / 1000)) for token in tokens}
    waiting, dealt = tokens[first:] + tokens[:first], dict.fromkeys(tokens, 0)
    for _ in range(fits):
        if not waiting:
            break
        token = waiting.pop(0)
        dealt[token] += 1
        if dealt[token] < wants[token]:
            waiting.append(token)
    return dealt[mine.token]


def appetite(wanted: int | None, fits: int) -> int:
    """The part of a cluster, in thousandths, that `wanted` of its `fits` workers are; None: all of it."""
    return 1000 if wanted is None or wanted >= fits else -(-1000 * wanted // fits)
