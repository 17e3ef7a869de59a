"""Sweeps that share a cluster: what is dealt to whom, and real sweeps at once on two cores."""

from __future__ import annotations

import math
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import Home
from tests.test_kill import wait_for
from tuner.engine.journal import Journal
from tuner.engine.share import SLICE_SECONDS, Claim, appetite, deal
from tuner.engine.storage import Storage

claims = st.lists(
    st.builds(Claim, st.text("0123456789abcdef", min_size=4, max_size=4), st.integers(1, 1000)),
    min_size=1,
    max_size=8,
    unique_by=lambda claim: claim.token,
)


def dealt(fits: int, sweeps: list[Claim], now: float) -> dict[str, int]:
    """Every sweep works it out on its own; none counts itself among the others."""
    return {claim.token: deal(fits, claim, [one for one in sweeps if one != claim], now) for claim in sweeps}


@given(claims, st.integers(1, 40), st.floats(0, 1e9))
def test_sweeps_agree_nobody_wants_what_is_left_and_shares_are_even(sweeps: list[Claim], fits: int, now: float) -> None:
    shares = dealt(fits, sweeps, now)
    wants = {claim.token: max(1, round(claim.appetite * fits / 1000)) for claim in sweeps}
    assert sum(shares.values()) == min(fits, sum(wants.values()))
    assert all(shares[token] <= wants[token] for token in shares)
    unsatisfied = [shares[token] for token in shares if shares[token] < wants[token]]
    assert all(share <= least + 1 for least in unsatisfied for share in shares.values())


def test_everybody_has_a_turn_where_there_are_more_sweeps_than_workers() -> None:
    sweeps = [Claim(f"{number:04x}") for number in range(5)]
    turns = [dealt(2, sweeps, at * SLICE_SECONDS + 1) for at in range(5)]
    assert all(sum(turn[claim.token] for turn in turns) == 2 for claim in sweeps)


def test_a_sweep_that_wants_little_leaves_the_rest() -> None:
    assert dealt(16, [Claim("aa", appetite(2, 16)), Claim("bb")], 0.0) == {"aa": 2, "bb": 14}
    assert appetite(None, 16) == appetite(99, 16) == 1000


@given(st.builds(Claim, st.text("0123456789abcdef", min_size=1), st.integers(0, 1000)))
def test_a_claim_survives_as_a_name(claim: Claim) -> None:
    assert Claim.parse(str(claim)) == claim
    assert Claim.parse("somebody else's") is None


class Scripted:
    """Packs that only sleep, and a share of two workers that becomes one: both sides of a SharingSearcher."""

    contested = True
    ended_by = None
    error = None

    def __init__(self, packs: int) -> None:
        self.left, self.running = packs, 0
        self.most: list[tuple[int, int]] = []  # the share and the packs that ran, at the end of each

    def workers(self) -> int:
        return 2 if self.left > 8 else 1

    def tell(self, running: int, *, hungry: bool) -> None:
        """As Presence does."""

    def suggest(self, trial_id: str) -> object:  # noqa: ARG002
        if self.running >= self.workers():
            return None
        if not self.left:
            return "FINISHED"
        self.left, self.running = self.left - 1, self.running + 1
        return {"sleep": 0.3 + 0.2 * (self.left % 2), "together": self.left > 13}

    def on_trial_complete(self, trial_id: str, result: object, error: bool) -> None:  # noqa: ARG002
        import ray

        assert not error
        self.running -= 1
        self.most.append((self.workers(), int(ray.available_resources().get("CPU", 0))))


@pytest.mark.ray
def test_a_share_that_shrinks_frees_the_processor_and_starts_no_new_worker(ray_address: str, tmp_path: Path) -> None:
    """What Tune does with an idle worker is its own affair, and may change with its version."""
    import os

    from ray import tune

    from tuner.engine import driver
    from tuner.engine.pack import PackTrainable
    from tuner.engine.turns import SharingSearcher

    log, here = tmp_path / "log", tmp_path / "here"

    class Sleeper(PackTrainable):
        @staticmethod
        def _train(config: dict[str, object]) -> Iterator[list[object]]:
            if "leave" in config:
                yield from PackTrainable._train(config)
            with here.open("a") as file:
                file.write(f"{os.getpid()}\n")
            while config.get("together") and len(set(here.read_text().split())) < 2:  # a start takes long
                time.sleep(0.05)
            time.sleep(float(str(config["sleep"])))
            with log.open("a") as file:
                file.write(f"{os.getpid()}\n")
            yield []

    script = Scripted(16)
    os.environ |= driver.TUNE
    worker = tune.with_resources(Sleeper, {"cpu": 1})
    driver._fit(worker, SharingSearcher(script, script), script, tmp_path / "tune")
    processes = log.read_text().split()
    assert len(processes) == 16
    assert len(set(processes)) == 2  # nobody was started in the place of the one that was sent away
    assert len(set(processes[-7:])) == 1
    assert [free for share, free in script.most if share == 1][-3:] == [1, 1, 1]


def spec_of(digits: Path, folder: Path, name: str) -> Path:
    """A sweep that would be at work for minutes, of trials that are worth about a tenth of a second each."""
    path = folder / f"{name}.yaml"
    values = {
        "name": name,
        "data": {"source": str(digits)},
        "model": {"hidden_layers": 1, "hidden_units": {"log_int": [32, 128]}},
        "train": {"batch_size": 32},
        "search": {"trials": 20_000},
        "stopping": {"asha": {"max_epochs": 27}},
        "objective": {"confirm": 0, "baseline": False},
    }
    path.write_text(yaml.safe_dump(values))
    return path


@dataclass(frozen=True)
class Sweep:
    """A sweep that runs, and what its journal says of it."""

    driver: subprocess.Popen[bytes]
    journal: Journal

    def packs(self) -> dict[int, tuple[float, float]]:
        """When each pack was handed out and when it had ended: never, while it is open."""
        found: dict[int, tuple[float, float]] = {}
        for _, entry in self.journal.entries():
            if entry["kind"] == "pack":
                found[entry["pack"]["id"]] = (entry["time"], math.inf)
            elif entry["kind"] == "done":
                found[entry["pack"]] = (found[entry["pack"]][0], entry["time"])
        return found

    def begun(self, since: float) -> list[float]:
        """When it handed out packs after that time."""
        return [began for began, _ in self.packs().values() if began > since]

    def first_end(self, since: float = 0.0) -> float:
        """When the first of the packs ended that it handed out after that time; infinity, if none has."""
        return min((end for began, end in self.packs().values() if began > since), default=math.inf)

    def most_at_once(self, since: float) -> int:
        """How many packs it had open at most, at any one time after `since`."""
        spans = [span for span in self.packs().values() if span[1] > since]
        moments = [since, *(began for began, _ in spans if began > since)]
        return max(sum(began <= moment < end for began, end in spans) for moment in moments)


@pytest.mark.ray
@pytest.mark.slow
def test_two_sweeps_have_a_core_each_and_a_third_comes_forward_too(home: Home, digits: Path) -> None:
    """Facts that no clock is needed for: how much faster or slower all this is, `benchmarks.sharing` measures."""
    sweeps: list[Sweep] = []

    def begin(name: str) -> Sweep:
        spec = spec_of(digits, home.folder, name)
        journal = Journal(Storage(home.folder / ".caviar/storage/sweeps" / name))
        sweeps.append(Sweep(home.start("run", str(spec), "--id", name), journal))
        return sweeps[-1]

    def until(condition: Callable[[], object]) -> None:
        """Waits; raises if a sweep has ended."""
        wait_for(lambda: any(one.driver.poll() is not None for one in sweeps) or condition(), 150)
        assert all(one.driver.poll() is None for one in sweeps), (home.folder / "driver.log").read_text()

    first, second = begin("first"), begin("second")
    shared = 0.0
    for _ in range(2):  # what one was dealt before it saw the other has ended with the second pack of each
        until(lambda since=shared: max(one.first_end(since) for one in (first, second)) < math.inf)
        shared = max(one.first_end(shared) for one in (first, second))
    until(lambda: all(len(one.begun(shared)) >= 3 for one in (first, second)))
    assert [one.most_at_once(shared) for one in (first, second)] == [1, 1]
    for one, other in ((first, second), (second, first)):  # nobody waits until the other has had all its turns
        assert min(one.begun(shared)) < other.begun(shared)[2]

    third = begin("third")
    until(lambda: third.first_end() < math.inf)
    for one in sweeps:
        one.driver.send_signal(signal.SIGINT)
    assert [one.driver.wait(60) for one in sweeps] == [130] * 3
