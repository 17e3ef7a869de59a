"""What was done to a panda, for people: a few sentences and a table, in Markdown. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from tuner.engine.panda.schedule import Schedule
from tuner.trial import Row, Value


def listed(values: Mapping[str, Value]) -> str:
    """`learning_rate=0.003, momentum=0.95`."""
    return ", ".join(f"{name}={value}" for name, value in values.items())


def table(schedule: Schedule) -> str:
    """The schedule as a Markdown table: from which epoch on which values."""
    rows = [f"| 1 | {listed(schedule.params)} |"]
    for change in schedule.changes:
        before = schedule.cut(change.epoch).shown(change.epoch)
        parts = [f"{name} {before.get(name)} → {value}" for name, value in change.values.items()]
        rows.append(f"| {change.epoch + 1} | {', '.join(parts) or 'as before'} |")
    return "\n".join(["| from epoch | hyperparameters |", "|---|---|", *rows])


def summary(panda: str, schedule: Schedule, best: Row | None, epochs: int, trained: int) -> str:
    """Where the panda stands, and how it came there."""
    lost = f"; {trained - epochs} more were rewound" if trained > epochs else ""
    stands = f"{epochs} epochs{lost}."
    if best:
        stands += f" Best validation loss {best.val_loss:.4g} (accuracy {best.val_accuracy:.4f}) at epoch {best.epoch}."
    return f"### Panda {panda}\n\n{stands}\n\n{table(schedule)}\n"
