"""Drift: identical data is left alone at every size, and what has shifted is found and named."""

from __future__ import annotations

import itertools
import json
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy import stats

from models.errors import DataError
from tuner.data.drift import Drift, score
from tuner.data.two_samples import Apart, levels_apart, numbers_apart, ordered_apart

FEATURES = {
    "temp": "number",
    "precip": "number",
    "gust": "number",
    "weekend": "boolean",
    "carrier": "category",
    "dest": "category",
    "time": "datetime",
}


def flights(rows: int, random: np.random.Generator) -> pd.DataFrame:
    """Rows that are drawn alike: ties, missing values, rare levels, skew; nothing shifts but the time."""
    gust = random.exponential(10, rows).round(1)
    gust[random.random(rows) < 0.2] = np.nan
    return pd.DataFrame(
        {
            "temp": random.normal(10, 8, rows),
            "precip": random.poisson(0.2, rows) / 4,  # zero in 8 of 10 rows
            "gust": gust,
            "weekend": random.random(rows) < 0.28,
            "carrier": random.choice(["UA", "B6", "EV", "HA"], rows, p=[0.6, 0.3, 0.09, 0.01]),
            "dest": random.zipf(1.6, rows).clip(max=300).astype(str),
            "time": pd.Timestamp("2013-01-01") + pd.to_timedelta(random.integers(0, 10**6, rows), unit="s"),
            "delay": random.choice(["none", "short", "long"], rows, p=[0.7, 0.2, 0.1]),
        }
    )


def compared(reference: pd.DataFrame, fresh: pd.DataFrame, features: dict[str, str] | None = None) -> Drift:
    return score(reference, fresh, features=features or FEATURES, target="delay")


def at_most(share: float, repetitions: int) -> int:
    """What a true share of at most `share` exceeds in 1 of 10,000 such tests."""
    return int(stats.binom.ppf(0.9999, repetitions, share))


@pytest.mark.parametrize(("rows", "repetitions"), [(100, 40), (1_000, 20), (10_000, 10), (100_000, 8)])
def test_identical_data_is_left_alone(rows: int, repetitions: int) -> None:
    random = np.random.default_rng(rows)
    reports = [compared(flights(rows, random), flights(rows, random)) for _ in range(repetitions)]
    flagged = [report.reason for report in reports if report.drifted]
    assert len(flagged) <= at_most(0.05, repetitions), flagged
    # the floor leaves nothing by chance where rows are many
    assert not flagged or rows < 10_000, flagged
    classifier = sum((report.p or 0.0) <= 0.1 for report in reports)
    assert classifier <= at_most(0.1, repetitions)


@pytest.mark.parametrize(("rows", "repetitions"), [(100, 1_000), (1_000, 300), (10_000, 100), (100_000, 30)])
@pytest.mark.parametrize("digits", [0, 6], ids=["ties", "distinct"])
def test_p_values_of_numbers_are_right(rows: int, repetitions: int, digits: int) -> None:
    random = np.random.default_rng(digits)
    draws = [random.normal(0, 2, (2, rows)).round(digits) for _ in range(repetitions)]
    assert_uniform([numbers_apart(draw[0], draw[1][: rows // 2]).p for draw in draws])


@pytest.mark.parametrize(
    ("sizes", "repetitions"),
    [((100, 100), 300), ((1_000, 100), 200), ((10_000, 10_000), 60), ((100_000, 100_000), 30)],
)
@pytest.mark.parametrize("levels", [3, 60])
def test_p_values_of_levels_are_right(sizes: tuple[int, int], repetitions: int, levels: int) -> None:
    random = np.random.default_rng(levels)
    shares = 1 / np.arange(1, levels + 1) ** 1.2  # of 60 levels among 100 rows, most are expected less than once
    draws = [[random.multinomial(size, shares / shares.sum()) for size in sizes] for _ in range(repetitions)]
    assert_uniform([levels_apart(*draw).p for draw in draws])


def assert_uniform(p: list[float]) -> None:
    """p-values come no more often than they say, and not much less often."""
    for level in (0.01, 0.05, 0.2, 0.5):
        found = sum(value <= level for value in p)
        assert found <= at_most(level, len(p)), level
        assert found >= stats.binom.ppf(0.0001, len(p), 0.7 * level), level


def deals(values: NDArray[np.int64], m: int) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """The counts of both sides in each of the ways to deal `values` with `m` to the reference."""
    size = int(values.max()) + 1
    whole = np.bincount(values, minlength=size)
    chosen = [
        np.bincount(values[list(places)], minlength=size) for places in itertools.combinations(range(len(values)), m)
    ]
    return [(counts, whole - counts) for counts in chosen]


@pytest.mark.parametrize(
    "values", [[0, 0, 0, 1, 1, 2, 2, 2, 3], [0, 0, 0, 0, 0, 0, 1, 2, 3], [0, 0, 0, 0, 1, 1, 1, 1, 1]]
)
def test_p_of_ordered_counts_is_that_of_all_deals(values: list[int]) -> None:
    found = [ordered_apart(*deal) for deal in deals(np.array(values), 4)]
    assert_as_counted(found)


def test_p_of_two_levels_is_that_of_all_deals() -> None:
    assert_as_counted([levels_apart(*deal) for deal in deals(np.array([0] * 6 + [1] * 4), 5)])


def assert_as_counted(found: list[Apart]) -> None:
    statistics = np.array([apart.statistic for apart in found])
    for apart in found:
        assert apart.p == pytest.approx((statistics >= apart.statistic - 1e-9).mean(), abs=1e-9)


@pytest.mark.parametrize("totals", [[3, 3, 2, 2, 2, 2], [2, 2, 2, 2, 2, 2, 2]])
def test_p_of_few_rows_of_many_levels_is_near_that_of_all_deals(totals: list[int]) -> None:
    """The limit's distribution would be off by up to 0.16 here."""
    chances = Counter(tuple(reference.tolist()) for reference, _ in deals(np.repeat(range(len(totals)), totals), 7))
    found = [levels_apart(np.array(deal), np.array(totals) - deal) for deal in chances]
    statistics = np.array([apart.statistic for apart in found]).round(9)
    weights = np.array(list(chances.values())) / chances.total()
    for apart, own in zip(found, statistics, strict=True):
        among = weights[statistics > own].sum() + weights[statistics == own].sum() / 2  # a smooth p passes the middle
        assert apart.p == pytest.approx(among, abs=0.06)


def test_levels_of_few_rows_count_as_one() -> None:
    assert levels_apart(np.array([1, 1, 1, 0, 0, 0]), np.array([0, 0, 0, 1, 1, 1])).p == 1.0
    together = levels_apart(np.array([600, 390, 10]), np.array([30, 20, 0]))
    apart = levels_apart(np.array([600, 390, *[1] * 10]), np.array([30, 20, *[0] * 10]))
    assert apart == together


def test_p_of_distinct_numbers_is_scipys() -> None:
    random = np.random.default_rng(3)
    for m, n in ((1, 3), (7, 5), (60, 130), (400, 400)):
        old, new = random.normal(size=m), random.normal(0.2, 1, size=n)
        exact = stats.ks_2samp(old, new, method="exact")
        found = numbers_apart(old, new)
        assert (found.statistic, found.p) == (pytest.approx(exact.statistic), pytest.approx(exact.pvalue, abs=1e-9))


@pytest.mark.parametrize("rows", [300, 100_000])
def test_a_shifted_number_is_named_first(rows: int) -> None:
    random = np.random.default_rng(0)
    fresh = flights(rows, random).assign(temp=lambda frame: frame["temp"] + 6)
    found = compared(flights(rows, random), fresh)
    assert (found.columns[0].name, found.columns[0].test) == ("temp", "kolmogorov-smirnov")
    assert [column.name for column in found.columns if column.shifted] == ["temp"]
    assert found.drifted
    assert found.auc is not None
    assert found.auc > 0.55
    assert found.auc_top == ("temp",)
    assert "1 of 7 columns shifted, most of all the feature 'temp'" in found.reason


@pytest.mark.parametrize("rows", [300, 100_000])
@pytest.mark.parametrize(
    ("column", "role", "levels", "shares"),
    [
        ("carrier", "feature", ["UA", "B6", "EV", "new"], [0.3, 0.3, 0.09, 0.31]),
        ("delay", "label", ["none", "short", "long"], [0.4, 0.5, 0.1]),
        ("weekend", "feature", [True, False], [0.6, 0.4]),
    ],
)
def test_a_shifted_share_is_named_first(
    rows: int, column: str, role: str, levels: list[str], shares: list[float]
) -> None:
    random = np.random.default_rng(1)
    fresh = flights(rows, random).assign(**{column: random.choice(levels, rows, p=shares)})
    found = compared(flights(rows, random), fresh)
    assert [(shift.name, shift.role) for shift in found.columns if shift.shifted] == [(column, role)]
    assert found.columns[0].effect == pytest.approx(0.31, abs=0.12)
    assert found.drifted
    assert found.auc_top == (() if role == "label" else (column,))  # the classifier sees features alone


@pytest.mark.parametrize("column", ["temp", "carrier"])
def test_missing_values_that_appear_are_named_first(column: str) -> None:
    random = np.random.default_rng(2)
    fresh = flights(500, random)
    fresh[column] = fresh[column].astype(object).where(random.random(500) < 0.7)
    found = compared(flights(500, random), fresh)
    first = found.columns[0]
    assert (first.name, first.test, first.shifted) == (column, "missing-share", True)
    assert first.missing == (0.0, pytest.approx(0.3, abs=0.06))
    assert first.effect == pytest.approx(first.missing[1])


def test_a_trifle_among_many_rows_is_told_but_does_not_count() -> None:
    random = np.random.default_rng(4)
    reference, fresh = flights(100_000, random), flights(100_000, random)
    found = compared(reference, fresh.assign(temp=fresh["temp"] + 0.5))
    assert found.columns[0].name == "temp"
    assert found.columns[0].q < 1e-6
    assert not found.drifted


def test_a_sure_trifle_does_not_hide_what_is_none() -> None:
    random = np.random.default_rng(5)
    reference, fresh = flights(4_000, random), flights(4_000, random)
    fresh["temp"] += 3
    fresh.loc[:240, "temp"] = np.nan
    first = compared(reference, fresh).columns[0]
    assert (first.name, first.test, first.shifted) == ("temp", "kolmogorov-smirnov", True)


def test_columns_that_shift_only_together_are_found_by_the_classifier() -> None:
    random = np.random.default_rng(6)
    reference, fresh = flights(3_000, random), flights(3_000, random)
    for frame, share in ((reference, 0.0), (fresh, 0.9)):
        frame["dew"] = share * (frame["temp"] - 10) / 8 + np.sqrt(1 - share**2) * random.normal(size=len(frame))
    found = compared(reference, fresh, {**FEATURES, "dew": "number"})
    assert not any(column.shifted for column in found.columns)
    assert found.drifted
    assert set(found.auc_top) == {"temp", "dew"}
    assert found.reason.startswith("none of 8 columns has shifted; a classifier tells fresh rows (AUC 0.")


@pytest.mark.parametrize("kind", ["number", "category", "boolean"])
@pytest.mark.parametrize("side", [0, 1])
def test_a_column_that_one_side_lacks_is_named_first(kind: str, side: int) -> None:
    random = np.random.default_rng(7)
    frames = [flights(200, random), flights(200, random)]
    frames[1 - side]["extra"] = random.integers(0, 2, 200)
    found = compared(frames[0], frames[1], {**FEATURES, "extra": kind})
    assert found.columns[0].name == "extra"
    assert found.columns[0].missing == (1.0 - side, float(side))
    assert found.auc_top == ("extra",)


def test_columns_that_tell_nothing_do_no_harm() -> None:
    random = np.random.default_rng(8)
    frames = [flights(200, random), flights(200, random)]
    for place, frame in enumerate(frames):
        frame["constant"], frame["nothing"], frame["level"] = 3.0, np.nan, "A"
        frame["id"] = [f"{place}-{row}" for row in range(200)]
        frame["huge"] = random.choice([1e308, -1e308, np.inf], 200)
    kinds = {"constant": "number", "nothing": "number", "level": "category", "id": "category", "huge": "number"}
    found = compared(frames[0], frames[1], {**FEATURES, **kinds, "nowhere": "category"})
    quiet = {column.name: column for column in found.columns if column.name in {*kinds, "nowhere"} - {"huge"}}
    assert len(quiet) == 5
    assert all(column.p == 1.0 for column in quiet.values())
    assert not found.drifted
    infinite = next(column.missing for column in found.columns if column.name == "huge")
    assert infinite == tuple(float(np.isinf(frame["huge"]).mean()) for frame in frames)
    alone = compared(frames[0], frames[1], {"constant": "number", "nothing": "number"})
    assert (alone.auc, alone.p, alone.drifted) == (0.5, 1.0, False)


def test_numbers_that_arrive_as_texts_of_no_number_are_missing() -> None:
    random = np.random.default_rng(9)
    fresh = flights(200, random)
    fresh["temp"] = [f"{value:.3f}" for value in fresh["temp"]]
    assert not compared(flights(200, random), fresh).drifted
    fresh["temp"] += " F"
    assert compared(flights(200, random), fresh).columns[0].test == "missing-share"


def test_types_do_not_make_a_shift() -> None:
    random = np.random.default_rng(10)
    reference = flights(400, random).assign(code=random.integers(0, 5, 400), weekend=random.integers(0, 2, 400))
    fresh = reference.assign(code=reference["code"].astype(float), weekend=reference["weekend"].astype(bool))
    for column in (fresh["code"], fresh["code"].astype(int).astype(str), fresh["code"].astype("category")):
        found = compared(reference, fresh.assign(code=column), {**FEATURES, "code": "category"})
        assert {shift.effect for shift in found.columns} == {0.0}


def test_few_rows_or_no_features_leave_out_the_classifier() -> None:
    random = np.random.default_rng(11)
    few = compared(flights(200, random), flights(19, random))
    alone = score(flights(200, random), flights(200, random), features={"time": "datetime"}, target="delay")
    for found in (few, alone):
        assert (found.auc, found.p, found.q, found.auc_top) == (None, None, None, ())
        assert found.reason.endswith("there is too little for a classifier to tell fresh rows by")
    assert [column.role for column in alone.columns] == ["label"]


def test_times_are_not_tested_and_the_report_is_json() -> None:
    random = np.random.default_rng(12)
    reference, fresh = flights(300, random), flights(200, random)
    fresh["time"] += pd.Timedelta(days=60)
    found = compared(reference, fresh)
    assert found.untested == ("time",)
    assert not found.drifted
    assert found == compared(reference, fresh)
    told = found.to_json()
    assert told == json.loads(json.dumps(told, allow_nan=False))
    assert told["rows"] == [300, 200]
    assert {column["name"] for column in told["columns"]} == {*FEATURES, "delay"} - {"time"}


def test_drift_without_rows_is_refused() -> None:
    frame = flights(5, np.random.default_rng(13))
    with pytest.raises(DataError, match=r"5 rows of reference and 0 fresh rows: check the windows"):
        compared(frame, frame[:0])
