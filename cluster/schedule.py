"""When a schedule has come round: five cron fields and a time zone against a `now` that is passed in. Pure.

Cron names times of the wall clock, of which some come twice a year and some never. So the wall clock time is the
period's name, and the instant follows from it: the first of the two where clocks are set back, the end of the gap where
they are set forward. Then a period is always the same, whoever asks and when, and none comes twice.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from difflib import get_close_matches
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

FIELDS = ("minute", "hour", "day", "month", "weekday")
SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Occurrence:
    """A time that a schedule names: `period` by the wall clock, `at` as an instant in UTC.

    `period` is "2013-04-01" at midnight and else "2013-04-01T03:30"; both sort as the times that they name. `at` is in
    UTC because Python compares two times of one zone by their wall clocks, which is wrong in an hour that comes twice.
    """

    period: str
    at: datetime


def latest(cron: str, zone: str, now: datetime, first: datetime | None = None) -> Occurrence | None:
    """The newest occurrence at or before `now`; None if it is before `first`, or if 50 years had none.

    What was missed before it is passed over: walking backwards, it takes as long after years as after an hour.
    Where a gap swallows several occurrences, all of them are due at its end, and the last one is the newest.
    ValueError for what `check` refuses, and for a `now` or `first` without a zone.
    """
    here, now = _zone(zone), _instant(now)
    for wall in _walls(cron, _wall(now, here, passed=True) + SECOND, reverse=True):
        at = _first_instant(wall, here)
        if at <= now:
            return None if first is not None and at < _instant(first) else Occurrence(_period(wall), at)
    return None


def following(cron: str, zone: str, now: datetime) -> Occurrence:
    """The next occurrence after `now`, which is what `latest` gives when its time has come; ValueError as there."""
    here, now = _zone(zone), _instant(now)
    for wall in _walls(cron, _wall(now, here)):
        at = _first_instant(wall, here)
        if at > now and (found := latest(cron, zone, at)):
            return found
    raise ValueError(_never(cron))


def check(cron: str, zone: str) -> None:
    """ValueError for a schedule that cannot be read, for one that never comes, and for an unknown zone."""
    following(cron, zone, datetime(2000, 1, 1, tzinfo=UTC))  # the next 50 years have every date that there is


def _walls(cron: str, start: datetime, *, reverse: bool = False) -> Iterator[datetime]:
    """The wall clock times, without a zone, that `cron` names after `start`, or before it."""
    fields = cron.split()
    if len(fields) != len(FIELDS):
        raise ValueError(
            f"a schedule has {len(FIELDS)} fields ({' '.join(FIELDS)}), and {cron!r} has {len(fields)}: "
            "write, for example, '0 3 1 * *' for 03:00 on each month's first day"
        )
    try:
        return CronSim(cron, start, reverse=reverse)
    except CronSimError as error:
        raise ValueError(_mistake(fields, start)) from error


def _mistake(fields: list[str], start: datetime) -> str:
    """What is wrong with a schedule that the library refuses."""
    for place, name in enumerate(FIELDS):
        alone = ["*"] * len(FIELDS)
        alone[place] = fields[place]
        try:
            CronSim(" ".join(alone), start)
        except CronSimError:
            return (
                f"{fields[place]!r} is no {name} in the schedule {' '.join(fields)!r}: a field is *, a number, a range "
                "a-b, a list a,b or a step */n; a day can be L, the month's last, and a weekday is 0-7 or SUN-SAT"
            )
    return _never(" ".join(fields))


def _never(cron: str) -> str:
    return f"the schedule {cron!r} names a date that never comes: write a day that its months have, or L for their last"


def _zone(name: str) -> ZoneInfo:
    """ValueError with the nearest name if there is no such zone."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # OSError: a name that is a folder of zones
        known = {zone.casefold(): zone for zone in available_timezones()}
        cities = {zone.rpartition("/")[2]: zone for zone in known}
        wanted = name.casefold().replace(" ", "_")
        near = get_close_matches(wanted, [*known, *cities], n=1)
        nearest = known[cities.get(near[0], near[0])] if near else "Europe/Berlin or UTC"
        raise ValueError(f"there is no time zone {name!r}: write a name as in {nearest}") from None


def _instant(moment: datetime) -> datetime:
    if moment.utcoffset() is None:
        raise ValueError(f"{moment.isoformat()} says no time zone, so it is no instant: give it one, such as +00:00")
    return moment.astimezone(UTC)


def _wall(now: datetime, zone: ZoneInfo, *, passed: bool = False) -> datetime:
    """What the clocks in `zone` show; with `passed`, no less than all that they have shown, if they were set back."""
    local = now.astimezone(zone)
    shown = local.replace(tzinfo=None, fold=0, microsecond=0)
    return shown + _offset(local.replace(fold=0)) - _offset(local) if passed else shown


def _first_instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """When clocks in `zone` first show `wall`, in UTC; where they skip it, when they do so."""
    local = wall.replace(tzinfo=zone)
    before, after = _offset(local), _offset(local.replace(fold=1))
    if before >= after:
        return local.astimezone(UTC)
    start = wall.replace(tzinfo=UTC) - after  # before the gap, which begins within the seconds that it skips
    seconds = range(int((after - before) / SECOND) + 1)
    return start + SECOND * bisect_left(seconds, after, key=lambda n: _offset((start + n * SECOND).astimezone(zone)))


def _offset(local: datetime) -> timedelta:
    """What `local`, a time with a zone, is ahead of UTC."""
    offset = local.utcoffset()
    assert offset is not None  # noqa: S101  # for the type: a ZoneInfo always knows it
    return offset


def _period(wall: datetime) -> str:
    return wall.date().isoformat() if wall.time() == time() else wall.isoformat(timespec="minutes")
