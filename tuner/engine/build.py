"""Turns the spec into the flat arguments that everything else takes; config stops here."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.config import Config
from tuner.data import snapshot as snapshots
from tuner.data.request import Request
from tuner.data.snapshot import Snapshot
from tuner.data.variables import expanded
from tuner.engine.inheritance import Heir
from tuner.engine.ledger import Ledger
from tuner.engine.packing import CostModel
from tuner.engine.records import Terms
from tuner.search import samplers, stopping
from tuner.search.boxes import Zoom
from tuner.search.focus import Focus
from tuner.search.lessons import Lessons
from tuner.search.samplers import Sampler
from tuner.search.space import Space
from tuner.search.stopping import StoppingRule
from tuner.spec import Spec
from tuner.spec.data import Split
from tuner.trial import Stage, seed_of

if TYPE_CHECKING:
    import pandas as pd


def request(spec: Spec) -> Request:
    """What the snapshot of `spec` is made from."""
    data = spec.data
    return Request(
        target=data.target,
        source=data.source,
        sql_url=expanded(data.sql.url) if data.sql else None,
        sql_query=data.sql.query if data.sql else None,
        features=data.features,
        time=data.time,
        window=timedelta(seconds=data.window.seconds) if data.window else None,
        validation=_part(data.validation),
        holdout=_part(data.holdout),
        validation_by=data.validation.by,
        holdout_by=data.holdout.by,
        now=data.now,
        seed=spec.search.seed,
        min_rows=_largest_batch(spec.space()),
    )


def snapshot(spec: Spec, directory: Path) -> Snapshot:
    """Builds the snapshot of `spec` in `directory`, or finds it there. DataError for data that cannot be used."""
    return snapshots.build(request(spec), directory)


def facts(data: Snapshot) -> dict[str, Any]:
    """What is to be known of the snapshot where it is not at hand: its description, but for the encoding."""
    about = {key: value for key, value in data.description.items() if key != "encoder"}
    return {**about, "inputs": data.encoder.width}


def sampler(spec: Spec, taken: Lessons | None = None) -> Sampler:
    """What draws the trials of `spec`, from none drawn yet, with what is `taken` from earlier sweeps.

    With equal seeds it draws others than those sweeps did.
    """
    search, space = spec.search, spec.space()
    seed = seed_of(search.seed, "from", *search.earlier) if search.earlier else search.seed
    focus = Focus(search.focus.share, search.focus.width, search.focus.widths) if search.focus else None
    zoom = Zoom(search.rounds, search.outside or 0.0, spec.bounds()) if search.rounds else None
    sizes = seed, search.trials, search.points
    return samplers.make(search.sampler, space, *sizes, start=search.start or (), focus=focus, zoom=zoom, lessons=taken)


def rule(spec: Spec) -> StoppingRule:
    """What decides which trials of `spec` go on."""
    chosen = spec.stopping
    reduction = getattr(chosen.rungs, "reduction", 2)
    return stopping.make(chosen.kind, chosen.first, chosen.last, reduction, chosen.keep or 1)


def heir(spec: Spec, digest: str) -> Heir:
    """What decides what a sweep of `spec`, on the snapshot `digest`, takes over from earlier ones."""
    search, objective = spec.search, spec.objective
    return Heir(
        search.trials,
        digest,
        spec.train.epoch_rows,
        objective.metric,
        objective.select,
        rule(spec).rungs,
        search.sampler in samplers.LEARNERS,
        search.start or (),
    )


def ledger(spec: Spec, data: Mapping[str, Any], taken: Lessons | None = None) -> Ledger:
    """The empty ledger of a sweep on the snapshot with the facts `data`; for `taken` see `sampler`."""
    space, search, objective = spec.space(), spec.search, spec.objective
    return Ledger(
        Terms(
            search.seed,
            search.trials,
            objective.metric,
            objective.select,
            objective.confirm,
            objective.seeds,
            objective.baseline,
            objective.compare or "",
            in_step=spec.stopping.kind in stopping.WHOLE_RUNGS,
        ),
        space,
        sampler(spec, taken),
        rule(spec),
        CostModel(
            data["inputs"],
            len(data["classes"]),
            spec.train.epoch_rows or data["rows"]["train"],
            lambda trial: Config.of(trial.params, trial.seed).shape(),
        ),
    )


def frame(found: Ledger) -> pd.DataFrame:
    """One row a trial, the search's first and there the best first: standing, best evaluation, hyperparameters."""
    import pandas as pd

    records = []
    order = list(Stage)
    for trial in sorted(
        found.trials.values(), key=lambda one: (order.index(one.stage), found.score(one.id), one.number)
    ):
        state, rung, reason = found.states[trial.id]
        rows = found.rows.get(trial.id)
        record: dict[str, Any] = {
            "trial": trial.id,
            "stage": trial.stage.value,
            "state": state.value,
            "rung": rung,
            "reason": reason,
        }
        if rows:
            best = found.best_row(trial.id)
            record |= {"epochs": rows[-1].epoch, "val_loss": best.val_loss, "val_accuracy": best.val_accuracy}
        records.append({**record, "seed": trial.seed, **trial.params})
    return pd.DataFrame(records)


def _part(split: Split) -> timedelta | float:
    return timedelta(seconds=split.seconds) if split.seconds else float(split.fraction or 0.0)


def _largest_batch(space: Space) -> int:
    for axis in space.axes:
        if axis.name == "batch_size":
            return max(int(size) for size in axis.domain.grid(2))
    return int(space.fixed["batch_size"])
