"""Runs commands at once and at each full hour, for machines that have no cron, systemd or Kubernetes to do so.

It knows nothing of what they are and keeps nothing: a command has to know by itself whether there is anything to do.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

HOUR = 3600.0

Command = Sequence[str]
Tell = Callable[[Command, int | OSError], None]


def run(commands: Sequence[Command], env: Mapping[str, str], tell: Tell, *, every: float = HOUR) -> None:
    """Runs `commands` until SIGTERM or SIGINT, at once and then whenever the clock shows a multiple of `every` seconds.

    One after another, because each may need the whole machine; what falls due while they run is passed over. `env` is
    all of their environment. `tell` hears each command's exit code (-9: ended by signal 9), or why it did not start.
    A command that runs when a signal comes gets SIGINT, another one for each further signal, and is waited for.
    Only in the main thread.
    """
    asyncio.run(_Rounds(commands, env, tell).run(every))


class _Rounds:
    def __init__(self, commands: Sequence[Command], env: Mapping[str, str], tell: Tell) -> None:
        self._commands, self._env, self._tell = commands, env, tell
        self._told_to_end = asyncio.Event()
        self._child: asyncio.subprocess.Process | None = None

    async def run(self, every: float) -> None:
        with _handled(self._end):
            while not self._told_to_end.is_set():
                for command in self._commands:
                    await self._command(command)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._told_to_end.wait(), until_next(time.time(), every))

    async def _command(self, command: Command) -> None:
        if self._told_to_end.is_set():
            return
        ended: int | OSError
        try:
            ended = await self._exit_code(command)
        except OSError as error:  # no memory for it now, perhaps; in an hour there may be
            ended = error
        self._tell(command, ended)

    async def _exit_code(self, command: Command) -> int:
        self._child = await asyncio.create_subprocess_exec(
            *command,
            env=self._env,
            stdin=asyncio.subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C reaches it once, through us, and not from the terminal as well
        )
        if self._told_to_end.is_set():  # the signal came while there was nothing yet to pass it on to
            self._end()
        return await self._child.wait()

    def _end(self) -> None:
        self._told_to_end.set()
        if self._child:
            with contextlib.suppress(ProcessLookupError):
                self._child.send_signal(signal.SIGINT)


@contextlib.contextmanager
def _handled(end: Callable[[], None]) -> Iterator[None]:
    """Calls `end` from the event loop, between its steps, when a signal says so."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


def until_next(now: float, every: float) -> float:
    """Seconds from `now`, a time in seconds since 1970, to the next multiple of `every`; more than 0."""
    return every - now % every
