"""Sweeps that share a cluster: what is dealt to whom, and real sweeps at once on two cores."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
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
        return {"sleep": 0.3 + 0.2 * (self.left % 2)}

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

    log = tmp_path / "log"

    class Sleeper(PackTrainable):
        @staticmethod
        def _train(config: dict[str, object]) -> Iterator[list[object]]:
            if "leave" in config:
                yield from PackTrainable._train(config)
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


def spec_of(digits: Path, folder: Path, name: str, trials: int) -> Path:
    """Trials that are worth about a tenth of a second each."""
    path = folder / f"{name}.yaml"
    values = {
        "name": name,
        "data": {"source": str(digits)},
        "model": {"hidden_layers": 1, "hidden_units": {"log_int": [32, 128]}},
        "train": {"batch_size": 32},
        "search": {"trials": trials},
        "stopping": {"asha": {"max_epochs": 27}},
        "objective": {"confirm": 0, "baseline": False},
    }
    path.write_text(yaml.safe_dump(values))
    return path


def journal_of(home: Home, spec: Path) -> Journal:
    return Journal(Storage(home.folder / ".caviar/storage/sweeps" / spec.stem))


def seconds(home: Home, specs: list[Path]) -> float:
    """Runs the sweeps at the same time, to their ends."""
    began = time.monotonic()
    drivers = [home.start("run", str(spec), "--id", spec.stem) for spec in specs]
    assert [driver.wait(250) for driver in drivers] == [0] * len(drivers), (home.folder / "driver.log").read_text()
    return time.monotonic() - began


@pytest.mark.ray
@pytest.mark.slow
def test_two_sweeps_at_once_take_little_longer_than_one_of_both(home: Home, digits: Path) -> None:
    ratios = []
    while len(ratios) < 2 and min(ratios, default=9.0) >= 1.3:  # the machine may have been busy with something else
        turn = len(ratios)
        single = seconds(home, [spec_of(digits, home.folder, f"alone-{turn}", 400)])
        both = seconds(home, [spec_of(digits, home.folder, f"{name}-{turn}", 200) for name in ("left", "right")])
        print(f"one sweep of 400 trials: {single:.1f} s; two of 200 at once: {both:.1f} s, {both / single:.2f} times")
        ratios.append(both / single)
    assert min(ratios) < 1.3


@pytest.mark.ray
@pytest.mark.slow
def test_three_sweeps_on_two_cores_all_come_forward(home: Home, digits: Path) -> None:
    """The first is at work when the others come; it would be for minutes."""
    specs = [spec_of(digits, home.folder, name, 20_000) for name in ("first", "second", "third")]
    drivers = []

    def forward(specs: list[Path]) -> bool:
        """Whether all have trained something; raises if one has ended."""
        assert all(driver.poll() is None for driver in drivers), (home.folder / "driver.log").read_text()
        return all(any(entry["kind"] == "done" for _, entry in journal_of(home, spec).entries()) for spec in specs)

    for coming in (specs[:1], specs[1:]):
        drivers += [home.start("run", str(spec), "--id", spec.stem) for spec in coming]
        wait_for(lambda coming=coming: forward(coming), 150)
    for driver in drivers:
        driver.send_signal(signal.SIGINT)
    assert [driver.wait(60) for driver in drivers] == [130] * 3
