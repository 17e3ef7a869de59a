"""Three hosts, submitted to from a fourth, and every way to lose one: all comes to its end, once, as if undisturbed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import numpy as np
import pytest
import yaml

from tests import sweeps
from tests.hosts import needs_hosts
from tests.outcome import complaints, draws, in_mlflow
from tests.three_hosts import BIN, HEAD, WORKERS, Cluster, answer_of, wait_until
from tuner.engine.journal import Entry, Journal

pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.timeout(400),
    needs_hosts,
]

KILL_SECONDS, KILLS = 1.0, 3
AWAY_SECONDS = 8.0
WORK_SECONDS = 60.0  # of training at the pace of the fastest short pack; long ones are somewhat faster
COPIES = 16  # of the digits: packs then take seconds
SHORT = 2 * 1797  # rows of a short epoch
SPEC = {
    "name": "story",
    "data": {"source": "digits.npz"},
    "model": {"hidden_layers": {"int": [1, 2]}, "hidden_units": {"log_int": [64, 192]}},
    "train": {"batch_size": 16, "epoch_rows": SHORT},
    "search": {"trials": 64},
    "stopping": {"asha": {"max_epochs": 9}},
    "objective": {"confirm": 1, "seeds": 2, "baseline": False},
}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, digits: Path) -> Iterator[Cluster]:
    made = Cluster(tmp_path_factory.mktemp("three"))
    try:
        with np.load(digits) as rows:
            np.savez(made.folder / "digits.npz", X=np.tile(rows["X"], (COPIES, 1, 1)), y=np.tile(rows["y"], COPIES))
        (made.folder / "story.yaml").write_text(yaml.safe_dump(SPEC))
        made.turn_on("head", *WORKERS, "client")
        yield made
    finally:
        made.close()


def entries(cluster: Cluster, sweep: str, kind: str = "") -> list[Entry]:
    """The sweep's journal so far, or its entries of one kind."""
    found = [entry for _, entry in Journal(cluster.storage.child(f"sweeps/{sweep}")).entries()]
    return [entry for entry in found if not kind or entry["kind"] == kind]


def ended(cluster: Cluster, sweep: str) -> bool:
    """Whether the sweep and its job have ended."""
    return bool(entries(cluster, sweep, "ended")) and not cluster.drivers()


# -- undisturbed, but for its client -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def undisturbed(cluster: Cluster) -> list[str]:
    """A sweep that was submitted by two at once, one of whom then vanished; what came of each submission."""
    short = ["--set", "stopping.asha.max_epochs=3", "--id", "undisturbed"]
    both = [cluster.start("submit", "story.yaml", *short, "--json") for _ in range(2)]
    outcomes = sorted(answer_of(one)["submission"] for one in both)
    follower = cluster.start("submit", "story.yaml", *short, "--follow")
    wait_until(cluster.trainers, what="training to begin")
    assert follower.poll() is None
    cluster.kill("client")
    follower.communicate()
    cluster.turn_on("client")
    return outcomes


def test_the_client_reaches_two_pages_and_nothing_else(cluster: Cluster) -> None:
    client, probe = cluster.hosts["client"], "import socket, sys; socket.create_connection((sys.argv[1], 6379), 2)"
    with pytest.raises(RuntimeError, match=r"timed out|unreachable|No route"):
        client.run("python3", "-c", probe, HEAD)


def test_two_submissions_of_one_id_at_once_are_one_sweep(undisturbed: list[str]) -> None:
    assert undisturbed == ["attached", "started"]


def test_a_client_without_the_right_token_is_told_what_to_set(cluster: Cluster, undisturbed: object) -> None:
    (cluster.folder / "wrong").write_text("d2" * 32)
    wrong = cluster.start("submit", "story.yaml", RAY_AUTH_TOKEN_PATH=str(cluster.folder / "wrong"))
    none = cluster.start("submit", "story.yaml", RAY_AUTH_MODE="disabled")
    for command, code in ((wrong, "403"), (none, "401")):
        told = command.communicate(timeout=60)[1]
        assert command.returncode
        assert code in told
        assert "RAY_AUTH_TOKEN" in told


def test_four_sweeps_that_write_at_once_are_all_in_postgresql(cluster: Cluster, undisturbed: object) -> None:
    """The fifth is the one that runs meanwhile."""
    made_up = [
        sweeps.write(cluster.folder / "made-up" / name, 12, 4, sweep=name) for name in ("one", "two", "three", "four")
    ]
    command, env = [str(BIN / "python"), "-m", "tuner.engine.tracking", "--once"], cluster.client_env()
    client = cluster.hosts["client"]
    writers = [client.start("writers.log", *command, sweep.uri, env=env) for sweep in made_up]
    codes = [writer.wait(120) for writer in writers]
    assert codes == [0] * 4, (cluster.folder / "writers.log").read_text()[-3000:]
    for sweep in made_up:
        assert in_mlflow(sweep, cluster.database) == []


def test_what_was_submitted_ends_though_its_client_died(cluster: Cluster, undisturbed: object) -> None:
    wait_until(lambda: ended(cluster, "undisturbed"), 120)
    assert entries(cluster, "undisturbed")[-1]["status"] == "finished"
    assert {entry["host"] for entry in entries(cluster, "undisturbed", "done")} == set(WORKERS)
    assert complaints(cluster.storage.child("sweeps/undisturbed"), cluster.database) == []


# -- disturbed ---------------------------------------------------------------------------------------------------


@dataclass
class Story:
    """What happened to a sweep."""

    hit: set[int] = field(default_factory=set)  # the packs that were open when the host was cut off
    away: tuple[float, float] = (0.0, 0.0)  # when MLflow was
    killed: int = 0
    too_late: list[str] = field(default_factory=list)  # what happened when the search had ended already


@pytest.fixture(scope="module")
def story(cluster: Cluster, undisturbed: object) -> Story:
    """The same sweep, longer, to which everything happens."""
    wait_until(lambda: ended(cluster, "undisturbed"), 120)
    longer = ["--set", f"train.epoch_rows={rows_that_take_long(cluster)}", "--id", "disturbed"]
    told = Story()
    for fault in (cut_off_without_mlflow, lose_the_head, lose_a_worker):
        assert cluster.ask("submit", "story.yaml", *longer)["submission"] != "finished", "it is too short for its story"
        wait_until(cluster.trainers, 120, what="somebody to train")
        fault(cluster, told)
        told.too_late += [fault.__name__] * bool(entries(cluster, "disturbed", "result"))
    wait_until(lambda: ended(cluster, "disturbed"), 150)
    return told


def rows_that_take_long(cluster: Cluster) -> int:
    """How many rows an epoch must have for WORK_SECONDS of training on this machine, going by the short sweep.

    By its fastest pack: the others waited for a processor, or for a worker's first steps.
    """
    pace = min(entry["seconds"] / len(entry["rows"]) for entry in entries(cluster, "undisturbed", "done"))
    epochs = 3 * SPEC["search"]["trials"]  # a third of the trials trains three times as long, and so on
    return int(SHORT * max(1.0, WORK_SECONDS / (pace * epochs)))


def cut_off_without_mlflow(cluster: Cluster, told: Story) -> None:
    """Host and server are away at once; before they are back, the packs that were hit have been trained elsewhere.

    Then workers are killed, while the host becomes one again.
    """
    wait_until(lambda: entries(cluster, "disturbed", "done") and cluster.trainers("worker2"))
    bring_back, began = cluster.take_mlflow_away(), time.time()
    done = {entry["pack"] for entry in entries(cluster, "disturbed", "done")}
    told.hit = {entry["pack"]["id"] for entry in entries(cluster, "disturbed", "pack")} - done
    cluster.cut("worker2")
    wait_until(lambda: told.hit <= {entry["pack"] for entry in entries(cluster, "disturbed", "done")})
    time.sleep(max(0.0, began + AWAY_SECONDS - time.time()))
    bring_back()
    told.away = (began, time.time())
    cluster.mend("worker2")
    wait_until(lambda: not cluster.is_worker("worker2"), what="Ray to end where it was given up")
    joined = cluster.begin_to_join("worker2")
    random = Random(0)
    for _ in range(KILLS):
        random.choice(wait_until(cluster.trainers, what="somebody to train")).kill()
        told.killed += 1
        time.sleep(KILL_SECONDS)
    joined()


def lose_the_head(cluster: Cluster, told: Story) -> None:
    """With it MLflow and PostgreSQL, and the driver, which is a job there."""
    cluster.kill("head")
    cluster.turn_on("head", rejoin=WORKERS)


def lose_a_worker(cluster: Cluster, told: Story) -> None:
    """One that trains, and for good."""
    cluster.kill(next(name for name in WORKERS if cluster.trainers(name)))


def test_everything_happened_in_time(story: Story) -> None:
    assert story.too_late == []
    assert story.hit
    assert story.killed == KILLS


def test_every_trial_ends_and_mlflow_lacks_nothing(cluster: Cluster, story: Story) -> None:
    assert entries(cluster, "disturbed")[-1]["status"] == "finished"
    assert complaints(cluster.storage.child("sweeps/disturbed"), cluster.database) == []


def test_no_pack_was_given_up(cluster: Cluster, story: Story) -> None:
    assert entries(cluster, "disturbed", "failed") == []


def test_the_trials_are_those_of_an_undisturbed_sweep(cluster: Cluster, story: Story) -> None:
    found = [draws(cluster.storage.child(f"sweeps/{sweep}")) for sweep in ("undisturbed", "disturbed")]
    assert len(found[0]) == SPEC["search"]["trials"]
    assert found[1] == found[0]


def test_nobody_waited_for_mlflow(cluster: Cluster, story: Story) -> None:
    began, came_back = story.away
    times = [entry["time"] for entry in entries(cluster, "disturbed", "done") if began < entry["time"] < came_back]
    assert came_back - began > AWAY_SECONDS
    assert len(times) >= 3
