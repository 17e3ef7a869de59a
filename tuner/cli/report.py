"""The command that makes a report: of a sweep, or of a model's year."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from tuner.cli.app import Json, StorageUri, answer, app, console, place
from tuner.cli.find import find_sweep


@app.command()
def report(
    name: Annotated[
        str | None, typer.Argument(help="A sweep's id, its beginning, or a spec (its newest sweep).", metavar="SWEEP")
    ] = None,
    *,
    retune: Annotated[
        str | None,
        typer.Option(help="Instead of a sweep: the periods of a model, or of a policy's.", metavar="MODEL-or-POLICY"),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="HTML file to write. [default: report.html beside the sweep; MODEL.html]",
            show_default=False,
            dir_okay=False,
        ),
    ] = None,
    storage: StorageUri = None,
    as_json: Json = False,
) -> None:
    """Write what a sweep found, or how a model fared from period to period, as one HTML file that needs no network."""
    if (name is None) == (retune is None):
        raise typer.BadParameter("name a sweep, or a model or policy with --retune: one of the two")
    if out and not out.parent.is_dir():
        raise typer.BadParameter(f"{out.parent} is no folder: make it, or write elsewhere")
    if name is not None:
        subject, found = _sweep(name, storage, out)
    else:
        subject, found = _year(str(retune), out)
    console(as_json).print(f"report   {found}", highlight=False, soft_wrap=True)
    if as_json:
        answer({"subject": subject, "path": found})


def _sweep(name: str, storage: str | None, out: Path | None) -> tuple[str, str]:
    """The sweep's id, and where its report was written."""
    from tuner.engine.accounting import account
    from tuner.engine.objects import REPORT
    from tuner.engine.status import read
    from tuner.engine.sweep import load
    from tuner.review.report import report as page

    where = place(storage)
    sweep_id = find_sweep(name, where)
    sweep = where.sweep(sweep_id)
    spec, _, history = load(sweep)
    status = read(sweep)
    text = page(account(sweep, spec, history, status.status if status else "preparing"))
    if out:
        return sweep_id, _written(out, text)
    sweep.write(REPORT, text.encode())
    return sweep_id, sweep.path(REPORT) if sweep.is_local else f"{sweep.uri}/{REPORT}"


def _year(subject: str, out: Path | None) -> tuple[str, str]:
    """The model's name, and where the report of its periods was written."""
    from tuner.cli.database import periods_opened
    from tuner.cli.period import seen
    from tuner.retune.year import year

    if Path(subject).is_file():
        policy, periods = seen(Path(subject))
        model = policy.model
    else:
        model = subject
        with periods_opened() as opened:
            periods = opened.all(model)
    if not periods:
        raise ValueError(f"{model!r} has no period yet: `caviar retune run POLICY` does the first; names are models'")
    name = re.sub(r"[^-.\w]+", "-", model)
    return model, _written(out or Path(f"{name}.html"), year(model, periods))


def _written(out: Path, text: str) -> str:
    out.write_text(text, encoding="utf-8")
    return str(out)
