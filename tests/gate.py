"""A gate between two networks: `python gate.py HERE THERE PORT ...` passes connections to these ports on, no others."""

from __future__ import annotations

import asyncio
import contextlib
import sys


async def main(here: str, there: str, *ports: str) -> None:
    """Listens at the address `here`, until it is killed."""
    for port in map(int, ports):

        async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int = port) -> None:
            with contextlib.closing(writer), contextlib.suppress(OSError):
                back, forth = await asyncio.open_connection(there, port)
                with contextlib.closing(forth):
                    await asyncio.wait(
                        [asyncio.create_task(pump(reader, forth)), asyncio.create_task(pump(back, writer))],
                        return_when=asyncio.FIRST_COMPLETED,
                    )

        await asyncio.start_server(meet, here, port)
    await asyncio.Event().wait()


async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Passes bytes on until there are no more."""
    with contextlib.suppress(OSError):
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
