"""The cluster that has a sweep, and what the sweep printed there: the command logs, and what submit shares with it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tuner.cli.app import INTERRUPTED, Json, SweepName, answer, app, fail, home_is_named, own_home

if TYPE_CHECKING:
    from cluster.job import Job
    from cluster.jobs import Jobs

ADDRESS = "RAY_API_SERVER_ADDRESS"  # Ray's own name for it
NAME_LABEL = "caviar.name"  # under it a job tells the name in its spec

Address = Annotated[
    str | None,
    typer.Option(
        help="The cluster's dashboard, such as http://head:8265. [default: $RAY_API_SERVER_ADDRESS]",
        metavar="URL",
        show_default=False,
    ),
]


@app.command()
def logs(
    name: SweepName,
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the sweep ends.")] = False,
    address: Address = None,
    as_json: Json = False,
) -> None:
    """Show what a submitted sweep has printed."""
    from cluster.jobs import Jobs

    jobs = Jobs(named(address))
    found = _find(name, jobs)
    text = ""
    if follow:
        found = followed(jobs, found.id, as_json)
    else:
        text = jobs.log(found.id)
        _show(text, as_json)
    if as_json:
        log = text or jobs.log(found.id)
        answer({"sweep": found.id, "state": found.state, "exit_code": found.exit_code, "log": log})


def named(address: str | None) -> str:
    """The cluster that is meant. One that the user names gets no token of the one that is up on this machine.

    The one that is up is named as it calls itself: `localhost` could lead to another server, which would get the token.
    """
    from cluster.addresses import same_server
    from cluster.current import environment

    up = environment(own_home(), shared=home_is_named()) if address else {}
    if up and address and same_server(address, up[ADDRESS]):
        return up[ADDRESS]
    if up and os.environ.get("RAY_AUTH_TOKEN_PATH") == up.get("RAY_AUTH_TOKEN_PATH"):
        os.environ.pop("RAY_AUTH_TOKEN_PATH", None)
        os.environ.pop("RAY_AUTH_MODE", None)
    found = address or os.environ.get(ADDRESS)
    if not found:
        text = f"no cluster is named: give --address http://HEAD:8265 or set {ADDRESS}"
        raise ValueError(f"{text}; `caviar up` starts a cluster on this machine")
    return found


def _find(name: str, jobs: Jobs) -> Job:
    """The sweep's job: of that id, else the only one whose id begins so, or the newest of a spec."""
    known = [job for job in jobs.jobs() if NAME_LABEL in job.labels]
    exact = [job for job in known if job.id == name]
    if exact:
        return exact[0]
    if Path(name).is_file():
        from tuner.spec import load

        spec = load(name).name
        found = [job for job in known if job.labels[NAME_LABEL] == spec][-1:]
    else:
        found = [job for job in known if name.strip() and job.id.startswith(name)]
    if len(found) == 1:
        return found[0]
    some = ", ".join(job.id for job in (found or known)[-3:]) or "none at all"
    problem = f"could be any of {len(found)}, such as" if found else "was not submitted there; it knows"
    raise ValueError(f"sweep {name!r} {problem} {some} ({jobs.address})")


def _show(text: str, as_json: bool) -> None:
    """Prints a part of a log as it is, and at once."""
    print(text, end="", flush=True, file=sys.stderr if as_json else sys.stdout)


def followed(jobs: Jobs, sweep: str, as_json: bool, seen: int = 0, farewell: str = "") -> Job:
    """Shows the log until the job ends; Ctrl-C ends only that."""
    try:
        return jobs.follow(sweep, lambda text: _show(text, as_json), seen)
    except KeyboardInterrupt:
        if farewell:
            fail(f"\n{farewell}", INTERRUPTED)
        raise typer.Exit(INTERRUPTED) from None
