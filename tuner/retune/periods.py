"""The database of periods: one row a (model, period), one driver a model, and a trail of all that was decided.

Whoever drives holds the model's lease and a fencing token that rises with every claim; nothing is written by a
driver whose token is not the newest. SQLite on one machine, PostgreSQL where several share it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from tuner.retune.states import ENDS, Period, State, allowed
from tuner.retune.tables import AUDIT, MODELS, PERIODS, connect, insert_once, reading


class StaleClaimError(RuntimeError):
    """Another driver has taken the model over: this one writes nothing more."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to drive a model's periods, as long as nobody has a newer one."""

    model: str
    owner: str
    fence: int


@dataclass(frozen=True, slots=True)
class Held:
    """Somebody else drives the model, until then at least."""

    owner: str
    until: datetime


class Periods:
    """The periods in the database `url`; its tables are made if need be. SQLAlchemyError where it fails."""

    def __init__(self, url: str) -> None:
        self._engine = connect(url)

    def close(self) -> None:
        self._engine.dispose()

    def claim(self, model: str, now: datetime, lease: timedelta, owner: str, gone: bool = False) -> Claim | Held:
        """The lease of `model`, unless somebody has it; `gone` says that whoever had it last is known to be dead."""
        with self._engine.begin() as connection:
            row = self._lock(connection, model)
            if row.until > now.timestamp() and row.owner != owner and not gone:
                return Held(row.owner, datetime.fromtimestamp(row.until, UTC))
            fence = row.fence + 1
            values = {"fence": fence, "owner": owner, "until": (now + lease).timestamp()}
            connection.execute(sa.update(MODELS).where(MODELS.c.model == model).values(values))
        return Claim(model, owner, fence)

    def holder(self, model: str) -> str:
        """Who has had the lease last; empty where nobody has it."""
        with reading(self._engine) as connection:
            return connection.scalar(sa.select(MODELS.c.owner).where(MODELS.c.model == model)) or ""

    def renew(self, claim: Claim, now: datetime, lease: timedelta) -> None:
        """StaleClaimError if somebody has taken the model over."""
        with self.locked(claim) as writer:
            writer.hold_until((now + lease).timestamp(), claim.owner)

    def release(self, claim: Claim) -> None:
        """Lets others drive at once."""
        with self.locked(claim) as writer:
            writer.hold_until(0.0, "")

    def ensure(self, claim: Claim, period: str, at: datetime, now: datetime) -> Period:
        """The period, made as DUE if there is none."""
        found = self.get(claim.model, period)
        if found is None:
            with self.locked(claim) as writer:
                writer.add(period, at, now)
            found = self.get(claim.model, period)
        assert found is not None  # noqa: S101 - it was written under the lock
        return found

    def advance(self, claim: Claim, period: Period, state: State, reason: str, now: datetime, **data: Any) -> Period:
        """The period in its next state, written together with what the step has left."""
        with self.locked(claim) as writer:
            return writer.advance(period, state, reason, now, **data)

    def get(self, model: str, period: str) -> Period | None:
        """The period of this name."""
        return next((found for found in self.all(model) if found.period == period), None)

    def all(self, model: str) -> list[Period]:
        """The model's periods, oldest first."""
        with reading(self._engine) as connection:
            rows = connection.execute(sa.select(PERIODS).where(PERIODS.c.model == model).order_by(PERIODS.c.at))
            return [_period(row) for row in rows]

    def audit(self, model: str) -> list[Mapping[str, Any]]:
        """All that was decided about the model, oldest first."""
        with reading(self._engine) as connection:
            rows = connection.execute(sa.select(AUDIT).where(AUDIT.c.model == model).order_by(AUDIT.c.id))
            return [dict(row._mapping) for row in rows]

    @contextmanager
    def locked(self, claim: Claim) -> Iterator[Writer]:
        """Nobody else writes about the model meanwhile; all that is written here is written at the end, or nothing.

        StaleClaimError if the claim is not the newest.
        """
        with self._engine.begin() as connection:
            if self._lock(connection, claim.model).fence != claim.fence:
                raise StaleClaimError(f"{claim.model} is driven by another process now: this one leaves it alone")
            yield Writer(connection, claim)

    def _lock(self, connection: sa.Connection, model: str) -> Any:
        """The model's row, locked until the transaction ends; made if there is none."""
        wanted = sa.select(MODELS).where(MODELS.c.model == model).with_for_update()
        row = connection.execute(wanted).one_or_none()
        if row is None:
            empty = {"model": model, "fence": 0, "owner": "", "until": 0.0}
            connection.execute(insert_once(self._engine, MODELS).values(empty))
            row = connection.execute(wanted).one()
        return row


class Writer:
    """What may be written while the model is locked."""

    def __init__(self, connection: sa.Connection, claim: Claim) -> None:
        self._connection, self._claim = connection, claim

    def advance(self, period: Period, state: State, reason: str, now: datetime, **data: Any) -> Period:
        """`period` in `state`. StaleClaimError where it has moved meanwhile, ValueError for a step that is none."""
        if not allowed(period.state, state):
            raise ValueError(f"a period cannot go from {period.state} to {state}")
        merged = {**period.data, **data}
        fence, moment = self._claim.fence, now.timestamp()
        values = {"state": state, "reason": reason, "fence": fence, "updated": moment, "data": merged}
        same = sa.and_(
            PERIODS.c.model == period.model, PERIODS.c.period == period.period, PERIODS.c.state == period.state
        )
        if self._connection.execute(sa.update(PERIODS).where(same).values(values)).rowcount != 1:
            raise StaleClaimError(f"period {period.period} of {period.model} is not {period.state} any more")
        self._note(period.period, period.state, state, reason, now)
        return Period(period.model, period.period, period.at, state, reason, fence, now, merged)

    def amend(self, period: Period, now: datetime, **data: Any) -> Period:
        """`period` with more data, in the state in which it is."""
        merged = {**period.data, **data}
        same = sa.and_(PERIODS.c.model == period.model, PERIODS.c.period == period.period)
        self._connection.execute(sa.update(PERIODS).where(same).values(data=merged, updated=now.timestamp()))
        return Period(
            period.model, period.period, period.at, period.state, period.reason, self._claim.fence, now, merged
        )

    def add(self, period: str, at: datetime, now: datetime) -> None:
        """A period that is due."""
        moment, fence = now.timestamp(), self._claim.fence
        row = {"model": self._claim.model, "period": period, "at": at.timestamp(), "state": State.DUE, "reason": ""}
        self._connection.execute(sa.insert(PERIODS).values(**row, fence=fence, updated=moment, data={}))
        self._note(period, "", State.DUE, "", now)

    def hold_until(self, until: float, owner: str) -> None:
        """Moves the end of the lease."""
        mine = MODELS.c.model == self._claim.model
        self._connection.execute(sa.update(MODELS).where(mine).values(until=until, owner=owner))

    def _note(self, period: str, before: str, after: str, reason: str, now: datetime) -> None:
        moment, who = (
            now.timestamp(),
            {"model": self._claim.model, "fence": self._claim.fence, "who": self._claim.owner},
        )
        what = {"period": period, "before": before, "after": after, "reason": reason}
        self._connection.execute(sa.insert(AUDIT).values(time=moment, **who, **what))


def unfinished(periods: list[Period]) -> list[Period]:
    """Those that have not ended, oldest first."""
    return [period for period in periods if period.state not in ENDS]


def _period(row: Any) -> Period:
    at, updated = datetime.fromtimestamp(row.at, UTC), datetime.fromtimestamp(row.updated, UTC)
    return Period(row.model, row.period, at, State(row.state), row.reason, row.fence, updated, row.data)
