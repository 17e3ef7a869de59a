"""The command submit: a sweep leaves for a cluster."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from cluster.job import Command, Job, State, Submission
from tuner.cli.app import BAD_INPUT, FAILED, INTERRUPTED, Json, Sets, SpecPath, answer, app, console, fail
from tuner.cli.check import warn
from tuner.cli.logs import NAME_LABEL, Address, followed, named
from tuner.cli.sending import PROGRAM, checked_id, environment, sent, tell
from tuner.cli.waiting import waiting

if TYPE_CHECKING:
    from cluster.jobs import Jobs
    from tuner.spec import Spec

SPEC_LABEL = "caviar.spec"

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
    sweep = new_id(loaded.name) if sweep_id is None else checked_id(sweep_id)
    there = named(address)
    with waiting(out, f"sending {sweep} with its files to {there}"):
        jobs, submission = send(loaded, sweep, there, storage, ship=not no_ship)
    if submission.labels.get(SPEC_LABEL, mine := _labels(loaded)[SPEC_LABEL]) != mine:
        out.print("warning: it was submitted with another spec, and that is the one that counts", style="yellow")
    tell(sweep, submission, jobs.address, f" --address {jobs.address}" if address else "", out)
    found = {"sweep": sweep, "submission": submission.outcome, "address": jobs.address}
    farewell = f"sweep {sweep} goes on; only the following has ended"
    job = followed(jobs, sweep, as_json, submission.printed, farewell) if follow else None
    if as_json:
        answer({**found, "state": job.state, "exit_code": job.exit_code} if job else found)
    if job:
        _end_as(job)


def send(spec: Spec, sweep: str, address: str, storage: str | None, *, ship: bool) -> tuple[Jobs, Submission]:
    """Sends the sweep to the cluster at `address`, once all that can be checked here is."""
    from tuner.cli.shipment import packed

    variables = environment(storage)
    with packed(spec, ship_packages=ship) as shipment:
        from cluster.jobs import Jobs

        words, jobs = (*PROGRAM, "run", "spec.yaml", "--id", sweep, "--go-on"), Jobs(address)
        labels = {**_labels(spec), **labels_that_count(jobs, sweep)}
        return jobs, sent(jobs, sweep, Command(words, shipment.folder, shipment.packages, variables, labels))


def labels_that_count(jobs: Jobs, sweep: str) -> Mapping[str, str]:
    """What a job that has ended told about the sweep that it began, which goes on with its own spec; {} if none did."""
    job = jobs.job(sweep)
    began = job and job.state.ended and job.exit_code != BAD_INPUT and jobs.log(sweep)
    return job.labels if job and began else {}


def _labels(spec: Spec) -> dict[str, str]:
    """What a job tells about its sweep."""
    digest = hashlib.sha256(spec.to_yaml().encode()).hexdigest()[:16]
    return {NAME_LABEL: spec.name, SPEC_LABEL: digest}


def _end_as(job: Job) -> None:
    """Ends with the exit code of the sweep, and says how it goes on if it can."""
    if job.state is State.SUCCEEDED:
        return
    code = INTERRUPTED if job.state is State.STOPPED else job.exit_code
    if code == BAD_INPUT:
        fail(f"\nsweep {job.id} was not begun: correct what its log tells, and submit it again", code)
    reason = f" ({job.message.splitlines()[0]})" if code is None and job.message else ""
    if code is None or code <= 0:  # killed, or never started
        code = FAILED
    fail(f"\nsweep {job.id} has not finished{reason}: submit it again with --id {job.id} to go on", code)
