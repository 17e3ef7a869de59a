"""What the commands of re-tuning say before anything is tuned: of wrong policies, and of periods that are not there."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests import monthly
from tuner.cli import main
from tuner.cli.database import DATABASE
from tuner.retune.loading import load_policy
from tuner.retune.policy import Policy, json_schema

Run = Callable[..., str]
ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples/flights/policy.yaml"


@pytest.fixture(autouse=True)
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a policy in it, and without data: nothing here reads any."""
    monkeypatch.chdir(tmp_path)
    for name in ("CAVIAR_HOME", "CAVIAR_STORAGE", "MLFLOW_TRACKING_URI", DATABASE):
        monkeypatch.delenv(name, raising=False)
    monthly.write(tmp_path)
    return tmp_path


@pytest.fixture
def caviar(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command in this process; what it prints where people look: stderr for errors, else stdout."""

    def call(*arguments: str, code: int = 0) -> str:
        monkeypatch.setattr(sys, "argv", ["caviar", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        told = capsys.readouterr()
        assert (ended.value.code or 0) == code, told.err
        assert "Traceback" not in told.err
        assert not (told.out and told.err) or "--json" in arguments, "an error is told on stderr only"
        return told.out or told.err

    return call


WRONG: list[tuple[dict[str, Any], list[str]]] = [
    ({"schedul": {}}, ["schedul: unknown key", "'schedule'"]),
    ({"model": "a/b"}, ["model: 'a/b'", "none of /"]),
    ({"spec": "nowhere.yaml"}, ["nowhere.yaml", "cannot be read"]),
    ({"schedule": {"cron": "0 0 1 *"}}, ["schedule.cron: a schedule has 5 fields", "has 4"]),
    ({"schedule": {"cron": "0 0 31 2 *"}}, ["schedule.cron", "never comes"]),
    ({"schedule": {"timezone": "Berlin"}}, ["schedule.timezone: there is no time zone", "Europe/Berlin"]),
    ({"schedule": {"cron": "x", "timezone": "x"}}, ["2 problems", "schedule.cron", "schedule.timezone"]),
    ({"window": {"last": "30 dayz"}}, ["window.last", "'30 dayz'", "90 days"]),
    ({"window": {"last": "10 days"}}, ["with the policy's window: validation and holdout take all"]),
    ({"holdout": "8 days"}, ["holdout: must be a mapping"]),
    ({"holdout": {"fraction": 0.2, "by": "random"}}, ["data.holdout", "newest rows", "leave `by` out"]),
    ({"check": {"max_age": "soon"}}, ["check.max_age", "'soon'"]),
    ({"gate": {"min_dleta": 0.1}}, ["gate.min_dleta: unknown key", "'min_delta'"]),
    ({"gate": {"confidence": 0.5}}, ["gate.confidence", "above 0.5"]),
    ({"gate": {"min_delta": float("inf")}}, ["gate.min_delta", "finite"]),
    ({"approval": "me"}, ["approval", "auto, manual", "'me'"]),
    ({"notify": []}, ["notify", "at least one"]),
    ({"run": {"address": "http://head:8265"}}, ["run.storage", "needed with run.address"]),
    ({"run": {"address": "http://head:8265", "storage": "s3://a:secret@b/c"}}, ["run.storage", "password"]),
]


@pytest.mark.parametrize(("change", "words"), WRONG, ids=[json.dumps(change) for change, _ in WRONG])
def test_a_wrong_policy_is_explained(shop: Path, change: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(ValueError, match=r"\w") as told:
        load_policy(monthly.write(shop, **change))
    for word in words:
        assert word in str(told.value)
    assert "--set" not in str(told.value), "nobody has written one"


def test_a_spec_that_cannot_be_tuned_by_the_month(shop: Path) -> None:
    policy, spec = monthly.write(shop), yaml.safe_load((shop / "spec.yaml").read_text())
    spec["data"] |= {"features": ["x", "y"]}
    (shop / "spec.yaml").write_text(yaml.safe_dump(spec))
    load_policy(policy, ["gate.slices=[x, kind]"])
    with pytest.raises(ValueError, match=r"gate.slices names \['shop'\], which data.features of spec.yaml leaves out"):
        load_policy(policy, ["gate.slices=[x, shop]"])
    del spec["data"]["time"], spec["data"]["validation"]
    (shop / "spec.yaml").write_text(yaml.safe_dump(spec))
    with pytest.raises(ValueError, match=r"with the policy's window: needs data.time"):
        load_policy(policy)
    with pytest.raises(ValueError, match=r"data\.time must name the column"):
        load_policy(policy, ["window=null", "holdout=null"])


def test_before_the_first_period(caviar: Run) -> None:
    assert "shop has no period yet" in caviar("retune", "history", monthly.POLICY)
    assert caviar("retune", "history", monthly.POLICY, "--json") == '{"periods": []}\n'
    assert caviar("retune", "status", monthly.POLICY).startswith("period   none of shop yet\nnext     20")
    for command in ("promote", "decline", "rollback"):
        told = caviar("retune", command, monthly.POLICY, code=2)
        assert told == "shop has no period yet: caviar retune run policy.yaml\n"


def test_periods_that_a_cluster_has_are_not_begun_anew(
    shop: Path, caviar: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who lacks only the database's name is told so; a database that is named is believed."""
    monthly.write(shop, run={"address": "http://head:8265", "storage": "s3://a/b"})
    commands = [["retune", name] for name in ("status", "history", "promote", "decline", "rollback")]
    for command in (*commands, ["report", "--retune"]):
        told = caviar(*command, monthly.POLICY, code=2)
        assert told == (
            "no period of shop is known here, but its sweeps run at http://head:8265, and CAVIAR_DATABASE is not set: "
            "set it to the database of whoever ticks this policy, or type this where that happens\n"
        )
    monkeypatch.setenv(DATABASE, f"sqlite:///{shop / 'periods.db'}")
    assert caviar("retune", "status", monthly.POLICY).startswith("period   none of shop yet")
    assert "caviar retune run" in caviar("retune", "promote", monthly.POLICY, code=2)


@pytest.mark.parametrize("now", ["tomorrow", "2013-13-01", "", "2013-02-30T10:00"])
def test_a_time_that_is_none(caviar: Run, now: str) -> None:
    for command in ("run", "tick"):
        assert f"--now must be an ISO date or time, such as 2013-04-01 or 2013-04-01T06:00, not {now!r}" in caviar(
            "retune", command, monthly.POLICY, "--now", now, code=2
        )


@pytest.mark.parametrize(
    ("url", "code", "words"),
    [
        ("foo", 2, f"{DATABASE} must be the URL of an SQLite or PostgreSQL database"),
        ("nosuch://host/name", 2, "Can't load plugin"),
        ("sqlite:////nowhere/at/all.db", 3, "the database of periods does not answer: unable to open"),
        ("postgresql+psycopg2://me:secret@127.0.0.1:1/name", 3, "Connection refused"),
    ],
)
def test_a_database_that_is_away(caviar: Run, monkeypatch: pytest.MonkeyPatch, url: str, code: int, words: str) -> None:
    monkeypatch.setenv(DATABASE, url)
    for command in ("status", "tick"):
        told = caviar("retune", command, monthly.POLICY, code=code)
        assert words in told
        assert "secret" not in told


def test_the_schema_of_policies(shop: Path, caviar: Run) -> None:
    schema = json_schema()
    assert json.loads(caviar("schema", "--policy")) == schema
    for good in (monthly.write(shop, notify="json://host"), EXAMPLE):
        jsonschema.validate(yaml.safe_load(good.read_text()), schema)
    for wrong, _ in WRONG[:2]:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(yaml.safe_load(monthly.write(shop, **wrong).read_text()), schema)


def test_a_slice_that_is_no_column_is_told_before_the_sweep(shop: Path, caviar: Run) -> None:
    """And every line but once."""
    monthly.deliver(shop, "1", monthly.table("2013-01-01", "2013-02-01"))
    monthly.write(shop, gate={"slices": "shpo"})
    told = caviar("retune", "run", monthly.POLICY, "--now", "2013-02-01", code=4).splitlines()
    reason = "2013-02-01: held data: gate.slices names 'shpo', which the data lack; did you mean 'shop'?"
    assert told[-1] == f"period {reason}"
    assert "".join(told).count("shpo") == 1
    assert caviar("retune", "status", monthly.POLICY).splitlines()[0] == f"period   {reason}"
    late = caviar("retune", "run", monthly.POLICY, "--now", "2013-01-01", code=2)
    assert late.count("\n") == 1
    assert "2013-02-01 has begun already" in late
    assert "an empty CAVIAR_HOME" in late


def test_the_policy_of_the_readme_loads(shop: Path) -> None:
    shown = re.findall(r"^```yaml\n(model: .*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    (shop / "readme.yaml").write_text(*shown)
    shutil.copy(EXAMPLE.parent / "monthly.yaml", shop)
    policy, spec = load_policy(shop / "readme.yaml")
    assert set(Policy.model_fields) == policy.model_fields_set, "it shows every section"
    assert spec.data.holdout.last == "14 days"
