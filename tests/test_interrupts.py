"""A signal whose KeyboardInterrupt Python could not raise where it came ends what works for long all the same."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lost import lose
from tests.simulation import make_ledger
from tuner.engine import interrupts, pause
from tuner.engine.control import Command, Verb
from tuner.engine.history import History
from tuner.engine.journal import Journal
from tuner.engine.status import Reporter
from tuner.engine.storage import Storage


@pytest.fixture
def lost() -> Iterator[None]:
    with interrupts.raised():
        interrupts.heed()
        lose()
        yield


def test_it_is_told_of_later() -> None:
    with interrupts.raised():
        lose()
        with pytest.raises(KeyboardInterrupt):
            interrupts.heed()
    interrupts.heed()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_raise_in_the_block_only(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with interrupts.raised(), pytest.raises(KeyboardInterrupt):
        signal.raise_signal(number)
    assert signal.getsignal(number) is before


def test_what_is_ignored_stays_ignored() -> None:
    """A shell has its jobs in the background ignore Ctrl-C, which is for another one."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with interrupts.raised():
            signal.raise_signal(signal.SIGINT)
            interrupts.heed()
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_paused_sweep_ends(lost: None, tmp_path: Path) -> None:
    sweep = Storage(tmp_path)
    history = History(sweep, Journal(sweep), make_ledger(8, "asha"))
    with pytest.raises(KeyboardInterrupt):
        pause.obey(Command(Verb.PAUSE), sweep, history, Reporter(sweep, "one", "one", lambda _: None))
