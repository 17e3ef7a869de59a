"""A job's log as it grows, over connections that may be lost."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import aiohttp
from ray.job_submission import JobSubmissionClient

SILENCE_SECONDS = 60.0  # then the connection is made anew: one that was lost is silent, too


class Rest:
    """Shows what comes after the characters that were shown before, of a text that each connection tells anew."""

    def __init__(self, show: Callable[[str], None], seen: int) -> None:
        self._show = show
        self._seen = seen
        self._told = 0

    def begin(self) -> None:
        self._told = 0

    def __call__(self, text: str) -> None:
        new = text[max(self._seen - self._told, 0) :]
        self._told += len(text)
        self._seen = max(self._seen, self._told)
        if new:
            self._show(new)


async def tail(client: JobSubmissionClient, job_id: str, rest: Rest) -> None:
    """Feeds `rest` with the log from its beginning, until the job ends, the connection does, or nothing comes."""
    rest.begin()
    async with contextlib.aclosing(client.tail_job_logs(job_id)) as parts:  # type: ignore[type-var]  # a generator
        try:
            while True:
                rest(await asyncio.wait_for(anext(parts), SILENCE_SECONDS))
        except (StopAsyncIteration, TimeoutError):
            return
        except aiohttp.WSServerHandshakeError as error:
            if error.status != 404:  # a job that is gone has no log
                raise
        except RuntimeError as error:  # as Ray calls it
            raise ConnectionError(f"the connection broke off: {error}") from error
