"""When schedules come round, at the wall clock's oddest hours."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.schedule import check, following, latest


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
rare = st.tuples(field(0, 59), field(0, 23), days, field(1, 12), st.one_of(st.just("*"), field(0, 7))).map(" ".join)
often = st.tuples(field(0, 59), st.one_of(st.just("*"), field(0, 4))).map(lambda times: f"{' '.join(times)} * * *")
crons = st.one_of(rare, often)

# Clocks that are set forward and back: by half an hour, one, two and 24 hours; at midnight; where nobody was asked.
CHANGES = [
    ("Europe/Berlin", at("2024-03-31T01:00")),
    ("Europe/Berlin", at("2024-10-27T01:00")),
    ("America/Sao_Paulo", at("2018-11-04T03:00")),
    ("America/Sao_Paulo", at("2018-02-18T02:00")),
    ("Australia/Lord_Howe", at("2024-10-05T15:30")),
    ("Australia/Lord_Howe", at("2024-04-06T15:00")),
    ("Antarctica/Troll", at("2024-03-31T01:00")),
    ("Antarctica/Troll", at("2024-10-27T01:00")),
    ("Pacific/Apia", at("2011-12-30T10:00")),
    ("America/Juneau", at("1867-10-18T15:33:32")),  # from Russia's date to America's: a day came twice
]
seconds = st.one_of(st.integers(-7_500, 7_500), st.integers(-90_000, 90_000))
odd_hours = st.tuples(st.sampled_from(CHANGES), seconds).map(lambda it: (it[0][0], it[0][1] + timedelta(seconds=it[1])))
zones = st.sampled_from(["UTC", "America/New_York", "Asia/Kathmandu", "Africa/Casablanca", "Asia/Beirut"])
times = st.datetimes(datetime(1975, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
moments = st.one_of(odd_hours, st.tuples(zones, times))


@given(crons, moments)
@settings(deadline=None)
def test_now_lies_between_the_latest_and_the_following(cron: str, moment: tuple[str, datetime]) -> None:
    zone, now = moment
    before, after = latest(cron, zone, now), following(cron, zone, now)
    assert before is not None
    assert before.at <= now < after.at
    assert before.period < after.period
    assert latest(cron, zone, after.at) == after
    assert latest(cron, zone, after.at - timedelta(microseconds=1)) == before
    assert latest(cron, zone, now.astimezone(ZoneInfo("Pacific/Chatham"))) == before


@given(crons, moments, st.integers(0, 100_000))
@settings(deadline=None)
def test_time_goes_one_way(cron: str, moment: tuple[str, datetime], later: int) -> None:
    """Of two moments the later one never has the earlier occurrence."""
    zone, now = moment
    early, late = latest(cron, zone, now), latest(cron, zone, now + timedelta(seconds=later))
    assert early is not None
    assert late is not None
    assert (early.at, early.period) <= (late.at, late.period)


@given(crons, odd_hours)
@settings(max_examples=50, deadline=None)
def test_no_period_comes_twice(cron: str, moment: tuple[str, datetime]) -> None:
    zone, now = moment
    seen = []
    for _ in range(8):
        found = following(cron, zone, now)
        seen.append(found.period)
        now = found.at
    assert seen == sorted(set(seen))


@given(st.text(max_size=12), st.text(max_size=12))
@settings(deadline=None)
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


@pytest.mark.parametrize(
    ("instant", "last", "then"),
    [
        ("2024-10-27T00:59", "02:30", "03:00"),
        ("2024-10-27T01:10", "02:30", "03:00"),  # clocks were set back to 02:00 and show 02:10 again
        ("2024-10-27T01:59", "02:30", "03:00"),
        ("2024-10-27T02:00", "03:00", "03:30"),
        ("2024-03-31T00:59", "01:30", "03:00"),  # 02:00 and 02:30 are due when 03:00 is, which is the newest
        ("2024-03-31T01:00", "03:00", "03:30"),
    ],
)
def test_a_schedule_of_half_hours_passes_over_the_change_once(instant: str, last: str, then: str) -> None:
    now = at(instant)
    before, after = latest("*/30 * * * *", "Europe/Berlin", now), following("*/30 * * * *", "Europe/Berlin", now)
    assert before is not None
    assert (before.period, after.period) == (f"{now:%F}T{last}", f"{now:%F}T{then}")


def test_a_clock_set_back_finds_the_period_that_it_had() -> None:
    """Whoever has it done already sees by its name that it has."""
    now = at("2024-06-01T03:01")
    newer = latest("0 3 1 * *", "UTC", now)
    assert latest("0 3 1 * *", "UTC", now - timedelta(minutes=2)) != newer
    assert latest("0 3 1 * *", "UTC", now) == newer


@pytest.mark.parametrize("cron", ["* * * * *", "0 3 1 * *", "0 0 29 2 *", "0 0 * 2 MON#5"])
def test_a_long_time_down_costs_no_time(cron: str) -> None:
    began = time.process_time()
    found = latest(cron, "Europe/Berlin", at("2093-11-01T00:00"), first=at("1993-01-01T00:00"))
    assert time.process_time() - began < 0.2
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
