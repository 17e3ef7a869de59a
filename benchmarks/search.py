"""A sweep's search with the real driver, workers and journal; without a command around it, with MLflow on demand."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tuner.engine import sweep
from tuner.engine.journal import Entry, Journal
from tuner.engine.place import Place
from tuner.engine.publisher import Publisher
from tuner.engine.status import Reporter
from tuner.engine.storage import Storage
from tuner.spec import from_mapping
from tuner.trial import Stage

WORKERS = 2


@dataclass(frozen=True, slots=True)
class Searched:
    """What a search left: its journal's entries. Times are in seconds since 1970."""

    storage: Storage
    entries: list[Entry]

    @property
    def done(self) -> list[Entry]:
        return [entry for entry in self.entries if entry["kind"] == "done"]

    @property
    def began(self) -> float:
        """When the first worker had its libraries and its data, and began with its pack."""
        return min(float(entry["time"] - entry["seconds"]) for entry in self.done)

    @property
    def seconds(self) -> float:
        """From then to the last result."""
        return max(float(entry["time"]) for entry in self.done) - self.began

    @property
    def training(self) -> float:
        """Seconds of all workers inside the training loop."""
        return sum(float(seconds) for entry in self.done for _, _, seconds in entry["timings"])

    def idle(self) -> float:
        """The share of the workers' time without a pack, until the last new trial was handed out."""
        packs = [entry for entry in self.entries if entry["kind"] == "pack" and entry["pack"]["stage"] == Stage.SEARCH]
        drained = max(float(entry["time"]) for entry in packs if entry["pack"]["rung"] == 0)
        spans = [
            (max(entry["time"] - entry["seconds"], self.began), min(entry["time"], drained)) for entry in self.done
        ]
        busy = sum(max(end - begin, 0.0) for begin, end in spans)
        return 1 - busy / (WORKERS * (drained - self.began)) if drained > self.began else 0.0


def search(spec: Mapping[str, Any], home: Path, name: str, tracking: str | None = None) -> Searched:
    """Runs the spec's sweep on the Ray that this process is connected to, published to `tracking` if that is given."""
    from tuner.engine import driver  # imports ray, which reads its environment then

    place = Place(home, Storage(home / "storage"), tracking or "")
    wanted = from_mapping({**spec, "resources": {"max_workers": WORKERS}})
    made = sweep.create(wanted, place, name)
    storage = place.sweep(made)
    _, ledger, history = sweep.load(storage)
    reporter = Reporter(storage, made, wanted.name, lambda _: None)
    history.begin()
    with (
        Publisher(storage, tracking, str(home / "tracking.log")) if tracking else contextlib.nullcontext() as publisher
    ):
        driver.run(
            history,
            {"sweep": storage.uri, "snapshots": str(place.snapshots)},
            home / "tune" / made,
            cpus=1,
            gpus=0,
            max_workers=WORKERS,
            patience=0.0,
            deadline=None,
            observe=lambda running: reporter.report(ledger, "running", running=running),
        )
        history.write("ended", status="finished", reason="")
        if publisher:
            publisher.wait(120.0)
    return Searched(storage, [entry for _, entry in Journal(storage).entries()])
