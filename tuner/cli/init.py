"""The command that writes a spec to begin with, init."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tuner.cli.app import Json, answer, app, console
from tuner.cli.waiting import waiting

if TYPE_CHECKING:
    from rich.console import Console

    from tuner.data.guessing.guess import Guess

SHOWN = 6  # columns left out for one reason


@app.command("init")
def begin(
    data: Annotated[str, typer.Argument(help="csv, parquet, feather or npz; URIs and (quoted) globs too.")],
    *,
    target: Annotated[str | None, typer.Option(help="The column with the classes. [default: guessed]")] = None,
    time: Annotated[
        str | None, typer.Option(help="The column that says when a row was made, or none. [default: guessed]")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The file to write. [default: NAME.yaml]", dir_okay=False)] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that is there.")] = False,
    as_json: Json = False,
) -> None:
    """Write a commented spec for a data file: target, time and features are guessed, and it says why."""
    from tuner.data.guessing.guess import guess
    from tuner.data.source import read_all
    from tuner.spec import parse
    from tuner.spec.starter import file_name, starter

    name, shown = file_name(data), console(as_json)
    path = out or Path(f"{name}.yaml")
    if path.exists() and not force:
        raise ValueError(f"{path} is there already: write elsewhere with --out, or over it with --force")
    if not path.parent.is_dir():
        raise ValueError(f"{path.parent} is no folder: make it, or write elsewhere")
    with waiting(shown, f"reading {data}"):
        frame = read_all(data)
    with waiting(shown, f"looking at {frame.shape[1]:,} columns of {len(frame):,} rows"):
        found = guess(frame, target, time)
    text = starter(
        name,
        data,
        rows=found.rows,
        target=(found.target, found.target_reason),
        classes=found.classes,
        time=(found.time, found.time_reason),
        features=found.features if found.left_out else None,
        left_out=found.left_out,
        remarks=found.remarks,
    )
    parse(text)  # nothing is written that `check` would not read
    path.write_text(text, encoding="utf-8")
    _tell(found, path, shown)
    if as_json:
        answer({"spec": str(path), **asdict(found)})


def _tell(found: Guess, path: Path, out: Console) -> None:
    from tuner.spec.starter import shares

    lines = [
        f"target    {found.target} ({found.target_reason})",
        f"classes   {shares(found.classes)} in {found.rows:,} rows",
        f"time      {found.time or 'none, so rows are split at random'} ({found.time_reason})",
        *(f"left out  {_listed(names)}: {reason}" for reason, names in _by_reason(found.left_out).items()),
        *(f"note      {remark}" for remark in found.remarks),
        f"features  {len(found.features):,}{f'; to have one back, list it in {path}' if found.left_out else ''}",
        f"wrote     {path}",
        "",
        f"caviar check {path}",
        f"caviar run {path}",
    ]
    for line in lines:
        out.print(line, markup=False, highlight=False, soft_wrap=True)


def _by_reason(left_out: Mapping[str, str]) -> dict[str, list[str]]:
    """An image has hundreds of columns that are left out for one and the same reason."""
    names: dict[str, list[str]] = {}
    for name, reason in left_out.items():
        names.setdefault(reason, []).append(name)
    return names


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else "")
