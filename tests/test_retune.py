"""A model's periods, with real sweeps and a real registry: what is decided, and that nothing undoes it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from mlflow import MlflowClient

from tests import monthly, postgres
from tests.conftest import Home
from tuner.cli import period as commands
from tuner.engine import tracking
from tuner.retune import machine, promotion
from tuner.retune.lease import driving
from tuner.retune.periods import Claim, Held, Periods, StaleClaimError
from tuner.retune.setting import Setting
from tuner.retune.states import NothingToDoError, Period, State

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]

TURNED = 1.0  # radians by which the classes turn at the end of February
TICK = Path(__file__).with_name("tick.py")


@pytest.fixture(scope="module")
def shop(home: Home) -> Iterator[Path]:
    """A shop with data from January to April; the module's processes and this one use its folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CAVIAR_HOME", str(home.folder / ".caviar"))
        patch.setenv("RAY_ADDRESS", home.env["RAY_ADDRESS"])
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        monthly.deliver(home.folder, "1", monthly.table("2013-01-01", "2013-02-20"))
        monthly.deliver(home.folder, "2", monthly.table("2013-02-20", "2013-05-01", angle=TURNED, move=0.5, seed=1))
        monthly.write(home.folder)
        yield home.folder


def uri(shop: Path) -> str:
    return tracking.embedded_uri(shop / ".caviar")


@pytest.fixture(autouse=True)
def anew(shop: Path) -> Iterator[None]:
    """Every test begins without periods and versions. Sweeps that were run are found again: they are not repeated."""
    yield
    (shop / ".caviar/retune.db").unlink(missing_ok=True)
    shutil.rmtree(shop / ".caviar/storage/retune", ignore_errors=True)
    client = MlflowClient(uri(shop))
    for model in client.search_registered_models():
        client.delete_registered_model(model.name)
    for experiment in client.search_experiments():
        if experiment.name == "shop/re-tuning":
            for run in client.search_runs([experiment.experiment_id]):
                client.delete_run(run.info.run_id)


@contextmanager
def opened(policy: Path) -> Iterator[Setting]:
    from tuner.cli.app import console

    with commands.opened(policy, console(), False) as setting:
        yield setting


def tick(policy: Path, when: str) -> Period:
    """Of a month, its first day's period; of a day, that day's."""
    day = when if len(when) > len("2013-02") else f"{when}-01"
    with opened(policy) as setting:
        return machine.tick(setting, day, datetime.fromisoformat(f"{day}T00:00:00+00:00"))


def aliases(shop: Path) -> dict[str, str]:
    found = MlflowClient(uri(shop)).search_registered_models()
    return {name: str(number) for model in found for name, number in model.aliases.items()}


def answers(shop: Path) -> bool:
    """Whether the champion predicts."""
    rows = pd.read_parquet(shop / "data/2.parquet").head(3)
    return len(tracking.classifier_of(uri(shop), "models:/shop@champion").predict_proba(rows)) == 3


def test_a_year_begins(shop: Path) -> None:
    """The first model, one that replaces it after the classes have turned, and the way back."""
    policy = monthly.write(shop)
    first = tick(policy, "2013-02")
    assert first.state is State.PROMOTED, first.reason
    assert aliases(shop) == {"challenger": "1", "champion": "1"}
    second = tick(policy, "2013-04")
    assert second.state is State.PROMOTED, second.reason
    assert second.data["drift"]["drifted"]
    losses = {name: found["mean"] for name, found in second.data["evaluation"]["losses"].items()}
    assert losses["champion"] > losses["retrained"]
    new = second.data["promotion"]["to"]
    assert aliases(shop) | {"challenger": ""} == {"challenger": "", "champion": new, "previous": "1"}
    assert second.data["tuning"]["figures"]["trials"] == 4
    assert answers(shop)
    assert tick(policy, "2013-04") == second
    with opened(policy) as setting:
        trail = [row["after"] for row in setting.periods.audit("shop") if row["period"] == "2013-04-01"]
        assert trail == [
            *("due", "claimed", "snapshotted", "drift_scored", "tuning", "candidate"),
            *("evaluated", "blessed", "promoting", "promoted"),
        ]
        back = machine.roll_back(setting, "somebody")
    assert back.state is State.ROLLED_BACK
    assert "somebody rolled back" in back.reason
    assert aliases(shop)["champion"] == "1"
    assert "previous" not in aliases(shop)
    with opened(policy) as setting, pytest.raises(ValueError, match="had no champion before"):
        machine.roll_back(setting, "somebody")


def test_the_commands(shop: Path, home: Home) -> None:
    monthly.write(shop, approval="manual")
    waiting = home.answer("retune", "run", monthly.POLICY, "--now", "2013-02-01")
    assert (waiting["state"], waiting["verdict"]) == ("pending_approval", "blessed")
    assert aliases(shop) == {"challenger": "1"}
    again = home.answer("retune", "tick", monthly.POLICY, "--now", "2013-02-14T12:00")
    assert again["state"] == "pending_approval"
    promoted = home.answer("retune", "promote", monthly.POLICY)
    assert (promoted["state"], promoted["run_id"]) == ("promoted", waiting["run_id"])
    run = MlflowClient(uri(shop)).get_run(promoted["run_id"])
    assert run.data.tags["caviar.state"] == "promoted"
    assert aliases(shop)["champion"] == "1"
    [row] = home.answer("retune", "history", monthly.POLICY)["periods"]
    assert row == promoted
    assert home.answer("retune", "status", monthly.POLICY)["period"] == promoted
    assert "2013-02-01" in home.caviar("retune", "history", monthly.POLICY).stdout
    told = home.caviar("retune", "rollback", monthly.POLICY, code=2).stderr
    assert "had no champion before" in told
    early = home.caviar("retune", "tick", monthly.POLICY, "--now", "2013-01-15").stdout
    assert "nothing to do" in early
    assert "2013-02-01 has begun already" in early


def test_what_waits_for_approval_can_be_declined(shop: Path) -> None:
    policy = monthly.write(shop, approval="manual")
    to_there = ("claimed", "snapshotted", "drift_scored", "tuning", "candidate", "evaluated", "blessed")
    with opened(policy) as setting:
        period = setting.periods.ensure(setting.claim, "2013-02-01", monthly.month("2013-02"), setting.clock())
        with pytest.raises(ValueError, match="only one that is pending approval can be declined"):
            machine.decline(setting, period, "somebody", "")
        for state in (*to_there, "pending_approval"):
            period = setting.periods.advance(setting.claim, period, State(state), "so far", setting.clock())
        done = machine.decline(setting, period, "somebody", "the data were wrong")
        assert (done.state, done.reason) == (State.REJECTED, "declined by somebody: the data were wrong")
        assert machine.tick(setting, "2013-02-01", monthly.month("2013-02")) == done, "it is over"


def test_three_months_down(shop: Path) -> None:
    """Only the latest is caught up; what was left behind is ended, and says so."""
    policy = monthly.write(shop)
    with opened(policy) as setting:
        setting.periods.ensure(setting.claim, "2013-01-01", monthly.month("2013-01"), setting.clock())
    found = tick(policy, "2013-04")
    assert found.state is State.PROMOTED
    with opened(policy) as setting:
        old, new = setting.periods.all("shop")
        assert (old.state, new.period) == (State.SKIPPED, "2013-04-01")
        assert "2013-04-01 began before" in old.reason
        with pytest.raises(NothingToDoError, match="has begun already"):
            machine.tick(setting, "2013-03-01", monthly.month("2013-03"))


STATES = ("claimed", "snapshotted", "drift_scored", "tuning", "candidate", "evaluated", "blessed", "promoting")


@pytest.mark.slow
def test_kills_in_every_state(shop: Path, home: Home) -> None:
    """A process that is killed in each state in turn: the end is that of one that was left alone."""
    policy = monthly.write(shop)
    tick(policy, "2013-02")
    shutil.rmtree(shop / ".caviar/storage/sweeps", ignore_errors=True)  # so that the sweeps, too, are killed
    for state in (*STATES, "alias", "promoted"):
        assert ticked(policy, home, "2013-03-15", die=state).returncode == -signal.SIGKILL, state
        assert answers(shop), state
    last = ticked(policy, home, "2013-03-15")
    assert last.returncode == 0, last.stderr
    with opened(policy) as setting:
        found = setting.periods.get("shop", "2013-03-01")
        assert found is not None
        trail = [row["after"] for row in setting.periods.audit("shop") if row["period"] == "2013-03-01"]
    assert trail == ["due", *STATES, "promoted"]
    client = MlflowClient(uri(shop))
    versions = client.search_model_versions("name = 'shop'")
    mine = [version for version in versions if version.tags["caviar.period"] == "2013-03-01"]
    to = found.data["promotion"]["to"]
    assert len(mine) == len({version.tags["caviar.sweep"] for version in mine})
    assert aliases(shop)["champion"] == to
    assert aliases(shop)["previous"] == "1"
    [experiment] = client.search_experiments(filter_string="name = 'shop/re-tuning'")
    assert len(client.search_runs([experiment.experiment_id])) == 1  # of the first period none was shown: machine only


def ticked(policy: Path, home: Home, now: str, die: str = "") -> subprocess.CompletedProcess[str]:
    """`caviar retune tick` in a process of its own, which kills itself when the period comes to the state `die`."""
    return subprocess.run(
        [sys.executable, str(TICK), die, "retune", "tick", str(policy), "--now", now, "--json"],
        check=False,
        cwd=home.folder,
        env=home.env | {"CAVIAR_HOME": os.environ["CAVIAR_HOME"], "PYTHONPATH": str(TICK.parents[1])},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a PostgreSQL server."""
    folder = tmp_path_factory.mktemp("pg") / "data"
    postgres.prepare(folder)
    process = subprocess.Popen(postgres.server(folder), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield postgres.url(folder)
    finally:
        process.terminate()
        process.wait()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_two_ticks_at_once(shop: Path, home: Home, server: str, kind: str, tmp_path: Path) -> None:
    policy = monthly.write(shop)
    url = server if kind == "postgresql" else f"sqlite:///{tmp_path}/retune.db"
    env = home.env | {"CAVIAR_HOME": os.environ["CAVIAR_HOME"], "CAVIAR_DATABASE": url}
    command = [Path(sys.executable).with_name("caviar"), "retune", "tick", str(policy), "--now", "2013-02-03"]
    both = [subprocess.Popen(command, cwd=shop, env=env, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    told = [process.communicate(timeout=120)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    periods = Periods(url)
    [found] = periods.all("shop")
    trail = [row["after"] for row in periods.audit("shop")]
    periods.close()
    assert found.state is State.PROMOTED
    assert trail.count("promoted") == trail.count("claimed") == 1
    assert len(MlflowClient(uri(shop)).search_model_versions("name = 'shop'")) == 1


def test_a_stale_fence_writes_nothing(shop: Path, tmp_path: Path) -> None:
    now, lease = datetime.now(UTC), timedelta(seconds=60)
    periods = Periods(f"sqlite:///{tmp_path}/p.db")
    mine = periods.claim("shop", now, lease, "me")
    assert isinstance(mine, Claim)
    period = periods.ensure(mine, "2013-02-01", monthly.month("2013-02"), now)
    assert isinstance(periods.claim("shop", now, lease, "you"), Held)
    yours = periods.claim("shop", now + 2 * lease, lease, "you")
    assert isinstance(yours, Claim)
    for write in (
        lambda: periods.advance(mine, period, State.CLAIMED, "", now),
        lambda: periods.renew(mine, now, lease),
        lambda: periods.release(mine),
    ):
        with pytest.raises(StaleClaimError, match="another process"):
            write()
    assert periods.advance(yours, period, State.CLAIMED, "", now).fence == yours.fence
    with pytest.raises(ValueError, match="cannot go from claimed to promoted"):
        periods.advance(yours, periods.all("shop")[0], State.PROMOTED, "", now)


def test_a_dead_owner_is_not_waited_for(tmp_path: Path) -> None:
    periods = Periods(f"sqlite:///{tmp_path}/p.db")
    alive = f"someone@{os.uname().nodename} process 1 of 0"  # process 1 lives, but has not begun then
    now = datetime.now(UTC)
    assert isinstance(periods.claim("shop", now, timedelta(days=1), alive), Claim)
    with driving(periods, "shop", lambda: now) as claim:
        assert claim.fence == 2


def test_an_alias_that_was_moved_by_hand_is_left_alone(shop: Path) -> None:
    policy = monthly.write(shop)
    tick(policy, "2013-02")
    with opened(policy) as setting:
        found = until(setting, "2013-03", State.PROMOTING)
        MlflowClient(uri(shop)).delete_registered_model_alias("shop", "champion")
        found = machine.drive(setting, found)
    assert found.state is State.INCONCLUSIVE
    assert "version 1 was champion when the period began, and no version is now" in found.reason
    assert "champion" not in aliases(shop)


def test_a_champion_that_does_not_load(shop: Path) -> None:
    policy = monthly.write(shop)
    tick(policy, "2013-02")
    client = MlflowClient(uri(shop))
    with opened(policy) as setting:
        found = until(setting, "2013-03", State.CANDIDATE)
        with broken(client.get_model_version("shop", "1").source, shop):
            found = machine.drive(setting, found)
    assert found.state is State.INCONCLUSIVE
    assert "the champion cannot be loaded" in found.reason
    assert aliases(shop)["champion"] == "1"


def test_a_challenger_that_does_not_answer_is_not_promoted(shop: Path) -> None:
    policy = monthly.write(shop)
    tick(policy, "2013-02")
    with opened(policy) as setting:
        found = until(setting, "2013-03", State.PROMOTING)
        number = promotion._version(setting, found)
        with broken(MlflowClient(uri(shop)).get_model_version("shop", number).source, shop):
            found = machine.drive(setting, found)
    assert found.state is State.ROLLED_BACK
    assert "does not answer" in found.reason
    assert aliases(shop)["champion"] == "1"
    assert answers(shop)


def test_a_registry_that_is_away_is_waited_for(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = monthly.write(shop)
    with opened(policy) as setting:
        until(setting, "2013-02", State.TUNING)
    with monkeypatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
        with pytest.raises(OSError, match="nothing answers at http"):
            tick(policy, "2013-02")
    assert tick(policy, "2013-02").state is State.PROMOTED


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda rows: rows.head(0), "data must have rows"),
        (lambda rows: rows.drop(columns="x"), "the champion needs 'x', which the data lack"),
        (lambda rows: rows.assign(x=rows.x.astype(str) + "?"), "x holds category values, and number values"),
        (lambda rows: rows.assign(kind=rows.kind.replace("late", "lost")), "knows no class 'lost'"),
        (lambda rows: rows[rows.kind != "late"], "no row is of class 'late'"),
        (lambda rows: rows.assign(y=rows.y.where(rows.index % 2 == 0)), "y is missing in 50% of the rows"),
        (lambda rows: rows[rows.time < "2013-04-25"], "the newest row may be 3 days old"),
        (lambda rows: rows.iloc[::8], "there must be 500 rows"),
    ],
    ids=["empty", "column", "kind", "new class", "class", "missing", "old", "few"],
)
def test_broken_deliveries_hold_the_period(
    shop: Path, change: Callable[[pd.DataFrame], pd.DataFrame], told: str
) -> None:
    """Nothing is trained on them; the delivery that is put right is."""
    policy = monthly.write(shop, check={"max_age": "3 days", "min_rows": 500})
    assert tick(policy, "2013-02").state is State.PROMOTED
    data = shop / "data"
    good = pd.concat([pd.read_parquet(data / "1.parquet"), pd.read_parquet(data / "2.parquet")])
    kept = shop / "kept"
    data.rename(kept)
    try:
        monthly.deliver(shop, "late", change(good[good.time >= "2013-04-01"]))
        held = tick(policy, "2013-05")
    finally:
        shutil.rmtree(data)
        kept.rename(data)
    assert held.state is State.HELD_DATA
    assert told in held.reason
    assert "tuning" not in held.data
    assert aliases(shop)["champion"] == "1"
    with opened(policy) as setting:
        assert until(setting, "2013-05", State.TUNING).state is State.TUNING


def test_a_challenger_without_a_class_is_refused(shop: Path) -> None:
    """Where the policy lets such data pass, the gate does not."""
    policy = monthly.write(shop, check={"labels": "any"})
    assert tick(policy, "2013-02").state is State.PROMOTED
    rows = pd.read_parquet(shop / "data/1.parquet")
    late = monthly.deliver(shop, "1", rows[(rows.kind != "late") | (rows.time < "2013-01-10")])
    try:
        found = tick(policy, "2013-02-15")
    finally:
        rows.to_parquet(late, index=False)
    assert found.state is State.REJECTED
    assert "late" in found.reason
    assert aliases(shop)["champion"] == "1"


def test_a_quiet_month_is_skipped_if_the_policy_says_so(shop: Path) -> None:
    policy = monthly.write(shop, drift={"tune": "on_drift", "max_loss_increase": 10.0})
    first = tick(policy, "2013-04")
    assert first.state is State.PROMOTED
    quiet = tick(policy, "2013-05")
    assert quiet.state is State.SKIPPED, quiet.reason
    assert "the champion's loss is" in quiet.reason


def until(setting: Setting, month: str, state: State) -> Period:
    """The period at the moment at which it comes to `state`."""
    found = setting.periods.ensure(setting.claim, f"{month}-01", monthly.month(month), setting.clock())
    if found.state is State.HELD_DATA:
        found = setting.periods.advance(setting.claim, found, State.CLAIMED, "", setting.clock())
    while found.state is not state:
        assert found.state not in (State.REJECTED, State.INCONCLUSIVE, State.SKIPPED), found.reason
        found = machine._next(setting, found)
    return found


@contextmanager
def broken(source: str, shop: Path) -> Iterator[None]:
    """The model's description is no JSON for the time of the block."""
    where = Path(MlflowClient(uri(shop)).get_logged_model(source.removeprefix("models:/")).artifact_location[7:])
    [file] = where.rglob("artifacts/model/model.json")
    good = file.read_bytes()
    file.write_bytes(b"{")
    try:
        yield
    finally:
        file.write_bytes(good)
