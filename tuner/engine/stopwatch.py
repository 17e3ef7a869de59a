"""How long a sweep has been worked on, from the times of its journal's entries."""

from __future__ import annotations


class Stopwatch:
    """Adds up the attempts of a sweep, each from its first entry to its last.

    What follows an attempt's last entry may be the pause after a kill. Times are seconds since 1970.
    """

    def __init__(self, now: float) -> None:
        self._spent = 0.0  # seconds of attempts before this one
        self._began = self._last = now
        self._resting = False  # ended or paused, and not yet taken up again

    def note(self, kind: str, now: float) -> None:
        """Counts the time up to an entry of that kind. While the sweep rests, an extension, say, is no work."""
        if kind == "attempt":
            self._spent += self._last - self._began
            self._began = now
        elif kind == "created":
            self._began = now
        if kind == "attempt" or not self._resting:
            self._last = now
        self._resting = kind in ("ended", "paused") or (self._resting and kind != "attempt")

    def seconds(self, now: float | None = None) -> float:
        """The work of all attempts, up to `now`; None: up to the last entry, for those who only read it."""
        return self._spent + (self._last if now is None else now) - self._began
