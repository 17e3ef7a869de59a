"""The command that only looks at a spec and its data, and what is to be known of a spec before it is run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tuner.cli.app import Json, Sets, SpecPath, StorageUri, answer, app, console, place

if TYPE_CHECKING:
    from rich.console import Console

    from tuner.data.snapshot import Snapshot
    from tuner.spec import Spec
    from tuner.spec.search import Focus
    from tuner.trial import Draw


@app.command()
def check(spec: SpecPath, sets: Sets = None, storage: StorageUri = None, as_json: Json = False) -> None:
    """Read the spec and its data, and say what a sweep would search. Trains nothing."""
    from tuner.engine import build
    from tuner.review.describe import describe_data, describe_space, describe_start
    from tuner.spec import load

    loaded = load(spec, sets or ())
    snapshot = build.snapshot(loaded, place(storage).snapshots)
    out = console(as_json)
    warn(loaded, out)
    out.print(describe_data(snapshot.description))
    trials, starts = _trials(loaded), _starts(loaded)
    out.print(describe_space(loaded.space(), trials))
    for line in _zooming(loaded):
        out.print(line, markup=False, highlight=False)
    if loaded.search.focus:
        around = _around(loaded.search.focus, loaded.search.sampler)
        out.print(describe_start(loaded.space(), starts, around))
    if as_json:
        answer(_checked(loaded, snapshot, trials, starts))


def _checked(spec: Spec, snapshot: Snapshot, trials: int, starts: Sequence[Draw]) -> dict[str, Any]:
    from tuner.search.space import written

    about, space = snapshot.description, spec.space()
    return {
        "name": spec.name,
        "digest": snapshot.digest,
        "rows": about["rows"],
        "classes": about["classes"],
        "columns": list(about["features"]),
        "trials": trials,
        "start": [{"params": space.decode(start.point), "reason": start.reason} for start in starts],
        "space": {axis.name: written(axis.domain) for axis in space.axes},
        "fixed": dict(space.fixed),
        "warnings": [*_warnings(spec), *about["warnings"]],
    }


def warn(spec: Spec, out: Console) -> None:
    """Says what is legal in the spec but probably not meant."""
    for warning in _warnings(spec):
        out.print(f"warning: {warning}", style="yellow", markup=False, highlight=False)


def _starts(spec: Spec) -> list[Draw]:
    """The configurations that are tried first, as their sampler draws them."""
    from tuner.engine import build

    sampler = build.sampler(spec)
    drawn = map(sampler.ask, range(min(len(spec.search.start or ()), spec.search.trials)))
    return [draw for draw in drawn if draw]


def _around(focus: Focus, sampler: str) -> str:
    share = f"{focus.share:.0%} of the trials in boxes of half-width {focus.width:g} around them"
    return f"{share}, the others by the {sampler} sampler"


def _zooming(spec: Spec) -> Iterator[str]:
    """How coarse to fine will go about it, and what it may go beyond."""
    search = spec.search
    if search.sampler != "coarse_to_fine":
        return
    share = f"from the second one on, {search.outside:.0%} of each outside its box"
    yield f"coarse to fine: {search.rounds} rounds; {share}"
    domains = {axis.name: axis.domain for axis in spec.space().axes}
    for name, (low, high) in spec.bounds().items():
        ends = f"{domains[name].from_unit(low):.6g} to {domains[name].from_unit(high):.6g}"
        yield f"  {name} begins with {ends}; its box may grow beyond"


def _trials(spec: Spec) -> int:
    """How many trials a sweep can have: a grid has an end, unless the trials that it leaves are drawn in boxes."""
    search, (points, _) = spec.search, _grid(spec)
    if not points or (search.focus and search.focus.share):
        return search.trials
    return min(search.trials, points + len(search.start or ()))


def _grid(spec: Spec) -> tuple[int, int]:
    """How many points the grid of `spec` has, as its sampler counts them, and how many trials there are for them.

    Both are 0 where the sampler is another one.
    """
    if spec.search.sampler != "grid":
        return 0, 0
    from tuner.engine import build
    from tuner.search.grid import GridSampler
    from tuner.search.warm import WarmStart

    sampler = build.sampler(spec)
    asked = spec.search.trials
    if isinstance(sampler, WarmStart):
        asked = sampler.asked(asked)
        sampler = sampler.inner
    return (sampler.size(), asked) if isinstance(sampler, GridSampler) else (0, 0)


def _warnings(spec: Spec) -> list[str]:
    """The spec's own, and what its trials leave out of a grid: samplers are behind the spec's door."""
    points, asked = _grid(spec)
    if points <= asked:
        return spec.warnings()
    left = f"search.trials of {spec.search.trials:,} leaves out {points - asked:,} of the {points:,} points of the grid"
    whole = f"set it to {points} to try all"
    warm = "the start and the boxes around it take trials, too: set more to try all"
    return [*spec.warnings(), f"{left}: {warm if spec.search.start else whole}"]
