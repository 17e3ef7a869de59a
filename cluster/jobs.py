"""Command lines as jobs on a Ray cluster, one an id, in plain values: the only module that talks to Ray's Jobs API."""

from __future__ import annotations

import asyncio
import logging
import os
import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ray.job_submission import JobSubmissionClient

from cluster.dashboard import JobsError, UnreachableError, checked, telling
from cluster.following import Rest, tail
from cluster.job import Command, Job, Outcome, State, Submission

HELLO_SECONDS = 10.0  # for a machine to say that it is Ray
ANSWER_SECONDS = (10.0, 60.0)  # to connect, and between two parts of an answer
SETTLE_SECONDS = 5.0  # how long after a job's end Ray's watch over its id may still act
PATIENCE_SECONDS = 300.0  # how long a cluster that does not answer is waited for
ATTEMPTS = 3


class Jobs:
    """The jobs of the cluster whose dashboard is at `address`.

    All methods raise UnreachableError when it does not answer, and JobsError when it refuses.
    """

    def __init__(self, address: str) -> None:
        """Connects, with the token that Ray's environment names. ValueError for what cannot be an address."""
        self.address = checked(address)
        for name in ("ray", "ray.dashboard.modules.job.sdk", "ray.dashboard.modules.dashboard_sdk"):
            logging.getLogger(name).setLevel(logging.ERROR)  # they tell of each upload
        with telling(self.address, connecting=True), _naming(self.address):
            self._client = _Client(self.address)

    def submit(self, job_id: str, command: Command, *, again: bool = False) -> Submission:
        """Has the job run, unless one of that id does or (but for `again`) has succeeded; the second one attaches."""
        for _ in range(ATTEMPTS):
            job = self.job(job_id)
            if job and not job.state.ended:
                return Submission(Outcome.ATTACHED, job.labels)
            if job and job.state is State.SUCCEEDED and not again:
                return Submission(Outcome.FINISHED, job.labels)
            printed = len(self.log(job_id)) if job else 0
            if job:
                self._forget(job)
            if self._start(job_id, command):
                return Submission(Outcome.GOES_ON if job else Outcome.STARTED, command.labels, printed)
        raise JobsError(f"{self.address} takes no job {job_id}: its record comes back ended. Submit it once more")

    def job(self, job_id: str) -> Job | None:
        """The job of that id; None if the cluster has none, or none any more."""
        try:
            with telling(self.address):
                details = self._client.get_job_info(job_id)
        except JobsError as error:
            if error.status == 404:
                return None
            raise
        return _plain(details) if details.submission_id else None

    def jobs(self) -> list[Job]:
        """All submitted jobs that the cluster remembers, the oldest first."""
        with telling(self.address):
            found = [_plain(details) for details in self._client.list_jobs() if details.submission_id]
        return sorted(found, key=lambda job: job.began)

    def log(self, job_id: str) -> str:
        """What the job has printed so far, over all attempts on this head; empty before it starts."""
        with telling(self.address):
            return str(self._client.get_job_logs(job_id))

    def follow(self, job_id: str, show: Callable[[str], None], seen: int = 0) -> Job:
        """Shows what the job prints after its first `seen` characters, until it has ended; returns it as it ended.

        Lost connections are made anew for PATIENCE_SECONDS; then UnreachableError.
        """
        rest = Rest(show, seen)
        lost: float | None = None
        while True:
            try:
                with telling(self.address):
                    asyncio.run(tail(self._client, job_id, rest))
                job = self.job(job_id)
            except UnreachableError:
                lost = lost or time.monotonic()
                if time.monotonic() - lost > PATIENCE_SECONDS:
                    raise
            else:
                lost = None
                if job is None:
                    raise JobsError(f"{self.address} no longer knows job {job_id}: its head was started again")
                if job.state.ended:
                    return job
            time.sleep(1)

    def _start(self, job_id: str, command: Command) -> bool:
        """Whether it was this call that started the job; False where there is one of that id."""
        environment: dict[str, Any] = {
            "working_dir": str(command.folder),
            "py_modules": [str(package) for package in command.packages],
            "env_vars": dict(command.environment),
        }
        try:
            with telling(self.address):
                self._client.submit_job(  # that asks for no resources: Ray runs such a job on the head
                    entrypoint=shlex.join(command.words),
                    submission_id=job_id,
                    runtime_env={key: value for key, value in environment.items() if value},
                    metadata=dict(command.labels),
                )
        except JobsError as error:
            if "already exists" in str(error):
                return False
            raise
        return True

    def _forget(self, job: Job) -> None:
        """Removes the record of a job that has ended; somebody else may have been faster.

        For a moment after its end Ray watches over the id, and would take a new job's end for granted, too.
        """
        since = time.time() - (job.ended or time.time())
        time.sleep(min(max(SETTLE_SECONDS - since, 0.0), SETTLE_SECONDS))
        try:
            with telling(self.address):
                self._client.delete_job(job.id)
        except JobsError:
            now = self.job(job.id)
            if now and now.state.ended:
                raise


class _Client(JobSubmissionClient):
    """Ray's client with a limit of time, for it would wait for a quarter of an hour where a machine has vanished."""

    def _do_request(self, method: str, endpoint: str, **options: Any) -> Any:
        limit = HELLO_SECONDS if endpoint == "/api/version" else ANSWER_SECONDS
        return super()._do_request(method, endpoint, timeout=limit, **options)


def _plain(details: Any) -> Job:
    return Job(
        details.submission_id,
        State(details.status),
        dict(details.metadata or {}),
        (details.start_time or 0) / 1000,
        details.end_time / 1000 if details.end_time else None,
        details.driver_exit_code,
        details.message or "",
    )


@contextmanager
def _naming(address: str) -> Iterator[None]:
    """Ray prefers the address in its environment to the one it is given."""
    name = "RAY_API_SERVER_ADDRESS"
    before = os.environ.get(name)
    os.environ[name] = address
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
