"""How far MLflow has the journal, kept beside the journal."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from tuner.engine.publisher import CURSOR
from tuner.engine.storage import Storage
from tuner.spec import masked


@dataclass(slots=True)
class Cursor:
    """How far MLflow has the journal, and where. `error` is what keeps the rest back.

    `uri` shows no password; whoever publishes brings the one that works. `refused` tells of what MLflow would not
    have of the entries up to `cursor`. `registered` is the number of the result entry that the model is of. `view` is
    the key of the saved view in which MLflow shows the trials.
    """

    uri: str = ""
    cursor: int = 0
    experiment_id: str | None = None
    parent_run_id: str | None = None
    model_uri: str | None = None
    model_alias: str | None = None
    registered: int = 0
    view: str | None = None
    error: str | None = None
    refused: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, sweep: Storage, uri: str) -> Cursor:
        """The cursor of `sweep` in the store `uri`; a new one if it was published elsewhere or not at all."""
        try:
            found: dict[str, Any] = json.loads(sweep.read(CURSOR))
        except (FileNotFoundError, ValueError):
            return cls(masked(uri))
        return cls(**found) if found.get("uri") == masked(uri) else cls(masked(uri))

    def rewind(self, sweep: Storage) -> None:
        """Has everything sent once more if something was refused: somebody may have mended what kept it out."""
        if self.refused:
            self.cursor, self.refused = 0, []
            self.write(sweep)

    def write(self, sweep: Storage) -> None:
        sweep.write(CURSOR, json.dumps(asdict(self)).encode())
