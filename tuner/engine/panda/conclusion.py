"""The end of a panda: the network at the evaluation that counts, measured, exported, and written down."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from models.classifier import Classifier
from models.inference import Inference
from tuner.engine.assignment import Assignment
from tuner.engine.objects import MODEL_FOLDER
from tuner.engine.panda import account, line
from tuner.engine.panda.chronicle import Chronicle
from tuner.engine.panda.session import Session
from tuner.trial import Row, Stage

SCHEDULE = "schedule.json"


def conclude(session: Session) -> None:
    """Exports the model and writes the result into the journal; nothing, if no loss was finite."""
    found, given = session.chronicle, session.given
    best = found.best()
    if best is None:
        return
    network = _network(given, found, best)
    loss, accuracy = given.holdout(network)
    result = figures(found, best) | {"holdout": {"winner": {"loss": loss, "accuracy": accuracy}}}
    _export(given, network, result["schedule"])
    given.sweep.write("result.json", json.dumps(result).encode())
    session.write("result", result=result, model_dir=MODEL_FOLDER)


def figures(found: Chronicle, best: Row) -> dict[str, Any]:
    """What is known of the panda, but for the holdout. `params` are those of the start: the schedule has the rest."""
    panda, schedule = str(found.created["sweep"]), found.schedule.cut(best.epoch)
    return {
        "panda": panda,
        "status": "finished",
        "best": {
            "params": dict(schedule.params),
            "seed": schedule.seed,
            "epoch": best.epoch,
            "val_loss": best.val_loss,
            "val_accuracy": best.val_accuracy,
        },
        "schedule": {**schedule.to_json(), "epochs": best.epoch},
        "epochs": found.epoch,
        "epochs_trained": found.trained,
        "origin": found.created["panda"]["origin"],
        "summary_markdown": account.summary(panda, found.schedule, best, found.epoch, found.trained),
    }


def _network(given: Assignment, found: Chronicle, best: Row) -> Inference:
    arrays = given.arrays(Stage.SEARCH)
    slots = line.at(given, found.schedule, best.epoch)
    slots.to(arrays.X.device)
    return slots.inference(arrays.X[arrays.train]).single(0, slots.configs[0].widths)


def _export(given: Assignment, network: Inference, schedule: Mapping[str, Any]) -> None:
    """The model's folder, as a sweep's winner has it, and what it was trained with."""
    snapshot, panda = given.snapshot, given.sweep
    with tempfile.TemporaryDirectory() as folder:
        Classifier(snapshot.encoder, network, snapshot.classes).save(Path(folder))
        for file in sorted(Path(folder).iterdir()):
            panda.write(f"{MODEL_FOLDER}/{file.name}", file.read_bytes())
    panda.write(f"{MODEL_FOLDER}/sample.json", (snapshot.directory / "sample.json").read_bytes())
    panda.write(f"{MODEL_FOLDER}/{SCHEDULE}", json.dumps(schedule, indent=1).encode())
