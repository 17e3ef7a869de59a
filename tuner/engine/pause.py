"""What a driver does between two rounds of training: ends for good, or waits without workers."""

from __future__ import annotations

import math
import time

from tuner.engine import control, interrupts
from tuner.engine.control import Command, Verb
from tuner.engine.history import History
from tuner.engine.status import Reporter
from tuner.engine.storage import Storage

REPORT_SECONDS = 10.0  # a driver that was silent for a minute counts as gone


class StoppedError(Exception):
    """The sweep was told to stop. Nothing is lost: its packs have left their state, and it can be resumed."""


def obey(command: Command, sweep: Storage, history: History, reporter: Reporter) -> None:
    """Returns when training is to go on. StoppedError when the sweep was, or is at last, told to stop.

    `command` has ended the packs; what was asked since then counts instead of it.
    """
    newest = control.asked(sweep) or command
    control.obeyed(sweep, newest)
    if newest.verb is Verb.STOP:
        raise StoppedError("told to stop")
    if newest.verb is Verb.EXTEND:
        history.extend(newest.trials, newest.max_epochs)
    if newest.verb is Verb.PAUSE:
        history.write("paused")
        _wait(sweep, history, reporter)
    history.begin()
    reporter.report(history.ledger, "running", history.ledger.stage.value)


def _wait(sweep: Storage, history: History, reporter: Reporter) -> None:
    """Until the command to resume."""
    reported = -math.inf
    while True:
        interrupts.heed()
        if time.monotonic() - reported > REPORT_SECONDS:
            reporter.report(history.ledger, "paused", history.ledger.stage.value)
            reported = time.monotonic()
        command = control.asked(sweep)
        if command is None:
            time.sleep(control.LOOK_SECONDS)
            continue
        if command.verb is Verb.EXTEND:
            history.extend(command.trials, command.max_epochs)
        control.obeyed(sweep, command)
        if command.verb is Verb.STOP:
            raise StoppedError("told to stop while it was paused")
        if command.verb is Verb.RESUME:
            return
