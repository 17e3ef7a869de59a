"""The command that stands in for cron: `caviar schedule run`."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from tuner.cli.app import app, console, home_is_named, own_home

TICK = (sys.executable, "-P", "-m", "tuner.cli", "retune", "tick")  # -P: imports nothing from the current folder

schedule = typer.Typer(help="Re-tune on schedule where no cron, systemd or Kubernetes does it.", no_args_is_help=True)
app.add_typer(schedule, name="schedule")


@schedule.callback()
def group() -> None:
    """Makes `run` a command of the group: a lone command would be the group itself."""


@schedule.command()
def run(policies: Annotated[list[Path], typer.Argument(help="Policies, YAML files.", metavar="POLICY...")]) -> None:
    """Call `caviar retune tick` for each policy, now and at each full hour, until Ctrl-C or SIGTERM."""
    from cluster import daemon
    from tuner.retune.loading import load_policy

    missing = [str(policy) for policy in policies if not policy.is_file()]
    if missing:
        raise FileNotFoundError(f"no policy at {', '.join(missing)}: nothing was started; correct the path")
    for policy in policies:
        load_policy(policy)  # wrong now, it would be wrong each hour
    out = console()

    def tell(command: daemon.Command, ended: int | OSError) -> None:
        how = f"exit {ended}" if isinstance(ended, int) else f"did not start: {ended}"
        out.print(f"{datetime.now().astimezone():%Y-%m-%d %H:%M:%S%z}  {command[-1]}  {how}", highlight=False)

    daemon.run([(*TICK, str(policy)) for policy in policies], _environment(), tell)


def _environment() -> Mapping[str, str]:
    """What this command was given: the cluster that is up now may be another one when a tick looks for it."""
    from cluster.current import environment

    found = environment(own_home(), shared=home_is_named())
    return {name: value for name, value in os.environ.items() if found.get(name) != value}
