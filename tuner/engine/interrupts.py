"""Interrupts that are not lost: Ctrl-C and SIGTERM raise KeyboardInterrupt, and are remembered.

Python raises it wherever the signal finds the process. In a destructor, a weak reference's callback or the start of a
C extension (there are many in Ray's imports) it prints "Exception ignored" instead, and goes on. So whoever works for
long asks, from time to time, whether it should have ended.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

_told: list[int] = []  # the signals that have come


@contextmanager
def raised() -> Iterator[None]:
    """SIGINT, where it is not ignored, and SIGTERM raise KeyboardInterrupt in the block. Only in the main thread."""
    heard = [one for one in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(one) is not signal.SIG_IGN]
    before = {one: signal.signal(one, _raise) for one in heard}
    try:
        yield
    finally:  # processes that a caller forks later must end when they are told to
        for one, handler in before.items():
            signal.signal(one, handler)
        _told.clear()


def heed() -> None:
    """KeyboardInterrupt if a signal has come: not for code that cleans up after one."""
    if _told:
        raise KeyboardInterrupt


def _raise(number: int, _frame: object) -> None:
    _told.append(number)
    raise KeyboardInterrupt
