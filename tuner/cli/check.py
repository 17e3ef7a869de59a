"""The command that only looks at a spec and its data, and what is to be known of a spec before it is run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tuner.cli.app import Json, Sets, SpecPath, StorageUri, answer, app, console, place
from tuner.cli.waiting import waiting

if TYPE_CHECKING:
    from rich.console import Console

    from tuner.data.snapshot import Snapshot
    from tuner.search.samplers import Sampler
    from tuner.spec import Spec
    from tuner.trial import Draw


@app.command()
def check(spec: SpecPath, sets: Sets = None, storage: StorageUri = None, as_json: Json = False) -> None:
    """Read the spec and its data, and say what a sweep would search. Trains nothing."""
    from tuner.engine import build, inheritance, sweep
    from tuner.review.describe import describe_data, describe_space, describe_start
    from tuner.search import samplers
    from tuner.spec import load

    loaded, where, out = load(spec, sets or ()), place(storage), console(as_json)
    earlier = sweep.earlier_sweeps(loaded, where)
    with waiting(out, "reading the data"):
        snapshot = build.snapshot(loaded, where.snapshots)
    inherited = inheritance.inherit(build.heir(loaded, snapshot.digest), earlier)
    sampler = build.sampler(loaded, inherited.lessons)
    warnings = _warnings(loaded, sampler)
    _tell(warnings, out)
    out.print(describe_data(snapshot.description))
    trials, starts = samplers.drawn(sampler, loaded.search.trials), _starts(loaded, sampler)
    out.print(describe_space(loaded.space(), trials))
    for line in (*_zooming(loaded), *(f"from {account['words']}" for account in inherited.accounts)):
        out.print(line, markup=False, highlight=False)
    if starts:
        out.print(describe_start(loaded.space(), starts, _around(loaded, sampler)))
    if as_json:
        facts = {"trials": trials, "from": inherited.accounts}
        answer(
            {**_checked(loaded, snapshot, starts), **facts, "warnings": [*warnings, *snapshot.description["warnings"]]}
        )


def _checked(spec: Spec, snapshot: Snapshot, starts: Sequence[Draw]) -> dict[str, Any]:
    from tuner.search.space import written

    about, space = snapshot.description, spec.space()
    return {
        "name": spec.name,
        "digest": snapshot.digest,
        "rows": about["rows"],
        "classes": about["classes"],
        "columns": list(about["features"]),
        "start": [{"params": space.decode(start.point), "reason": start.reason} for start in starts],
        "space": {axis.name: written(axis.domain) for axis in space.axes},
        "fixed": dict(space.fixed),
    }


def warn(spec: Spec, out: Console) -> None:
    """Says what is legal in the spec but probably not meant."""
    from tuner.engine import build

    # Other samplers may need what is installed on the cluster only; what earlier sweeps bring is known where they are.
    is_sized = spec.search.sampler == "grid" and not spec.search.earlier
    _tell(_warnings(spec, build.sampler(spec)) if is_sized else spec.warnings(), out)


def _tell(warnings: Iterable[str], out: Console) -> None:
    for warning in warnings:
        out.print(f"warning: {warning}", style="yellow", markup=False, highlight=False)


def _starts(spec: Spec, sampler: Sampler) -> list[Draw]:
    """The configurations that are tried first, as `sampler` draws them."""
    drawn = map(sampler.ask, range(min(_first(sampler)[0], spec.search.trials)))
    return [draw for draw in drawn if draw]


def _around(spec: Spec, sampler: Sampler) -> str:
    from tuner.spec.search import Focus

    search, share = spec.search, _first(sampler)[1]
    if not share:
        return f"the trials of the {search.sampler} sampler"
    width = search.focus.width if search.focus else Focus().width
    boxes = f"{share:.0%} of the trials in boxes of half-width {width:g} around them"
    return f"{boxes}, the others by the {search.sampler} sampler"


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


def _first(sampler: Sampler) -> tuple[int, float]:
    """How many configurations come first, and the share of the others that is drawn around them."""
    from tuner.search.warm import WarmStart

    return (sampler.starts, sampler.focus.share) if isinstance(sampler, WarmStart) else (0, 0.0)


def _grid(spec: Spec, sampler: Sampler) -> tuple[int, int]:
    """How many points the grid of `spec` has, as its sampler counts them, and how many trials there are for them.

    Both are 0 where the sampler is another one.
    """
    from tuner.search.grid import GridSampler
    from tuner.search.warm import WarmStart

    asked = spec.search.trials
    if isinstance(sampler, WarmStart):
        asked = sampler.asked(asked)
        sampler = sampler.inner
    return (sampler.size(), asked) if isinstance(sampler, GridSampler) else (0, 0)


def _warnings(spec: Spec, sampler: Sampler) -> list[str]:
    """The spec's own, and what its trials leave out of a grid: samplers are behind the spec's door."""
    points, asked = _grid(spec, sampler)
    if points <= asked:
        return spec.warnings()
    left = f"search.trials of {spec.search.trials:,} leaves out {points - asked:,} of the {points:,} points of the grid"
    whole = f"set it to {points} to try all"
    warm = "the start and the boxes around it take trials, too: set more to try all"
    return [*spec.warnings(), f"{left}: {warm if _first(sampler)[0] else whole}"]
