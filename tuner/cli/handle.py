"""A sweep to look at and to command: through its storage, or through MLflow from a machine that reaches no more."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from tuner.cli.find import NoSweepError, find_sweep

if TYPE_CHECKING:
    from tuner.engine.control import Command
    from tuner.engine.place import Place
    from tuner.engine.publisher import Published
    from tuner.engine.status import Status
    from tuner.engine.storage import Storage
    from tuner.engine.tracking.remote import RemoteSweeps, Seen


class Handle(Protocol):
    """One sweep."""

    @property
    def sweep(self) -> str:
        """Its id."""

    def status(self) -> Status:
        """Where it stands now."""

    def published(self) -> Published:
        """What of it is in MLflow."""

    def tell(self, command: Command) -> None:
        """Leaves a command for its driver."""

    def answer(self) -> str | None:
        """What the driver said to the command; None while it has not taken it."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A sweep in storage that is at hand."""

    sweep: str
    storage: Storage

    def status(self) -> Status:
        from tuner.engine.status import read

        found = read(self.storage)
        if found is None:
            raise ValueError(f"sweep {self.sweep!r} has no status yet: `caviar resume {self.sweep}` starts it")
        return found

    def published(self) -> Published:
        from tuner.engine.publisher import published

        return published(self.storage)

    def tell(self, command: Command) -> None:
        from tuner.engine import control

        control.ask(self.storage, command)

    def answer(self) -> str | None:
        from tuner.engine import control

        return None if control.asked(self.storage) else "accepted"


@dataclass(slots=True)
class Remote:
    """A sweep that MLflow shows."""

    sweeps: RemoteSweeps
    seen: Seen
    sweep: str = field(init=False)

    def __post_init__(self) -> None:
        self.sweep = self.seen.sweep

    def status(self) -> Status:
        self.seen = self.sweeps.find(self.sweep)
        return self.seen.status

    def published(self) -> Published:
        from tuner.engine.publisher import Published

        return Published(parent_run_id=self.seen.run_id)

    def tell(self, command: Command) -> None:
        self.sweeps.tell(self.seen, command)

    def answer(self) -> str | None:
        return self.sweeps.answer(self.seen)


def handle(name: str, where: Place) -> Stored | Remote:
    """The sweep that `name` means: one in storage, else one at the MLflow server. ValueError if there is none."""
    try:
        sweep = find_sweep(name, where)
    except NoSweepError:
        if not is_server(where.tracking):
            raise
    else:
        return Stored(sweep, where.sweep(sweep))
    from tuner.engine.tracking import remote_sweeps

    sweeps = remote_sweeps(where.tracking)
    return Remote(sweeps, _newest_of(name, sweeps.all()) if Path(name).is_file() else sweeps.find(name))


def _newest_of(spec: str, sweeps: list[Seen]) -> Seen:
    """The newest sweep of a spec, of those that MLflow shows, newest first."""
    from tuner.spec import load

    name = load(spec).name
    for seen in sweeps:
        if seen.status.name == name:
            return seen
    raise ValueError(f"no sweep in MLflow has the name of {spec}, {name!r}: `caviar list` shows those there are")


def standing(found: Status) -> str:
    """How the sweep stands, and what goes on with one that stopped short of its end."""
    halted = found.status in ("paused", "stopped", "interrupted")
    broken = found.status == "failed" and found.phase != "done"  # else it came to its end, and found no model
    return found.status + (f"; `caviar resume {found.sweep}` goes on" if halted or broken else "")


def is_server(uri: str) -> bool:
    """Whether MLflow is a server, which shows sweeps of other machines, too."""
    return uri.startswith(("http://", "https://"))
