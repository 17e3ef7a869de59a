"""Commands that leave the work to a cluster: submit, logs."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tuner.cli.app import FAILED, INTERRUPTED, Json, Sets, SpecPath, SweepName, answer, app, console, fail, own_home
from tuner.cli.run import warn

if TYPE_CHECKING:
    from rich.console import Console

    from cluster.jobs import Job, Jobs, Submission
    from tuner.spec import Spec

ADDRESS = "RAY_API_SERVER_ADDRESS"  # Ray's own name for it
NAME_LABEL, SPEC_LABEL = "caviar.name", "caviar.spec"
TIME_LENGTH = 21  # of what stands behind the name in an id

Address = Annotated[
    str | None,
    typer.Option(
        help="The cluster's dashboard, such as http://head:8265. [default: $RAY_API_SERVER_ADDRESS]",
        metavar="URL",
        show_default=False,
    ),
]
SharedStorage = Annotated[
    str | None,
    typer.Option(
        "--storage",
        help="Where the cluster keeps the sweep: a URI, or a folder that its machines share. [default: the head's]",
        metavar="URI",
        show_default=False,
    ),
]


@app.command()
def submit(
    spec: SpecPath,
    *,
    address: Address = None,
    sweep_id: Annotated[str | None, typer.Option("--id", help="The sweep's id. [default: name and time]")] = None,
    sets: Sets = None,
    storage: SharedStorage = None,
    follow: Annotated[bool, typer.Option("--follow", help="Show the log, and end as the sweep ends.")] = False,
    no_ship: Annotated[bool, typer.Option("--no-ship", help="Run the Caviar that is installed there.")] = False,
    as_json: Json = False,
) -> None:
    """Send a sweep to a Ray cluster and return at once; an id that is there already is attached to, or gone on with."""
    from tuner.engine.sweep import new_id
    from tuner.spec import load

    loaded, out = load(spec, sets or ()), console(as_json)
    warn(loaded, out)
    sweep = new_id(loaded.name[: 64 - TIME_LENGTH]) if sweep_id is None else _checked_id(sweep_id)
    jobs, submission = _sent(loaded, sweep, _named(address), _environment(storage), ship=not no_ship)
    if submission.labels.get(SPEC_LABEL) != _labels(loaded)[SPEC_LABEL]:
        out.print("warning: it was submitted with another spec, and that is the one that counts", style="yellow")
    _tell(sweep, submission, jobs.address, f" --address {jobs.address}" if address else "", out)
    found = {"sweep": sweep, "submission": submission.outcome, "address": jobs.address}
    farewell = f"sweep {sweep} goes on; only the following has ended"
    job = _follow(jobs, sweep, as_json, submission.printed, farewell) if follow else None
    if as_json:
        answer({**found, "state": job.state, "exit_code": job.exit_code} if job else found)
    if job:
        _end_as(job, f"caviar submit {spec} --id {sweep}")


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

    jobs = Jobs(_named(address))
    found = _find(name, jobs)
    text = ""
    if follow:
        found = _follow(jobs, found.id, as_json)
    else:
        text = jobs.log(found.id)
        _show(text, as_json)
    if as_json:
        log = text or jobs.log(found.id)
        answer({"sweep": found.id, "state": found.state, "exit_code": found.exit_code, "log": log})


def _sent(spec: Spec, sweep: str, address: str, environment: dict[str, str], *, ship: bool) -> tuple[Jobs, Submission]:
    """Sends the sweep, once all that can be checked here is."""
    from tuner.cli.shipment import packed

    with packed(spec, ship_packages=ship) as shipment:
        from cluster.jobs import Command, Jobs

        words = ("python", "-m", "tuner.cli", "run", "spec.yaml", "--id", sweep, "--go-on")
        command = Command(words, shipment.folder, shipment.packages, environment, _labels(spec))
        jobs = Jobs(address)
        try:
            return jobs, jobs.submit(sweep, command)
        except OSError as error:
            fail(f"{error}\nit may have been sent: with --id {sweep} you attach to it if so", FAILED)


def _labels(spec: Spec) -> dict[str, str]:
    """What a job tells about its sweep."""
    digest = hashlib.sha256(spec.to_yaml().encode()).hexdigest()[:16]
    return {NAME_LABEL: spec.name, SPEC_LABEL: digest}


def _named(address: str | None) -> str:
    """The cluster that is meant. One that the user names gets no token of the one that is up on this machine."""
    from cluster.local import environment

    up = environment(own_home()) if address else {}
    if up and address != up[ADDRESS] and os.environ.get("RAY_AUTH_TOKEN_PATH") == up.get("RAY_AUTH_TOKEN_PATH"):
        os.environ.pop("RAY_AUTH_TOKEN_PATH", None)
        os.environ.pop("RAY_AUTH_MODE", None)
    found = address or os.environ.get(ADDRESS)
    if not found:
        text = f"no cluster is named: give --address http://HEAD:8265 or set {ADDRESS}"
        raise ValueError(f"{text}; `caviar up` starts a cluster on this machine")
    return found


def _checked_id(sweep: str) -> str:
    """`sweep`, which becomes a part of a command line and of a URL."""
    from tuner.spec import NAME, NAME_RULE

    if not re.fullmatch(NAME, sweep):
        raise ValueError(f"a sweep's id must be {NAME_RULE}, not {sweep!r}")
    return sweep


def _environment(storage: str | None) -> dict[str, str]:
    """What the job's environment gets from here."""
    from tuner.spec.secrets import holds_secret

    if storage is None:
        return {}
    if holds_secret(storage):
        text = "--storage holds a password, and all who see the cluster's dashboard could read it: leave it out"
        raise ValueError(f"{text}, and set the credentials in the environment of the cluster (AWS_SECRET_ACCESS_KEY …)")
    if "://" not in storage and not Path(storage).is_absolute():
        raise ValueError(f"--storage must be a URI or an absolute path, for it is not on this machine; got {storage!r}")
    return {"CAVIAR_STORAGE": storage}


def _tell(sweep: str, submission: Submission, address: str, option: str, out: Console) -> None:
    """Says what came of the submission, and what can be asked of the sweep now."""
    from cluster.jobs import Outcome

    lines = [f"sweep {sweep}: {submission.outcome} ({address})", f"  log    caviar logs -f {sweep}{option}"]
    if submission.outcome is not Outcome.FINISHED:
        lines += [f"  watch  caviar watch {sweep}", f"  stop   caviar stop {sweep}"]
    out.print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)


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


def _follow(jobs: Jobs, sweep: str, as_json: bool, seen: int = 0, farewell: str = "") -> Job:
    """Shows the log until the job ends; Ctrl-C ends only that."""
    try:
        return jobs.follow(sweep, lambda text: _show(text, as_json), seen)
    except KeyboardInterrupt:
        if farewell:
            fail(f"\n{farewell}", INTERRUPTED)
        raise typer.Exit(INTERRUPTED) from None


def _end_as(job: Job, again: str) -> None:
    """Ends with the exit code of the sweep, and says how it goes on if it can."""
    from cluster.jobs import State

    if job.state is State.SUCCEEDED:
        return
    code = INTERRUPTED if job.state is State.STOPPED else job.exit_code
    reason = f": {job.message.splitlines()[0]}" if code is None and job.message else ""
    if code is None or code <= 0:  # killed, or never started
        code = FAILED
    fail(f"\nsweep {job.id} has not finished{reason}; go on with it: {again}", code)
