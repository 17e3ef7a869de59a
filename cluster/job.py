"""What everyone says of a job on a cluster: a command line, where it stands, what came of sending it. A leaf."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path


class State(StrEnum):
    """Where a job stands, in Ray's words. It is no ground truth: a job that is lost can still run."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    STOPPED = "STOPPED"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"

    @property
    def ended(self) -> bool:
        return self not in (State.PENDING, State.RUNNING)


class Outcome(StrEnum):
    """What came of a submission."""

    STARTED = "started"
    ATTACHED = "attached"  # there is a job of that id, and it runs
    GOES_ON = "goes on"  # the job of that id had ended without success: another one took its place
    FINISHED = "finished"  # the job of that id had ended with success


@dataclass(frozen=True, slots=True)
class Command:
    """A command line, the folder that becomes its working directory, and Python packages that go before installed ones.

    `environment` and `labels` are shown to everyone who may see the dashboard: no secrets.
    """

    words: Sequence[str]
    folder: Path
    packages: Sequence[Path] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Job:
    """A job as the cluster knows it; times in seconds since 1970 by the cluster's clock."""

    id: str
    state: State
    labels: Mapping[str, str]
    began: float
    ended: float | None = None
    exit_code: int | None = None  # of its command, if that ended by itself
    message: str = ""


@dataclass(frozen=True, slots=True)
class Submission:
    """What came of a submission; the labels of the job that there is now, and how much it had printed before."""

    outcome: Outcome
    labels: Mapping[str, str]
    printed: int = 0
