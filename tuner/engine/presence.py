"""How a running sweep shows itself to the others of the cluster, and how many workers it may have beside them."""

from __future__ import annotations

import contextlib
import math
import secrets
import time
from collections.abc import Mapping
from typing import Any

import ray
from ray.util import placement_group, placement_group_table, remove_placement_group

from tuner.engine.history import CannotTrainError
from tuner.engine.share import Claim, appetite, deal

REFRESH_SECONDS = 5.0
IDLE_SECONDS = 5.0  # a sweep that had no use for a worker for so long lends it
HEAD = {"node:__internal_head__": 0.001}  # the head has one of it, no machine is kept alive or busy for it


class Presence:
    """A sweep's claim on the cluster that this process is connected to.

    The claim is the name of a placement group that costs nothing. Ray takes it away with the process that made it, so
    a sweep that was killed needs no heartbeat to be forgotten.
    """

    def __init__(self, cpus: float, gpus: float, max_workers: int | None, patience: float) -> None:
        self.contested = False  # whether there are other sweeps
        self._needs = {"CPU": cpus, "GPU": gpus}
        self._max = max_workers
        self._patience = patience
        self._token = secrets.token_hex(8)
        self._shown: tuple[Claim, Any] | None = None
        self._others: list[Claim] = []
        self._fits = 0
        self._looked, self._fitted = -math.inf, time.monotonic()
        self._running, self._content_since = 0, math.inf

    def workers(self) -> int:
        """How many workers this sweep may have now; asked again every few seconds, for clusters grow and shrink.

        At least one while it is alone: a pack that waits is what makes an autoscaler start a machine. CannotTrainError
        when for `patience` seconds no machine was large enough for one worker.
        """
        now = time.monotonic()
        if now - self._looked > REFRESH_SECONDS:
            self._looked = now
            self._measure(now)
            self._show()
            self._others = [claim for claim in _claims() if claim.token != self._token]
            self.contested = bool(self._others)
        share = deal(max(self._fits, 1), self._claim(), self._others, time.time())
        return min(share, self._max or share)

    def tell(self, running: int, *, hungry: bool) -> None:
        """Takes in how many packs run, and whether there would be more of them for more workers."""
        self._running = running
        if hungry:
            self._content_since = math.inf
        elif math.isinf(self._content_since):
            self._content_since = time.monotonic()

    def withdraw(self) -> None:
        """Leaves the cluster to the others."""
        if self._shown:
            with contextlib.suppress(Exception):  # the cluster may be gone: so is the claim
                remove_placement_group(self._shown[1])
        self._shown = None

    def _claim(self) -> Claim:
        content = time.monotonic() - self._content_since > IDLE_SECONDS
        wanted = [number for number in (self._max, self._running + 1 if content else None) if number is not None]
        return Claim(self._token, appetite(min(wanted, default=None), max(self._fits, 1)))

    def _show(self) -> None:
        claim = self._claim()
        if self._shown and self._shown[0] == claim:
            return
        group = placement_group([HEAD], name=str(claim))
        self.withdraw()
        self._shown = claim, group

    def _measure(self, now: float) -> None:
        nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
        self._fits = sum(self._fitting(node) for node in nodes)
        if self._fits:
            self._fitted = now
        elif now - self._fitted >= self._patience:
            if not any(node["Alive"] for node in nodes):
                raise CannotTrainError("the cluster has no machine any more")
            needs = f"{_amount(self._needs['CPU'], 'CPU')} and {_amount(self._needs['GPU'], 'GPU')}"
            raise CannotTrainError(
                f"a worker needs {needs}, and no machine of the cluster has so much: lower resources.cpus_per_worker "
                "or gpus_per_worker, or add a machine"
            )

    def _fitting(self, node: Mapping[str, Any]) -> int:
        """How many workers fit on one machine."""
        has: Mapping[str, float] = node["Resources"] if node["Alive"] else {}
        return int(min(has.get(name, 0.0) / need for name, need in self._needs.items() if need > 0))


def _claims() -> list[Claim]:
    """Of all sweeps that run on the cluster."""
    table: Mapping[str, Mapping[str, Any]] = placement_group_table()
    named = (Claim.parse(group["name"]) for group in table.values() if group["state"] != "REMOVED")
    return [claim for claim in named if claim]


def _amount(number: float, noun: str) -> str:
    return f"{number:g} {noun}{'s' * (number != 1)}"
