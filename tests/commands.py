"""Whether the programs that deploy/ starts take the words it gives them; nothing is started."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import typer

from tuner.cli import control, look, retune, schedule, serve, submit  # noqa: F401  # they register commands
from tuner.cli.app import app


def refusal(words: Sequence[str]) -> str:
    """Why `caviar WORDS` would not begin; empty if it would."""
    command: Any = typer.main.get_command(app)
    context, rest = None, list(words)
    try:
        while True:
            context = command.make_context(command.name, rest, parent=context)
            if not hasattr(command, "commands"):
                return ""
            _, command, rest = command.resolve_command(context, [*context._protected_args, *context.args])
    except Exception as error:  # click's, of which typer may have its own copy
        return f"caviar {' '.join(words)}: {type(error).__name__} {error}"


@cache
def options_of_ray_start() -> frozenset[str]:
    """The options of `ray start`, without their dashes."""
    from ray.scripts.scripts import start

    return frozenset(name.lstrip("-") for one in start.params for name in (*one.opts, *one.secondary_opts))


@cache
def help_of(program: str, *words: str) -> str:
    """What a program of this Python's environment says of itself."""
    command = [str(Path(sys.executable).with_name(program)), *words, "--help"]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
