"""`docker compose` for the runbook's commands, on a Deployment: a program for their PATH, and who answers it."""

from __future__ import annotations

import os
import sys
import threading
import traceback
from multiprocessing.connection import Client, Listener
from pathlib import Path

from tests.deployment import Deployment


class Engine:
    """Makes a program `docker` in the folder `programs`; its commands are carried out here, one at a time."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self.programs = deployment.folder / "programs"
        self.programs.mkdir()
        self._listener = Listener(str(deployment.folder / "engine"), "AF_UNIX")
        root, here = Path(__file__).parents[1], deployment.folder / "engine"
        docker = self.programs / "docker"
        docker.write_text(f'#!/bin/sh\nPYTHONPATH={root} exec {sys.executable} -m tests.runbook {here} "$@"\n')
        docker.chmod(0o755)
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                caller = self._listener.accept()
            except OSError:  # closed
                return
            with caller:
                caller.send(self._answer(caller.recv()))

    def _answer(self, words: list[str]) -> tuple[list[str], dict[str, str]] | str:
        """What the program must become, or, where all is done, what went wrong."""
        try:
            match words:
                case ["compose", "config", "--services"]:
                    return ["printf", r"%s\n", *self._deployment.services], dict(os.environ)
                case ["compose", "exec", "-T", service, *command]:
                    container = self._deployment.running[service]
                    return container.command(*command), container.env
                case ["compose", "run", "--rm", "--no-deps", "-T", service, *command]:
                    container = self._deployment.once(service)
                    return container.command(*command), container.env
                case ["compose", "up", "-d", "--wait", *services]:
                    self._deployment.up(*services)
                case ["compose", "stop", *services] | ["compose", "rm", "--stop", "--force", *services]:
                    self._deployment.stop(*services)
                case ["compose", "down", "--volumes"]:
                    self._deployment.stop()
                    self._deployment.forget()
                case ["volume", "rm", "--force", volume]:
                    self._deployment.forget(volume.removeprefix("caviar_"))
                case _:
                    return f"no such command here: docker {' '.join(words)}"
        except Exception:
            return traceback.format_exc()
        return ""


def main(engine: str, *words: str) -> None:
    """What the program `docker` does."""
    with Client(engine) as connection:
        connection.send(list(words))
        answer = connection.recv()
    if isinstance(answer, str):
        sys.exit(answer or 0)
    command, env = answer
    os.execvpe(command[0], command, env)  # noqa: S606  # a list, no shell


if __name__ == "__main__":
    main(*sys.argv[1:])
