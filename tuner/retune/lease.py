"""Who drives a model: one process, for as long as it lives and says so."""

from __future__ import annotations

import _thread
import getpass
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta

import psutil
from sqlalchemy.exc import SQLAlchemyError

from tuner.retune.periods import Claim, Held, Periods, StaleClaimError
from tuner.retune.states import NothingToDoError

LEASE = timedelta(seconds=120)


@contextmanager
def driving(periods: Periods, model: str, clock: Callable[[], datetime]) -> Iterator[Claim]:
    """The model's claim for the time of the block, renewed in the background.

    NothingToDoError where another process has it. If it is lost meanwhile, the main thread is interrupted and the block
    ends with StaleClaimError.
    """
    claim = periods.claim(model, clock(), LEASE, owner(), gone=_is_gone(periods.holder(model)))
    if isinstance(claim, Held):
        raise NothingToDoError(f"{model} is being tuned by {claim.owner}")
    done, lost = threading.Event(), threading.Event()
    beat = threading.Thread(target=_renew, args=(periods, claim, clock, done, lost), daemon=True)
    beat.start()
    try:
        yield claim
    except KeyboardInterrupt:
        if lost.is_set():
            raise StaleClaimError(f"{model} is driven by another process now: this one leaves it alone") from None
        raise
    finally:
        done.set()
        beat.join()
        with suppress(StaleClaimError, SQLAlchemyError):  # it ends by itself
            periods.release(claim)


def owner() -> str:
    """This process, so that others can tell whether it still lives."""
    process = psutil.Process()
    return f"{getpass.getuser()}@{socket.gethostname()} process {process.pid} of {process.create_time():.0f}"


def _is_gone(owner_text: str) -> bool:
    """Whether that owner is a process of this machine that has ended: nobody needs to wait for its lease."""
    who, _, process = owner_text.partition(" process ")
    number, _, created = process.partition(" of ")
    if who.rpartition("@")[2] != socket.gethostname() or not number.isdigit():
        return False
    if int(number) == os.getpid():
        return True  # an earlier claim of our own
    try:
        return f"{psutil.Process(int(number)).create_time():.0f}" != created
    except psutil.NoSuchProcess:
        return True


def _renew(
    periods: Periods, claim: Claim, clock: Callable[[], datetime], done: threading.Event, lost: threading.Event
) -> None:
    while not done.wait(LEASE.total_seconds() / 4):
        with suppress(SQLAlchemyError):  # the database is away: the next time, or the lease runs out
            try:
                periods.renew(claim, clock(), LEASE)
            except StaleClaimError:
                lost.set()
                _thread.interrupt_main()
                return
