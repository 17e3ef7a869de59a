"""Sweeps without Ray: real specs, snapshots, decisions and journals; packs are trained here, or made up."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from models.classifier import Classifier
from models.inference import Inference
from models.layout import Layout
from tuner.data.snapshot import Snapshot
from tuner.engine import examined
from tuner.engine.account import Account
from tuner.engine.accounting import account
from tuner.engine.conclusion import conclude
from tuner.engine.history import History
from tuner.engine.journal import Journal, rows_to_json
from tuner.engine.objects import MODEL_FOLDER, result_name
from tuner.engine.place import Place
from tuner.engine.status import Reporter
from tuner.engine.storage import Storage
from tuner.engine.sweep import create, load
from tuner.engine.work import PackRun
from tuner.spec import Spec, from_mapping
from tuner.trial import Pack, Row, Stage, Trial, seed_of

Losses = Callable[[Trial, int], float]  # of a trial after so many epochs
QUICK: dict[str, Any] = {
    "model": {"hidden_layers": {"int": [0, 2]}, "hidden_units": {"log_int": [8, 32]}},
    "train": {
        "batch_size": 32,
        "optimizer": {"choice": ["momentum", "adam"]},
        "learning_rate": {"log_uniform": [1e-3, 1]},
    },
    "search": {"sampler": "random", "trials": 8, "seed": 0},
    "stopping": {"asha": {"min_epochs": 1, "max_epochs": 4, "reduction": 2}},
    "objective": {"confirm": 2, "seeds": 2, "baseline": False},
}


def made_up(trial: Trial, epoch: int) -> float:
    """A learning curve with its optimum near a rate of 0.03, worse without batch norm; one in twenty diverges."""
    random = Random(seed_of(trial.seed, "curve"))
    if random.random() < 0.05 and epoch >= 2 and trial.stage is Stage.SEARCH:
        return math.nan
    worse = 0.0 if trial.params.get("batch_norm") else 0.3
    return abs(math.log10(float(trial.params["learning_rate"]) / 0.03)) / 3 + 1 / epoch + 0.1 * random.random() + worse


def data(folder: Path, classes: tuple[str, ...] = ("early", "late", "never"), rows: int = 240) -> Path:
    """A csv of two groups of four numbers, one category and a label, that a network can learn."""
    import pandas as pd

    random = np.random.default_rng(0)
    label = np.arange(rows) % len(classes)
    X = random.normal(0, 0.8, (rows, 4)) + np.column_stack([np.cos(label * 2), np.sin(label * 2), label * 0, label * 0])
    frame = pd.DataFrame(X, columns=["depart", "arrive", "noise <b>", "more"])
    frame["carrier"] = np.where(label == 0, "AA", "UA")
    frame.assign(delay=[classes[place] for place in label]).to_csv(folder / "rows.csv", index=False)
    return folder / "rows.csv"


def place(folder: Path) -> Place:
    """Where everything lies below `folder`."""
    return Place(folder, Storage(folder / "storage"), "sqlite:///:memory:")


def begun(where: Place, source: Path, **changed: Any) -> str:
    """The id of a new sweep; `changed` sections go over those of QUICK."""
    parts = {"validation": {"fraction": 0.25}, "holdout": {"fraction": 0.25}} | changed.pop("data", {})
    asked = {**QUICK, **changed, "name": "made", "data": {"source": str(source), "target": "delay", **parts}}
    return create(from_mapping(asked), where, "made-1")


def driven(where: Place, sweep_id: str, losses: Losses | None = None, packs: int | None = None) -> tuple[Spec, History]:
    """The sweep after `packs` packs, or at its end with a result: really trained, or with `losses` made up."""
    sweep = where.sweep(sweep_id)
    spec, _, history = load(sweep)
    history.begin()
    while packs is None or packs > 0:
        number = history.ask(2)
        if number is None:
            break
        _train(sweep, where, history, number, losses)
        packs = None if packs is None else packs - 1
    else:
        return spec, history
    conclude(sweep, history, Reporter(sweep, sweep_id, spec.name, lambda _: None))
    return spec, history


def told(where: Place, sweep_id: str, losses: Losses | None = None, packs: int | None = None) -> Account:
    """The account of it."""
    spec, history = driven(where, sweep_id, losses, packs)
    sweep = where.sweep(sweep_id)
    ended = history.concluded and json.loads(sweep.read("result.json"))["status"]
    return account(sweep, spec, history, ended or "running")


def _train(sweep: Storage, where: Place, history: History, number: int, losses: Losses | None) -> None:
    pack = history.open[number]
    if losses is None:
        list(PackRun.of(sweep.uri, number, str(where.snapshots)).run())
    else:
        sweep.write(result_name(pack.id), json.dumps(_result(pack, losses)).encode())
        if pack.stage is Stage.REFIT and pack.trials[0].number == 0:
            _export(sweep, where)
    history.done(pack.id)


def _result(pack: Pack, losses: Losses) -> Mapping[str, Any]:
    rows = []
    for trial in pack.trials:
        for epoch in range(pack.from_epoch + 1, pack.to_epoch + 1):
            loss = losses(trial, epoch)
            held = math.nan if pack.stage is Stage.REFIT else loss
            rows.append(Row(trial.id, epoch, loss, held, math.exp(-loss), 0.1, 1000.0))
            if not math.isfinite(loss):
                break
    found = {} if pack.stage is Stage.SEARCH else {trial.id: (0.9, 0.7) for trial in pack.trials}
    timings = [(pack.trials[0].id, len(rows), 0.01 * len(rows))]
    return {"rows": rows_to_json(rows), "timings": timings, "holdout": found, "seconds": 0.01 * len(rows)}


def _export(sweep: Storage, where: Place) -> None:
    """A softmax regression with random weights: what counts is that there is a model."""
    import torch

    snapshot = Snapshot.open(where.snapshots / Journal(sweep).read(1)["snapshot"]["digest"])
    layout = Layout(snapshot.encoder.width, (), len(snapshot.classes), batch_norm=False)
    values = torch.randn(1, layout.length, generator=torch.Generator().manual_seed(0))
    network = Inference(layout, values, "relu", len(snapshot.classes))
    model = Classifier(snapshot.encoder, network, snapshot.classes)
    model.save(Path(sweep.path(MODEL_FOLDER)))
    examined.leave(sweep, model, snapshot)
