"""The Trainable that Ray Tune runs: one Tune trial trains one pack. A thin shell around `work`."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from typing import Any

import ray
from ray import tune

from tuner.engine import delivery
from tuner.engine.journal import rows_to_json
from tuner.engine.objects import give_up
from tuner.engine.storage import Storage
from tuner.trial import Row

LEAVE = "leave"  # in the configuration of a pack of no trials: its worker is to end
STEP_SECONDS = 2.0  # a step ends at the first evaluation after so long: a small pack is one step


class PackTrainable(tune.Trainable):
    """Trains the pack that a journal entry holds. Its actor is reused from pack to pack."""

    def setup(self, config: dict[str, Any]) -> None:
        self._rows = self._train(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.setup(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Trains for about STEP_SECONDS. A pack that ends leaves its result in storage, an error likewise.

        HostError where this host is at fault: for Tune the worker is lost, and the pack is handed out again.
        """
        began = time.monotonic()
        rows: list[Row] = []
        try:
            for found in self._rows:
                rows += found
                if time.monotonic() - began > STEP_SECONDS:
                    return {"done": False, "progress": json.dumps(rows_to_json(rows))}
        except delivery.HostError as error:
            print(error, file=sys.stderr, flush=True)  # in Ray's log of this worker
            raise
        except Exception as error:  # the same pack would fail again: an outcome, nothing for Tune to retry
            give_up(Storage(self.config["sweep"]), self.config["pack"], error)
        return {"done": True, "progress": "[]"}

    @staticmethod
    def _train(config: dict[str, Any]) -> Iterator[list[Row]]:
        """Trains the pack to its end and leaves its result; whatever can fail, fails in here."""
        if LEAVE in config:
            ray.actor.exit_actor()  # type: ignore[no-untyped-call]
        from tuner.engine.work import PackRun  # needs torch, which the driver must not wait for

        snapshots = delivery.at_hand(config["snapshots"], config["digest"], config["node"])
        yield from PackRun.of(config["sweep"], config["entry"], snapshots).run()

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing: the state between rungs goes through storage."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Nothing: a pack that was lost goes on from what it left in storage."""
