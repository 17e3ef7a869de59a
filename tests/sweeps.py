"""A made-up sweep written as a real journal, entry by entry, with a real classifier as its winner."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import nan
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from models.classifier import Classifier
from models.features import Encoder
from models.inference import Inference
from models.layout import Layout
from tuner.engine.journal import Journal, pack_to_json, rows_to_json
from tuner.engine.storage import Storage
from tuner.trial import Pack, Row, Stage, State, Trial, Value

START = 1_700_000_000.0
FRAME = pd.DataFrame(
    {
        "distance": [100.0, 250.5, None, 1000.0] * 10,
        "carrier": ["AA", "UA", "DL", None] * 10,
        "late": [True, False, False, True] * 10,
        "when": pd.date_range("2013-01-01", periods=40, freq="h"),
    }
)


def trial(number: int, stage: Stage = Stage.SEARCH) -> Trial:
    """Trial number 3 of eight diverges."""
    params = {"learning_rate": 0.1 / (number + 1), "hidden_layers": 1, "batch_norm": True, "optimizer": "adam"}
    name = f"t{number:04d}" if stage is Stage.SEARCH else f"{stage}-{number}"
    return Trial(
        name, number, 2**62 + number, params, stage, None if stage is Stage.SEARCH else "t0000", "drawn at random"
    )


def row(name: str, number: int, epoch: int) -> Row:
    """An evaluation whose every figure is a function of trial and epoch."""
    loss = nan if number % 8 == 3 else 1.0 / (1 + number % 7 + epoch)
    at = START + number + epoch / 1000
    return Row(name, epoch, loss, loss + 0.01, 0.5 + epoch / 100, 0.1, at)


def rows(pack: Pack) -> list[Row]:
    return [row(t.id, t.number, epoch) for t in pack.trials for epoch in range(pack.from_epoch + 1, pack.to_epoch + 1)]


def entries(
    trials: int, size: int, sweep: str = "flights-1", model: bool = False, uid: str | None = None
) -> Iterator[dict[str, Any]]:
    """A whole sweep: rungs at 1 and 3 epochs, packs of `size`, a third promoted, a refit, and the result."""
    spec = {"name": "flights", "search": {"sampler": "random", "trials": trials}, "tracking": {"register": "delays"}}
    snapshot = {"digest": "d" * 32, "rows": 40, "classes": ["a", "b"], "splits": {"train": [0, 40]}, "source": "x.csv"}
    yield {
        "kind": "created", "sweep": sweep, "uid": uid or f"uid of {sweep}", "name": "flights",
        "spec": spec, "spec_yaml": "name: flights\n", "snapshot": snapshot,
    }  # fmt: skip
    yield {"kind": "attempt", "host": "here"}
    number = 0
    lowest = [trial(i) for i in range(trials)]
    best = [t for t in lowest if t.number % 8 != 3][: trials // 3]
    for rung, (low, high), members in ((0, (0, 1), lowest), (1, (1, 3), best)):
        for start in range(0, len(members), size):
            number += 1
            pack = Pack(number, Stage.SEARCH, rung, low, high, tuple(members[start : start + size]), f"pack {number}")
            yield {"kind": "pack", "workers": 2, "pack": pack_to_json(pack), "states": {}}
            made = rows(pack)
            yield {"kind": "rows", "pack": number, "rows": rows_to_json(made[: len(made) // 2])}
            yield {
                "kind": "done", "pack": number, "rows": rows_to_json(made), "timings": [], "holdout": {},
                "states": {t.id: _state(t, rung) for t in pack.trials},
            }  # fmt: skip
    waiting = {t.id: [State.STOPPED, 0, "the search ended"] for t in lowest if t not in best and t.number % 8 != 3}
    yield {"kind": "states", "states": waiting}
    refit = Pack(number + 1, Stage.REFIT, 1, 0, 3, (trial(0, Stage.REFIT),), "the winner, refitted")
    yield {"kind": "pack", "workers": 2, "pack": pack_to_json(refit), "states": {}}
    made = [Row(r.trial, r.epoch, r.train_loss, nan, nan, r.learning_rate, r.time + 500) for r in rows(refit)]
    states = {"refit-0": [State.FINISHED, 1, "trained"]}
    yield {
        "kind": "done", "pack": refit.id, "rows": rows_to_json(made), "timings": [], "holdout": {"refit-0": [0.3, 0.9]},
        "states": states,
    }  # fmt: skip
    result = {
        "sweep": sweep,
        "best": {"trial": "t0000", "val_loss": 0.26, "val_accuracy": 0.53, "params": {}},
        "confirmed": {"val_loss_mean": 0.27, "val_loss_std": 0.01, "seeds": 3},
        "holdout": {"winner": {"loss": 0.3, "accuracy": 0.9}, "class_prior": None},
        "summary_markdown": "### flights\n\nWinner: t0000",
    }
    board = [{"rank": 1, "trial": "t0000", "val_loss": 0.26, "learning_rate": 0.1}]
    rounds = [{"round": 1, "trials": [0], "reason": "nothing is known yet"}]
    model_dir = "model" if model else None
    yield {"kind": "result", "result": result, "model_dir": model_dir, "leaderboard": board, "rounds": rounds}
    yield {"kind": "ended", "status": "finished", "reason": ""}


def write(
    folder: Path, trials: int, size: int, *, sweep: str = "flights-1", model: bool = False, uid: str | None = None
) -> Storage:
    """The whole journal (and the winner) in `folder`."""
    storage = Storage(folder)
    if model:
        classifier().save(folder / "model")
    append(Journal(storage), entries(trials, size, sweep, model, uid))
    return storage


def searched(
    folder: Path,
    params: Sequence[Mapping[str, Value]],
    curves: Sequence[Sequence[float]],
    *,
    digest: str = "d" * 32,
    epoch_rows: int | None = None,
    again: Mapping[int, Sequence[Sequence[float]]] | None = None,
) -> Storage:
    """The journal of a sweep that goes on: trials of these `params` and validation losses, epoch by epoch.

    `again` has the losses of trials that were trained again, once for each fresh seed.
    """
    trials = [Trial(f"t{i:04d}", i, i, given) for i, given in enumerate(params)]
    packs = [(Stage.SEARCH, list(zip(trials, curves, strict=True)))]
    for number, seeds in (again or {}).items():
        first = trials[number]
        repeats = [Trial(f"{first.id}-s{i}", i, i, first.params, Stage.CONFIRM, first.id) for i in range(len(seeds))]
        packs.append((Stage.CONFIRM, list(zip(repeats, seeds, strict=True))))
    entries: list[dict[str, Any]] = [
        {"kind": "created", "spec": {"train": {"epoch_rows": epoch_rows}}, "snapshot": {"digest": digest}},
        {"kind": "attempt", "host": "here"},
    ]
    for number, (stage, found) in enumerate(packs, start=1):
        longest = max((len(losses) for _, losses in found), default=1)
        pack = Pack(number, stage, 0, 0, longest, tuple(one for one, _ in found), "made up")
        told = [
            Row(one.id, epoch, loss, loss, 1 - loss, 0.1)
            for one, losses in found
            for epoch, loss in enumerate(losses, start=1)
        ]
        entries.append({"kind": "pack", "workers": 1, "pack": pack_to_json(pack), "states": {}})
        entries.append({"kind": "done", "pack": number, "rows": rows_to_json(told), "timings": [], "holdout": {}})
    storage = Storage(folder)
    append(Journal(storage), iter(entries))
    return storage


def append(journal: Journal, made: Iterator[dict[str, Any]]) -> None:
    """Writes entries, each a second after the one before."""
    for entry in made:
        journal.append({"time": START + len(list(journal.entries())), **entry})


def classifier() -> Classifier:
    """A network with random weights on the encoding of FRAME."""
    encoder = Encoder.fit(FRAME, list(FRAME.columns), min_count=1)
    layout = Layout(encoder.width, (4,), 2, batch_norm=False)
    values = torch.randn(1, layout.length, generator=torch.Generator().manual_seed(0))
    return Classifier(encoder, Inference(layout, values, "relu", 2), ["a", "b"])


def _state(of: Trial, rung: int) -> list[Any]:
    if of.number % 8 == 3:
        return [State.DIVERGED, rung, "its loss was not finite"]
    return [State.FINISHED, rung, "trained to epoch 3"] if rung else [State.WAITING, rung, "rank 5 of 9"]
