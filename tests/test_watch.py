"""A running sweep watched: a live screen on a terminal, lines elsewhere; and what happened lately in a ledger."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tests.simulation import make_ledger, train
from tuner.cli import waiting as waits
from tuner.cli.waiting import counting, waiting
from tuner.engine import status
from tuner.engine.recent import DECISIONS, POINTS, Recent
from tuner.engine.status import Reporter, Status
from tuner.engine.storage import Storage
from tuner.review.live import Progress, sparkline
from tuner.review.terminal import states_text

ROOT = Path(__file__).parent.parent
RUNNING = Status(
    "digits-1", "digits", "running", "search", trials=32, states={"running": 8, "waiting": 12}, rungs=[(1, 20), (3, 5)],
    best={"trial": "t0005", "val_loss": 0.25, "val_accuracy": 0.9}, epochs=60, epochs_expected=200, seconds=20.0,
    busy=2, begun=20, curve=[(10, 2.0), (20, 1.0), (40, 0.25)],
    decisions=["t0007 waits: rank 9 of 20", "t0005 to epoch 3: [1/3] rank 1 of 20"],
)  # fmt: skip
SEEN = (
    "digits-1 running, search", "8 running, 12 waiting", "20 of 32", "val_loss 0.2500, 90.0% right (t0005)",
    "2.0000 → 0.2500", "2 packs on workers, 1.0 trials/s, 3.0 epochs/s", "about 46 s left",
    "lately t0005 to epoch 3: [1/3] rank 1 of 20", "Ctrl-C ends the watching only",
)  # fmt: skip


def test_where_nobody_trains_no_trial_is_running() -> None:
    assert states_text(RUNNING) == "8 running, 12 waiting"
    assert states_text(replace(RUNNING, status="interrupted")) == "8 begun, 12 waiting"


@pytest.fixture
def home(tmp_path: Path) -> Storage:
    """The sweep digits-1, which this process drives, in a user's storage."""
    sweep = Storage(tmp_path / "storage/sweeps/digits-1")
    tell(sweep, RUNNING)
    return sweep


def tell(sweep: Storage, found: Status) -> None:
    driver = {"host": socket.gethostname(), "pid": os.getpid(), "time": time.time()}
    sweep.write(status.NAME, json.dumps(asdict(replace(found, **driver))).encode())


def watch(folder: Path, *options: str) -> tuple[list[str], dict[str, str]]:
    own = {"CAVIAR_HOME": str(folder), "PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "110", "LINES": "40"}
    return [sys.executable, "-m", "tuner.cli", "watch", "digits-1", *options], {**os.environ, **own}


@contextmanager
def started(command: list[str], **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """The command, which does not outlive a test that fails."""
    process = subprocess.Popen(command, **options)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def read(terminal: int, until: str, seconds: float = 60) -> str:
    """What the terminal shows up to `until`, without the codes that place and colour it."""
    shown, end = "", time.monotonic() + seconds
    while until not in shown and time.monotonic() < end:
        if select.select([terminal], [], [], 0.2)[0]:
            shown += re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", os.read(terminal, 1 << 16).decode(errors="ignore"))
    assert until in shown, shown
    return shown


def test_on_a_terminal_it_is_a_live_screen_until_the_sweep_ends(home: Storage, tmp_path: Path) -> None:
    command, env = watch(tmp_path)
    ours, theirs = pty.openpty()
    with started(command, env=env, cwd=tmp_path, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        shown = read(ours, "Ctrl-C ends the watching only")
        for text in SEEN:
            assert text in " ".join(shown.split()), text
        assert sparkline(RUNNING.curve, RUNNING.epochs) in shown
        tell(home, replace(RUNNING, decisions=["t0009 diverged: its loss was not finite"], seconds=40.0))
        read(ours, "t0009 diverged")
        tell(home, replace(RUNNING, status="finished", phase="done"))
        read(ours, "status   finished")
        assert process.wait(30) == 0
    os.close(ours)


@pytest.mark.parametrize("options", [(), ("--plain",)])
def test_elsewhere_and_with_plain_it_is_lines(options: tuple[str, ...], home: Storage, tmp_path: Path) -> None:
    command, env = watch(tmp_path, *options)
    ours, theirs = pty.openpty()
    with started(
        command, env=env, cwd=tmp_path, stdout=theirs if options else subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        os.close(theirs)
        source = ours if options else process.stdout.fileno()  # type: ignore[union-attr]
        line = (
            "search: 8 running, 12 waiting | at epochs 1: 20, 3: 5 | best val_loss 0.2500 (t0005) | 60 epochs in 20 s"
        )
        shown = read(source, line)
        assert not set(shown) & set("╭│╰━█")
        tell(home, replace(RUNNING, status="finished", phase="done"))
        read(source, "status   finished")
        assert process.wait(30) == 0
    os.close(ours)


def test_the_clock_goes_on_while_a_driver_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("tuner.review.live.time.monotonic", lambda: now[0])
    out = Console(file=StringIO(), force_terminal=True, width=100)
    progress = Progress(out)
    progress(RUNNING)
    for seconds, so_far in ((100.0, "20 s so far"), (130.0, "50 s so far")):
        now[0] = seconds
        with out.capture() as shown:
            out.print(progress._screen())
        assert so_far in shown.get()


def test_a_curve_falls_by_the_logarithm_and_stays_where_nothing_is_better() -> None:
    assert sparkline([(0, 100.0), (5, 10.0), (10, 1.0)], 20, width=21) == "█" * 5 + "▅" * 5 + "▁" * 11
    assert sparkline([(3, 0.0)], 3, width=4) == "▁▁▁▁"


def test_what_happened_lately_in_a_ledger() -> None:
    ledger, recent, said = make_ledger(trials=12, confirm=0), Recent(), list[str]()
    while not ledger.finished:
        while pack := ledger.ask(workers=2):
            recent.look(ledger, None)
            ledger.tell(pack.id, *train(pack))
            best = ledger.best_row(ledger.ranked()[0].id).val_loss if ledger.ranked() else None
            recent.look(ledger, best)
            said += recent.decisions
    assert recent.curve[-1][1] == min(loss for _, loss in recent.curve)
    assert [loss for _, loss in recent.curve] == sorted((loss for _, loss in recent.curve), reverse=True)
    assert len(recent.decisions) == DECISIONS
    for told in (
        r"\d+ trials to epoch 1: new trials",
        r"t\d+ waits.*: rank \d+ of \d+",
        r"(t\d+|\d+ trials) to epoch 3: rank",
        r"t\d+ is stopped \(and \d+ more\): rank",
        r"t\d+ is done: trained to epoch 9",
    ):
        assert any(re.fullmatch(f"{told}.*", one) for one in said), told
    again = Recent(recent.curve)
    again.skip(ledger)
    again.look(ledger, None)
    assert (list(again.decisions), again.curve) == ([], recent.curve)


def test_a_long_curve_keeps_its_beginning_and_its_end() -> None:
    recent, ledger = Recent(), make_ledger()
    for place in range(10 * POINTS):
        recent.look(ledger, 1000.0 - place)
    assert len(recent.curve) == POINTS
    assert (recent.curve[0][1], recent.curve[-1][1]) == (1000.0, 1001.0 - 10 * POINTS)


def test_the_status_carries_it_over_attempts(tmp_path: Path) -> None:
    storage, ledger = Storage(tmp_path), make_ledger(trials=6, confirm=0)
    for _ in range(2):
        reporter, before = Reporter(storage, "s-1", "s", lambda _: None), len(ledger.rows)
        reporter.resume(ledger)
        pack = ledger.ask(1)
        assert pack
        ledger.tell(pack.id, *train(pack))
        reporter.report(ledger, "running", "search")
        found = status.read(storage)
        assert found
        assert found.curve
        assert found.begun == len(ledger.rows) - before, "speed is that of this attempt"
    assert len(found.decisions) < DECISIONS


def test_who_waits_for_long_is_told_what_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waits, "PATIENCE_SECONDS", 0.05)
    monkeypatch.setattr(waits, "LINE_SECONDS", 0.0)
    log, terminal = Console(file=StringIO(), width=100), Console(file=StringIO(), width=100, force_terminal=True)
    for out in (log, terminal):
        with waiting(out, "reading [data]"):
            time.sleep(0.2)
        with counting(out, "t0001", 27, "epochs") as observe:
            observe(5)
            time.sleep(0.2)
    said, drawn = (out.file.getvalue() for out in (log, terminal))  # type: ignore[attr-defined]
    assert said == "reading [data] …\nt0001: 5 of 27 epochs\n"
    assert "reading [data]" in drawn
    assert "5/27" in re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", drawn)


def test_who_waits_briefly_is_told_nothing() -> None:
    log = Console(file=StringIO(), width=100)
    with waiting(log, "reading"):
        pass
    time.sleep(0.05)
    assert log.file.getvalue() == ""  # type: ignore[attr-defined]
