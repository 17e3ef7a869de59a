"""The job that drives a sweep on a cluster: what goes along with it, and what is said of it once it is sent."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cluster.job import Command, Outcome, Submission
from tuner.cli.app import FAILED, answer, fail
from tuner.cli.logs import NAME_LABEL, named

if TYPE_CHECKING:
    from rich.console import Console

    from cluster.jobs import Jobs

PROGRAM = ("python", "-m", "tuner.cli")


def sent(jobs: Jobs, sweep: str, command: Command, *, again: bool = False) -> Submission:
    """Has the cluster run the command as the sweep's job; `again`: even if the last one has succeeded."""
    try:
        return jobs.submit(sweep, command, again=again)
    except OSError as error:
        text = f"it may have been sent: `caviar logs {sweep}` shows it if so"
        fail(f"{error}\n{text}, and `caviar submit SPEC --id {sweep}` attaches to it", FAILED)


def go_on_there(
    sweep: str,
    name: str,
    words: Sequence[str],
    *,
    address: str | None,
    storage: str | None,
    out: Console,
    as_json: bool,
) -> None:
    """Has a cluster run `caviar WORDS`, which goes on with the ended sweep of the spec `name`; returns at once.

    `words` are our own, the sweep's id and whole numbers. ValueError where no cluster is named.
    """
    from tuner.cli.shipment import packed

    variables = environment(storage)
    try:
        there = named(address)
    except ValueError as error:
        raise ValueError(f"the storage of sweep {sweep} is not at hand here (--storage), and {error}") from None
    with packed(None, ship_packages=True) as shipment:
        from cluster.jobs import Jobs

        jobs = Jobs(there)
        before = jobs.job(checked_id(sweep))
        labels = {**(before.labels if before else {}), NAME_LABEL: name}
        command = Command((*PROGRAM, *words), shipment.folder, shipment.packages, variables, labels)
        submission = sent(jobs, sweep, command, again=True)
    tell(sweep, submission, jobs.address, f" --address {jobs.address}" if address else "", out)
    if as_json:
        answer({"sweep": sweep, "submission": submission.outcome, "address": jobs.address})


def tell(sweep: str, submission: Submission, address: str, option: str, out: Console) -> None:
    """Says what came of the submission, and what can be asked of the sweep now."""
    lines = [f"sweep {sweep}: {submission.outcome} ({address})", f"  log    caviar logs -f {sweep}{option}"]
    if submission.outcome is not Outcome.FINISHED:
        lines += [f"  watch  caviar watch {sweep}", f"  stop   caviar stop {sweep}"]
    out.print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)


def checked_id(sweep: str) -> str:
    """`sweep`, which becomes a part of a command line and of a URL."""
    from tuner.spec import NAME, NAME_RULE

    if not re.fullmatch(NAME, sweep):
        raise ValueError(f"a sweep's id must be {NAME_RULE}, not {sweep!r}")
    return sweep


def environment(storage: str | None) -> dict[str, str]:
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
