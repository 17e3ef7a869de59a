"""Snapshots: the right rows in the right part, nothing learned from unseen rows, one digest for one content."""

from __future__ import annotations

import json
import multiprocessing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import DataError
from tuner.data.preparation import label
from tuner.data.request import Request
from tuner.data.snapshot import Snapshot, build
from tuner.data.splits import PARTS, _stratified, cut, three_ways
from tuner.engine import build as engine
from tuner.spec import from_mapping

HOURS = pd.date_range("2013-03-01", periods=24 * 30, freq="h", tz="UTC")  # 30 days, the newest at 23:00
DAY = timedelta(days=1)


def rows(seed: int = 0, times: pd.DatetimeIndex = HOURS) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    number = rng.normal(5, 2, len(times))
    return pd.DataFrame(
        {
            "number": np.where(rng.random(len(times)) < 0.05, np.nan, number),
            "hour": times.hour,
            "colour": rng.choice(["red", "green", "blue"], len(times)),
            "kind": np.where(number > 5.5, "high", np.where(number > 4, "mid", "low")),
            "time": times,
        }
    )


def saved(frame: pd.DataFrame, tmp_path: Path) -> str:
    frame.to_parquet(tmp_path / "rows.parquet", index=False)
    return str(tmp_path / "rows.parquet")


def made(frame: pd.DataFrame, tmp_path: Path, **changes: Any) -> Snapshot:
    asked: dict[str, Any] = {"target": "kind", "time": "time", "validation": 2 * DAY, "holdout": 4 * DAY}
    return build(Request(source=saved(frame, tmp_path), **{**asked, **changes}), tmp_path / "snapshots")


def test_arrays_stand_in_time_order_train_validation_holdout(tmp_path: Path) -> None:
    frame = rows()
    snapshot = made(frame.sample(frac=1, random_state=3), tmp_path)
    assert snapshot.splits == {
        "train": slice(0, 24 * 24),
        "validation": slice(24 * 24, 24 * 26),
        "holdout": slice(24 * 26, 24 * 30),
    }
    assert snapshot.description["ranges"]["validation"] == ["2013-03-25T00:00:00Z", "2013-03-26T23:00:00Z"]
    assert snapshot.classes == ("high", "low", "mid")
    assert [snapshot.classes[code] for code in snapshot.y] == frame["kind"].tolist()
    assert snapshot.X.tobytes() == snapshot.encoder.transform(frame).tobytes()
    assert (snapshot.X.dtype.name, snapshot.y.dtype.name) == ("float32", "int64")


def test_spans_count_back_from_the_newest_row_or_from_now(tmp_path: Path) -> None:
    snapshot = made(rows(), tmp_path, window=10 * DAY, validation=DAY, holdout=timedelta(hours=5))
    assert snapshot.description["rows"] == {"train": 240 - 24 - 5, "validation": 24, "holdout": 5}
    assert snapshot.description["ranges"]["train"][0] == "2013-03-21T00:00:00Z"
    now = datetime(2013, 3, 20, tzinfo=UTC)
    snapshot = made(rows(), tmp_path, window=10 * DAY, validation=DAY, holdout=timedelta(hours=5), now=now)
    assert snapshot.description["ranges"]["train"][0] == "2013-03-10T00:00:00Z"
    assert snapshot.description["ranges"]["validation"] == ["2013-03-18T19:00:00Z", "2013-03-19T18:00:00Z"]
    assert snapshot.description["ranges"]["holdout"] == ["2013-03-19T19:00:00Z", "2013-03-19T23:00:00Z"]


def test_now_may_come_in_any_zone_and_drops_the_row_at_itself(tmp_path: Path) -> None:
    now = datetime(2013, 3, 20, 9, tzinfo=timezone(timedelta(hours=9)))
    assert made(rows(), tmp_path, now=now).description["ranges"]["holdout"][1] == "2013-03-19T23:00:00Z"


def test_the_spec_says_where_the_rows_end(tmp_path: Path) -> None:
    data: dict[str, Any] = {"source": saved(rows(), tmp_path), "target": "kind", "time": "time"}
    data |= {"window": {"last": "10 days"}, "validation": {"last": "1 day"}, "holdout": {"last": "5 hours"}}
    train = {"train": {"batch_size": 32}}
    for before, newest in (("2013-03-20T09:00+09:00", "2013-03-19T23:00:00Z"), ("2013-03-20", "2013-03-19T23:00:00Z")):
        spec = from_mapping({"name": "a", "data": {**data, "before": before}, **train})
        about = engine.snapshot(spec, tmp_path / "snapshots").description
        assert about["rows"] == {"train": 240 - 24 - 5, "validation": 24, "holdout": 5}
        assert about["ranges"]["train"][0] == "2013-03-10T00:00:00Z"
        assert about["ranges"]["holdout"][1] == newest
    assert engine.request(from_mapping({"name": "a", "data": data, **train})).now is None


TIMES = st.lists(st.integers(0, 40), min_size=12, max_size=80).map(
    lambda hours: np.sort(np.array(hours)).astype("datetime64[h]").astype("datetime64[us]")
)
SIZES = st.one_of(st.floats(0.05, 0.4), st.integers(1, 15).map(lambda hours: timedelta(hours=hours)))


@settings(max_examples=200, deadline=None)
@given(times=TIMES, validation=SIZES, holdout=SIZES)
def test_a_split_by_time_parts_no_equal_times_and_takes_the_newest(
    times: np.ndarray[Any, Any], validation: float | timedelta, holdout: float | timedelta
) -> None:
    try:
        split = three_ways(
            np.zeros(len(times), dtype=np.int64), times, validation, holdout, validation_by="time", holdout_by="time"
        )
    except DataError as error:
        assert "every part must have rows" in str(error)  # noqa: PT017, an empty part is the only reason
        return
    assert np.concatenate(list(split.parts.values())).tolist() == list(range(len(times)))
    for older, newer in ((split.train, split.validation), (split.validation, split.holdout)):
        assert times[older].max() < times[newer].min()
    if isinstance(holdout, timedelta):
        assert (times[split.holdout] > times[-1] - np.timedelta64(holdout)).all()
        assert (times[split.validation] <= times[-1] - np.timedelta64(holdout)).all()
        if isinstance(validation, timedelta):
            assert (times[split.train] <= times[-1] - np.timedelta64(holdout + validation)).all()
    else:
        wanted = round(holdout * len(times))
        assert (times[split.holdout] > times[split.holdout].min()).sum() < wanted <= len(split.holdout)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**63), counts=st.lists(st.integers(20, 60), min_size=2, max_size=4))
def test_a_random_split_is_stratified_and_the_same_for_the_same_seed(seed: int, counts: list[int]) -> None:
    y = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
    one, two = (three_ways(y, None, 0.2, 0.3, validation_by="random", holdout_by="random", seed=seed) for _ in range(2))
    assert sorted(np.concatenate(list(one.parts.values()))) == list(range(len(y)))
    for part, share in (("train", 0.5), ("validation", 0.2), ("holdout", 0.3)):
        assert one.parts[part].tolist() == two.parts[part].tolist()
        assert np.abs(np.bincount(y[one.parts[part]]) - share * np.array(counts)).max() <= 2


def test_labels_stay_with_their_rows_in_a_random_split(tmp_path: Path) -> None:
    X = np.random.default_rng(0).permutation(300).reshape(300, 1)
    np.savez(tmp_path / "t.npz", X=X, y=X[:, 0] % 3)
    snapshot = build(Request(source=f"{tmp_path}/t.npz", validation=0.2, holdout=0.2), tmp_path / "snapshots")
    column = snapshot.encoder.columns[0]
    raw = np.rint(snapshot.X[:, 0] * column.std + column.mean).astype(int)
    assert sorted(raw) == list(range(300))
    assert (raw % 3 == snapshot.y).all()
    assert snapshot.description["ranges"] == {"train": None, "validation": None, "holdout": None}


def test_another_seed_draws_other_rows(tmp_path: Path) -> None:
    asked = {"validation": 0.2, "holdout": 0.2, "validation_by": "random", "holdout_by": "random"}
    one, two = (made(rows(), tmp_path, **asked, seed=seed) for seed in (0, 1))
    assert one.digest != two.digest
    assert one.description["rows"] == two.description["rows"]


def test_validation_may_be_random_before_a_holdout_by_time(tmp_path: Path) -> None:
    snapshot = made(rows(), tmp_path, validation=0.2, validation_by="random")
    ranges = snapshot.description["ranges"]
    assert ranges["holdout"][0] == "2013-03-27T00:00:00Z"
    assert ranges["validation"][1] < ranges["holdout"][0]
    assert ranges["validation"][0] < ranges["train"][1]
    assert snapshot.description["rows"]["validation"] == 144  # a fifth of all rows, not of those left
    assert "the split is random although there is a time column" in snapshot.description["warnings"][0]


def test_a_class_too_rare_to_be_drawn_from_stays_in_training(tmp_path: Path) -> None:
    frame = rows()
    frame.loc[[3, 9], "kind"] = "odd"
    snapshot = made(frame, tmp_path, time=None, features=("number",), validation=0.2, holdout=0.2)
    odd = snapshot.classes.index("odd")
    assert [counts[odd] for counts in snapshot.description["class_counts"].values()] == [2, 0, 0]
    assert "2 rows of classes with fewer than 3 rows" in snapshot.description["warnings"][0]


@pytest.mark.parametrize("part", ["validation", "holdout"])
def test_nothing_is_learned_from_rows_after_training(part: str, tmp_path: Path) -> None:
    frame, other = rows(), rows()
    base = made(frame, tmp_path)
    later = np.arange(len(frame))[base.splits[part]]
    other.loc[later, "number"] = 1e6
    other.loc[later, "hour"] = np.nan  # missing there alone: no indicator may come of it
    other.loc[later, "colour"] = "violet"
    changed = made(other, tmp_path)
    assert changed.encoder == base.encoder
    assert changed.X[base.splits["train"]].tobytes() == base.X[base.splits["train"]].tobytes()
    assert changed.X[changed.splits[part]].tobytes() != base.X[base.splits[part]].tobytes()


def test_equal_content_has_one_digest_wherever_it_came_from(tmp_path: Path) -> None:
    frame = rows().assign(time=HOURS.strftime("%Y-%m-%dT%H:%M:%SZ"))
    first = made(frame, tmp_path)
    frame.to_csv(tmp_path / "rows.csv", index=False)
    asked = Request(target="kind", source=f"{tmp_path}/rows.csv", time="time", validation=2 * DAY, holdout=4 * DAY)
    before = (first.directory / "X.npy").stat().st_mtime_ns
    second = build(asked, tmp_path / "snapshots")
    assert second.directory == first.directory
    assert (first.directory / "X.npy").stat().st_mtime_ns == before  # kept, not written again
    assert "rows.csv" in second.description["source"]["data"]
    assert len(first.digest) == 32
    assert [path.name for path in (tmp_path / "snapshots").iterdir()] == [first.digest]


def flip(frame: pd.DataFrame, column: str, value: str | float) -> pd.DataFrame:
    frame.loc[500, column] = value
    return frame


@pytest.mark.parametrize(
    ("frame", "changes"),
    [
        (flip(rows(), "number", 5.125), {}),
        (flip(rows(), "kind", "low" if rows().loc[500, "kind"] != "low" else "mid"), {}),
        (rows().rename(columns={"number": "amount"}), {}),
        (rows().replace({"kind": {"mid": "middle"}}), {}),
        (rows().assign(time=HOURS + DAY), {}),
        (rows(), {"validation": 3 * DAY}),
    ],
)
def test_other_content_has_another_digest(frame: pd.DataFrame, changes: dict[str, Any], tmp_path: Path) -> None:
    base = made(rows(), tmp_path)
    assert made(frame, tmp_path, **changes).digest != base.digest


def test_a_snapshot_opens_as_built_and_its_arrays_are_mapped_once_and_read_only(tmp_path: Path) -> None:
    built = made(rows(), tmp_path)
    opened = Snapshot.open(built.directory)
    built.verify()
    assert opened == built
    assert isinstance(opened.X, np.memmap)
    assert opened.X is Snapshot.open(str(built.directory)).X
    assert opened.y is built.y
    with pytest.raises(ValueError, match="read-only"):
        opened.X[0, 0] = 1.0
    assert json.loads(json.dumps(opened.description)) == opened.description


def test_the_sample_holds_raw_rows_that_encode_like_their_arrays(tmp_path: Path) -> None:
    snapshot = made(rows(), tmp_path)
    sample = snapshot.sample()
    assert list(sample) == ["number", "hour", "colour"]
    assert snapshot.encoder.transform(sample).tobytes() == snapshot.X[:5].tobytes()
    timed = made(rows(), tmp_path, features=("time", "colour"))
    assert np.allclose(timed.encoder.transform(timed.sample()), timed.X[:5])


def _build(arguments: tuple[Request, Path]) -> tuple[str, float]:
    snapshot = build(*arguments)
    return snapshot.digest, float(snapshot.X.sum())


def test_processes_that_build_at_once_all_succeed(tmp_path: Path) -> None:
    asked = Request(target="kind", source=saved(rows(), tmp_path), time="time", validation=2 * DAY, holdout=4 * DAY)
    with multiprocessing.get_context("spawn").Pool(4) as pool:  # fork would copy the locks of other threads, held
        found = pool.map(_build, [(asked, tmp_path / "snapshots")] * 8, chunksize=1)
    assert len(set(found)) == 1
    assert [path.name for path in (tmp_path / "snapshots").iterdir()] == [found[0][0]]


@pytest.mark.parametrize("harm", ["no X", "torn X", "changed y", "no description", "torn description", "other version"])
def test_a_harmed_snapshot_is_noticed_and_built_again(harm: str, tmp_path: Path) -> None:
    snapshot = made(rows(), tmp_path)
    name = {"X": "X.npy", "y": "y.npy"}.get(harm.split()[1], "snapshot.json")
    path, whole = snapshot.directory / name, (snapshot.directory / name).read_bytes()
    path.unlink()
    if harm.startswith("torn"):
        path.write_bytes(whole[: len(whole) // 2])
    elif harm == "changed y":
        path.write_bytes(whole[:-8] + bytes(8) if any(whole[-8:]) else whole[:-8] + b"\1" + bytes(7))
    elif harm == "other version":
        path.write_bytes(whole.replace(b'"version": 1', b'"version": 99'))
    with pytest.raises(DataError, match="again"):
        fresh(snapshot.directory).verify()
    mended = made(rows(), tmp_path)
    assert mended.digest == snapshot.digest
    mended.verify()
    assert [path.name for path in (tmp_path / "snapshots").iterdir()] == [snapshot.digest]


def fresh(directory: Path) -> Snapshot:
    """As another process would open it: this one has mapped the files before they were harmed."""
    from tuner.data import snapshot

    snapshot._map.cache_clear()
    return Snapshot.open(directory)


def test_no_password_is_stored(tmp_path: Path) -> None:
    import sqlite3

    with sqlite3.connect(tmp_path / "t.db") as connection:
        rows().assign(time=HOURS.strftime("%Y-%m-%dT%H:%M:%SZ")).to_sql("rows", connection)
    url = f"sqlite:///{tmp_path}/t.db?token=hushhush&uri=true"
    url = url.replace("sqlite:///", "sqlite:///file:")
    asked = Request("kind", sql_url=url, sql_query="SELECT * FROM rows", features=("number",), time="time", now=None)
    snapshot = build(asked, tmp_path / "snapshots")
    stored = "".join(path.read_text() for path in snapshot.directory.glob("*.json"))
    assert "hushhush" not in stored
    assert snapshot.description["source"]["query"] == "SELECT * FROM rows"


def test_data_that_cannot_be_used_is_refused_with_rule_value_and_next_step(tmp_path: Path) -> None:
    whole = rows()
    late = whole.assign(kind=np.where(whole.index > 700, "new", whole["kind"]))
    blank = whole.assign(kind=whole["kind"].where(whole.index > 2))
    early = whole.assign(colour=whole["colour"].where(whole.index > 650))
    infinite = whole.assign(kind=np.where(whole.index < 4, np.inf, whole["hour"] % 2))
    cases: list[tuple[pd.DataFrame, dict[str, Any], list[str]]] = [
        (whole.assign(kind="one"), {}, ["two classes or more", "only 'one'"]),
        (late, {}, ["must occur in the training rows", "'new' (19 rows)", "widen the window"]),
        (blank, {}, ["must have a label", "'kind' has none in 3 rows"]),
        (infinite, {}, ["must be finite", "'kind' is not in 4 rows"]),
        (whole.assign(kind=whole["number"].fillna(0.5)), {}, ["must hold classes", "cut the numbers into classes"]),
        (whole.assign(kind=HOURS), {}, ["holds times"]),
        (early, {}, ["'colour' has none", "training rows"]),
        (whole, {"min_rows": 577}, ["largest train.batch_size (577)", "has 576", "--set train.batch_size=32"]),
        (whole, {"min_rows": 256, "window": 7 * DAY, "validation": 4 * DAY, "holdout": DAY * 2.5}, ["batch_size=8"]),
        (whole, {"validation": 20 * DAY, "holdout": 10 * DAY}, ["train 0", "holdout 240"]),
        (whole, {"window": DAY}, ["train 0, validation 0, holdout 24"]),
        (whole, {"now": datetime(2012, 1, 1)}, ["must hold rows", "2012-01-01"]),
        (whole, {"now": datetime(2014, 1, 1), "window": DAY}, ["must hold rows", "1 day"]),
        (whole, {"now": datetime(2014, 1, 1)}, ["holdout 0", "newest row is of 2013-03-30T23:00:00"]),
        (whole, {"time": None, "features": ("hour",)}, ["needs a split by time", "fraction"]),
        (whole, {"time": None, "window": DAY}, ["a window needs a time column"]),
        (whole, {"time": None, "validation_by": "time", "holdout_by": "time"}, ["needs a time column"]),
        (whole, {"holdout": 1.5}, ["between 0 and 1", "1.5"]),
        (whole.head(4), {"time": None, "validation": 0.2, "holdout": 0.2}, ["too few"]),
    ]
    for frame, changes, told in cases:
        with pytest.raises(DataError) as caught:
            made(frame, tmp_path, **changes)
        for words in told:
            assert words in str(caught.value), changes
    assert not (tmp_path / "snapshots").exists()  # nothing was started


def test_a_folder_that_cannot_be_written_to_is_told(tmp_path: Path) -> None:
    (tmp_path / "snapshots").write_text("a file")
    with pytest.raises(DataError, match="needs a folder to be written in"):
        made(rows(), tmp_path)


def test_classes_without_rows_to_be_compared_on_are_told(tmp_path: Path) -> None:
    frame = rows()
    early = frame["time"] < HOURS[-1] - 4 * DAY
    frame["kind"] = np.where(early, frame["kind"], "mid")
    assert made(frame, tmp_path).description["warnings"] == [
        "no rows in holdout of 2 classes, whose errors go unseen there: 'high', 'low'"
    ]
    frame["kind"] = np.where(
        early & (frame["time"] > HOURS[-1] - 6 * DAY) & (frame["kind"] == "low"), "mid", rows()["kind"]
    )
    assert made(frame, tmp_path).description["warnings"] == [
        "no rows in validation of 1 class, whose errors go unseen there: 'low'"
    ]


def test_columns_that_teach_nothing_are_told(tmp_path: Path) -> None:
    frame = rows().assign(flat=1.0, ident=[f"id{place}" for place in range(len(HOURS))])
    warnings = made(frame, tmp_path).description["warnings"]
    assert any("'ident'" in text and "100%" in text for text in warnings)
    assert "constant in the training rows, so nothing is learned from 2 features: 'flat', 'ident'" in warnings
    (one,) = made(frame.drop(columns="ident"), tmp_path).description["warnings"]
    assert one == "constant in the training rows, so nothing is learned from 1 feature: 'flat'"


@pytest.mark.parametrize(
    ("labels", "classes", "codes"),
    [
        ([10, 9, 10, 2], ("2", "9", "10"), [2, 1, 2, 0]),
        ([1.0, 0.0, 1.0], ("0", "1"), [1, 0, 1]),
        (["b", "a"], ("a", "b"), [1, 0]),
        ([True, False], ("False", "True"), [1, 0]),
        (pd.Series(["x", "y"], dtype="category"), ("x", "y"), [0, 1]),
        (pd.Series([3, 1], dtype="Int64"), ("1", "3"), [1, 0]),
    ],
)
def test_classes_are_sorted_by_value(labels: list[Any], classes: tuple[str, ...], codes: list[int]) -> None:
    y, found = label(pd.Series(labels, name="y"))
    assert (found, y.tolist()) == (classes, codes)


@settings(max_examples=50, deadline=None)
@given(hours=st.lists(st.integers(0, 99), min_size=1, max_size=30), span=st.integers(1, 120))
def test_the_window_is_half_open(hours: list[int], span: int) -> None:
    frame = pd.DataFrame({"t": np.array(hours).astype("datetime64[h]").astype("datetime64[us]"), "hour": hours})
    kept = cut(frame, "t", timedelta(hours=span), None)["hour"].tolist()
    assert kept == sorted(hour for hour in hours if hour > max(hours) - span)
    now = datetime(1970, 1, 3)  # hour 48
    wanted = sorted(hour for hour in hours if 48 - span <= hour < 48)
    if wanted:
        assert cut(frame, "t", timedelta(hours=span), now)["hour"].tolist() == wanted
    else:
        with pytest.raises(DataError, match="must hold rows"):
            cut(frame, "t", timedelta(hours=span), now)


def test_parts_are_named_in_the_order_of_the_rows(tmp_path: Path) -> None:
    snapshot = made(rows(), tmp_path)
    assert tuple(snapshot.splits) == PARTS
    assert snapshot.splits["holdout"].stop == len(snapshot.X) == len(snapshot.y)


@pytest.mark.parametrize("number", [10, 137, 500, 990])
def test_a_drawn_part_has_of_each_class_its_share(number: int) -> None:
    labels = np.random.default_rng(1).choice(4, size=1000, p=[0.7, 0.2, 0.08, 0.02])
    drawn = _stratified(labels, number, np.random.default_rng(5))
    assert drawn.sum() == number
    assert np.abs(np.bincount(labels[drawn], minlength=4) - np.bincount(labels) * number / 1000).max() < 1
    again = _stratified(labels, number, np.random.default_rng(5))
    other = _stratified(labels, number, np.random.default_rng(6))
    assert np.array_equal(drawn, again)
    assert not np.array_equal(drawn, other)
    assert 0.3 < np.flatnonzero(drawn).mean() / 1000 < 0.7, "drawn from everywhere"
