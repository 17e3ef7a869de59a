"""When schedules come round, at the wall clock's oddest hours."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.schedule import check, following, latest

# Gaps and folds of half an hour, of an hour and of a day; at midnight; in both hemispheres; none at all.
ZONES = (
    *("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Havana", "Asia/Beirut"),
    *("Pacific/Apia", "America/Sao_Paulo", "Africa/Casablanca", "Asia/Kathmandu", "Antarctica/Troll"),
)


def at(text: str, zone: str = "UTC") -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))


def field(low: int, high: int) -> st.SearchStrategy[str]:
    """`*`, a number, a step, a range or a list."""
    number = st.integers(low, high)
    return st.one_of(
        st.just("*"),
        number.map(str),
        st.integers(2, 9).map(lambda step: f"*/{step}"),
        st.tuples(number, number).map(lambda ends: f"{min(ends)}-{max(ends)}"),
        st.lists(number, min_size=2, max_size=3).map(lambda several: ",".join(map(str, several))),
    )


days = st.one_of(field(1, 28), st.sampled_from(["L", "29,30,31"]))
crons = st.tuples(field(0, 59), field(0, 23), days, field(1, 12), st.one_of(st.just("*"), field(0, 7))).map(" ".join)
zones = st.sampled_from(ZONES)
changes = [at("2011-12-30T10:00"), at("2024-03-31T01:00"), at("2024-10-27T01:00"), at("2018-11-04T03:00")]
near_changes = st.tuples(st.sampled_from(changes), st.integers(-90_000, 90_000)).map(
    lambda drawn: drawn[0] + timedelta(seconds=drawn[1])
)
moments = st.one_of(near_changes, st.datetimes(at("1975-01-01").replace(tzinfo=None), timezones=st.just(UTC)))


@given(crons, zones, moments.filter(lambda now: now.year < 2100))
def test_now_lies_between_the_latest_and_the_following(cron: str, zone: str, now: datetime) -> None:
    before, after = latest(cron, zone, now), following(cron, zone, now)
    assert before is not None
    assert before.at <= now < after.at
    assert before.period < after.period
    assert latest(cron, zone, after.at) == after
    assert latest(cron, zone, after.at - timedelta(microseconds=1)) == before
    assert latest(cron, zone, now.astimezone(ZoneInfo("Pacific/Chatham"))) == before


@given(crons, zones, st.tuples(moments, moments).map(sorted))
def test_time_goes_one_way(cron: str, zone: str, times: list[datetime]) -> None:
    """Of two moments the later one never has the earlier occurrence."""
    early, late = (latest(cron, zone, now) for now in times)
    if early and late:
        assert (early.at, early.period) <= (late.at, late.period)


@given(crons, zones, near_changes)
@settings(max_examples=50)
def test_no_period_comes_twice(cron: str, zone: str, now: datetime) -> None:
    seen = []
    for _ in range(8):
        found = following(cron, zone, now)
        seen.append(found.period)
        now = found.at
    assert seen == sorted(set(seen))


@given(st.text(max_size=12), st.text(max_size=12))
def test_any_text_is_a_schedule_or_a_plain_refusal(cron: str, zone: str) -> None:
    for words in ((cron, "UTC"), (f"0 0 {cron} * *", "UTC"), (f"* * * * {cron}", "UTC"), ("0 0 1 * *", zone)):
        try:
            check(*words)
        except ValueError as error:
            assert str(error)  # noqa: PT017  # that it is no other error is the point


def test_each_month_has_its_period() -> None:
    found = latest("0 0 1 * *", "Europe/Berlin", at("2013-04-17T12:00"))
    assert found is not None
    assert (found.period, found.at) == ("2013-04-01", at("2013-03-31T22:00"))
    found = following("30 3 1 * *", "Europe/Berlin", found.at)
    assert (found.period, found.at) == ("2013-04-01T03:30", at("2013-04-01T01:30"))


def test_it_is_due_at_its_very_second() -> None:
    due = at("2013-04-01T00:00")
    assert latest("0 0 1 * *", "UTC", due).period == "2013-04-01"  # type: ignore[union-attr]
    assert latest("0 0 1 * *", "UTC", due - timedelta(microseconds=1)).period == "2013-03-01"  # type: ignore[union-attr]
    assert following("0 0 1 * *", "UTC", due).period == "2013-05-01"


def test_nothing_is_due_before_the_first() -> None:
    now, due = at("2013-04-17T12:00"), at("2013-04-01T00:00")
    assert latest("0 0 1 * *", "UTC", now, first=due) is not None
    assert latest("0 0 1 * *", "UTC", now, first=due + timedelta(seconds=1)) is None


@pytest.mark.parametrize(
    ("day", "expected"),
    [("29", "2013-01-29"), ("30", "2013-01-30"), ("31", "2013-01-31"), ("L", "2013-02-28"), ("LW", "2013-02-28")],
)
def test_short_months_are_skipped_unless_the_last_day_is_meant(day: str, expected: str) -> None:
    found = latest(f"0 0 {day} * *", "UTC", at("2013-03-05T00:00"))
    assert found is not None
    assert found.period == expected


@pytest.mark.parametrize(
    ("cron", "zone", "wall", "instant"),
    [
        ("30 2 31 3 *", "Europe/Berlin", "2024-03-31T02:30", "2024-03-31T01:00"),
        ("0 0 4 11 *", "America/Sao_Paulo", "2018-11-04", "2018-11-04T03:00"),  # a midnight that did not come
        ("15 2 6 10 *", "Australia/Lord_Howe", "2024-10-06T02:15", "2024-10-05T15:30"),  # half an hour was skipped
        ("0 12 30 12 *", "Pacific/Apia", "2011-12-30T12:00", "2011-12-30T10:00"),  # a day was
    ],
)
def test_what_a_gap_swallows_comes_at_its_end(cron: str, zone: str, wall: str, instant: str) -> None:
    due = at(instant)
    before, found = latest(cron, zone, due - timedelta(seconds=1)), latest(cron, zone, due)
    assert found is not None
    assert (found.period, found.at) == (wall, due)
    assert before is not None
    assert before.period < wall
    assert following(cron, zone, due - timedelta(seconds=1)) == found


def test_an_hour_that_comes_twice_is_one_period() -> None:
    due = at("2024-10-27T00:30")
    found = [latest("30 2 27 10 *", "Europe/Berlin", due + timedelta(minutes=m)) for m in (0, 10, 40, 60, 80, 120)]
    assert {one.at for one in found if one} == {due}
    assert {one.period for one in found if one} == {"2024-10-27T02:30"}


def test_a_clock_set_back_finds_the_period_that_it_had() -> None:
    """Whoever has it done already sees by its name that it has."""
    now = at("2024-06-01T03:01")
    newer = latest("0 3 1 * *", "UTC", now)
    assert latest("0 3 1 * *", "UTC", now - timedelta(minutes=2)) != newer
    assert latest("0 3 1 * *", "UTC", now) == newer


@pytest.mark.parametrize("cron", ["* * * * *", "0 3 1 * *", "0 0 29 2 *", "0 0 * 2 MON#5"])
def test_a_long_time_down_costs_no_time(cron: str) -> None:
    began = time.perf_counter()
    found = latest(cron, "Europe/Berlin", at("2093-11-01T00:00"), first=at("1993-01-01T00:00"))
    assert time.perf_counter() - began < 0.2
    assert found is not None
    assert found.at > at("2060-01-01T00:00")


@pytest.mark.parametrize(
    ("cron", "zone", "rule", "value", "next_step"),
    [
        ("0 0 0 1 * *", "UTC", "5 fields", "has 6", "'0 3 1 * *'"),
        ("@monthly", "UTC", "5 fields", "has 1", "'0 3 1 * *'"),
        ("61 0 1 * *", "UTC", "no minute", "'61'", "a range a-b"),
        ("0 0 1 JAM *", "UTC", "no month", "'JAM'", "a range a-b"),
        ("0 0 31 2 *", "UTC", "never comes", "'0 0 31 2 *'", "L for their last"),
        ("0 0 */40 2 6L", "UTC", "never comes", "'0 0 */40 2 6L'", "L for their last"),
        ("0 0 1 * *", "Europe/Berlim", "no time zone", "'Europe/Berlim'", "Europe/Berlin"),
        ("0 0 1 * *", "europe/berlin", "no time zone", "'europe/berlin'", "Europe/Berlin"),
        ("0 0 1 * *", "New York", "no time zone", "'New York'", "America/New_York"),
        ("0 0 1 * *", "America", "no time zone", "'America'", "write a name"),
        ("0 0 1 * *", "../../etc/hostname", "no time zone", "hostname", "write a name"),
    ],
)
def test_refusals_name_rule_value_and_next_step(cron: str, zone: str, rule: str, value: str, next_step: str) -> None:
    with pytest.raises(ValueError, match=rule) as refused:
        check(cron, zone)
    assert value in str(refused.value)
    assert next_step in str(refused.value)


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="says no time zone"):
        latest("0 0 1 * *", "UTC", datetime(2013, 4, 1))
