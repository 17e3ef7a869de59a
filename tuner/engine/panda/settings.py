"""Which hyperparameters can change while a model trains, and what is wrong with an assignment. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tuner.search.space import OneOf
from tuner.spec.axes import CONDITIONS, rule_of
from tuner.spec.problems import nearest, shown
from tuner.spec.reading import ReadingError, read
from tuner.trial import Value

CHANGEABLE = (
    *("learning_rate", "momentum", "beta1", "beta2", "epsilon"),
    *("weight_decay", "decay_rate", "decay_every", "batch_size"),
)
EPOCHS = "epochs"  # how long to train: no hyperparameter, but set like one
_FACTORS = ("exponential", "staircase")  # decays that multiply by their rate
_FIXED = {
    "optimizer": "its memory is of another kind",
    "decay": "the schedule it began with goes on; set learning_rate and decay_rate instead",
}


def assignments(texts: Iterable[str]) -> dict[str, Value]:
    """`learning_rate=0.003 momentum=0.95` (or one text each, or commas) as values. ValueError for anything else."""
    found: dict[str, Value] = {}
    for part in " ".join(texts).replace(",", " ").split():
        name, equals, text = part.partition("=")
        value = _value(text)
        if not name or not equals or not isinstance(value, Value):
            raise ValueError(f"a setting must be NAME=VALUE, such as learning_rate=0.003, not {part[:60]!r}")
        if name in found:
            raise ValueError(f"{name} is given twice: give it once")
        found[name] = value
    return found


def _value(text: str) -> object:
    """What the text is in a spec; None for what is nothing there."""
    try:
        return read(text).data if text else None
    except ReadingError:
        return None


def checked(values: Mapping[str, Value], params: Mapping[str, Value], rows: int) -> dict[str, Value]:
    """`values` as they would be set on a model of the active hyperparameters `params`; `rows` are those of an epoch.

    ValueError that names the rule, the value and what to do instead.
    """
    return {name: _checked(name, value, params, rows) for name, value in values.items()}


def _checked(name: str, value: Value, params: Mapping[str, Value], rows: int) -> Value:
    if name not in CHANGEABLE:
        raise ValueError(_refusal(name))
    rule = rule_of(name)
    if rule is None or name not in params:
        raise ValueError(f"{name} has no effect here: it is active only {_condition(name, params)}")
    try:
        legal = rule.read(value)
    except ValueError as error:
        raise ValueError(f"{name} {error}") from None
    if not isinstance(legal, Value):
        raise ValueError(f"{name} must be one value, got {shown(value)}: to try many, fan out")
    if name == "batch_size" and int(legal) > rows:
        raise ValueError(f"batch_size must be at most {rows:,}, the rows of an epoch, got {legal:,}: make it smaller")
    if name == "decay_rate" and params.get("decay") in _FACTORS and not 0 < float(legal) <= 1:
        factor = params["decay"]
        raise ValueError(f"decay_rate must be above 0 and at most 1, because {factor} multiplies by it, got {legal}")
    return legal


def epochs_of(value: Value, trained: int) -> int:
    """The number of epochs to train to. ValueError if it is none, or the line is longer already."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 10**9 or value < trained:
        raise ValueError(f"epochs must be a whole number of at least {max(trained, 1)} (trained so far), got {value!r}")
    return value


def _refusal(name: str) -> str:
    can = ", ".join(CHANGEABLE)
    if rule_of(name) is None:
        return f"unknown hyperparameter {name!r}{nearest(name, (*CONDITIONS, EPOCHS))}; these can change: {can}"
    why = _FIXED.get(name, "it is part of the network that the weights belong to")
    return f"{name} cannot change while a model trains: {why}. These can: {can}. For another {name} start another panda"


def _condition(name: str, params: Mapping[str, Value]) -> str:
    parts = [
        f"where {one.name} is {' or '.join(map(str, one.values))}, and here it is {params.get(one.name, 'not')}"
        for one in CONDITIONS[name]
        if isinstance(one, OneOf)
    ]
    return ", ".join(parts) or "where it is given at the start"
