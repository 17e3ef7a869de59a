"""The contenders on the holdout, and the gate's verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

import numpy as np

from models.classifier import Classifier
from tuner.engine.tracking import classifier_of
from tuner.retune import contenders, gate, material
from tuner.retune.judgement import Contenders, Rule, Verdict
from tuner.retune.policy import GateRule, span
from tuner.retune.setting import Setting, Step, champion_of
from tuner.retune.states import Period, State

GIVEN = ("min_delta", "confidence", "tolerance", "class_tolerance", "min_slice_rows", "resamples")
AFTER_VERDICT = {
    Verdict.BLESSED: State.BLESSED,
    Verdict.REJECTED: State.REJECTED,
    Verdict.INCONCLUSIVE: State.INCONCLUSIVE,
}


def evaluate(setting: Setting, period: Period) -> Step:
    """CANDIDATE: measures all contenders on the holdout and asks the gate."""
    moved = moved_by_hand(setting, period)
    if moved:
        return Step(State.INCONCLUSIVE, moved)
    models = dict[str, Classifier]()
    for name, load in _loaders(setting, period).items():
        try:
            models[name] = load()
        except ValueError as error:
            return Step(State.INCONCLUSIVE, f"the {name} cannot be loaded, so nothing can be compared with it: {error}")
    rows = material.kept(setting.folder(period.period))
    judgement = gate.judge(_measured(setting, models, rows), _rule(setting.policy.gate), seed=setting.spec.search.seed)
    return Step(State.EVALUATED, judgement.reason, {"evaluation": judgement.to_json()})


def conclude(_: Setting, period: Period) -> Step:
    """EVALUATED: the verdict becomes the state."""
    judged = period.data["evaluation"]
    return Step(AFTER_VERDICT[Verdict(judged["verdict"])], judged["reason"])


def approve(setting: Setting, period: Period) -> Step:
    """BLESSED: on to the promotion, or to a person who decides."""
    if setting.policy.approval == "manual":
        return Step(
            State.PENDING_APPROVAL,
            f"{period.reason.rstrip('.')}; `caviar retune promote` promotes it, `decline` does not",
        )
    return Step(State.PROMOTING, period.reason)


def moved_by_hand(setting: Setting, period: Period, *others: str) -> str | None:
    """Why the comparison holds no more: another version than that (or one of `others`) is champion now."""
    champion = champion_of(period)
    then = champion["version"] if champion else None
    found = setting.champions.version(setting.policy.model, "champion")
    now = found.number if found else None
    if now in (then, *others):
        return None
    names = [f"version {number}" if number else "no version" for number in (then, now)]
    return (
        f"{names[0]} was champion when the period began, and {names[1]} is now: somebody moved the alias; left as it is"
    )


def _loaders(setting: Setting, period: Period) -> dict[str, Callable[[], Classifier]]:
    """How to load the contenders that there are."""
    champion, uri = champion_of(period), setting.spec.tracking.uri or setting.place.tracking
    loaders = {"challenger": partial(classifier_of, uri, period.data["tuning"]["model_uri"])}
    if champion:
        loaders["champion"] = partial(setting.champions.load, setting.policy.model, champion["version"])
    if period.data["retrained"].get("model_uri"):
        loaders["retrained"] = partial(classifier_of, uri, period.data["retrained"]["model_uri"])
    return dict(loaders)


def _measured(setting: Setting, models: Mapping[str, Classifier], fresh: material.Material) -> Contenders:
    data, rule, rows = setting.spec.data, setting.policy.gate, fresh.holdout
    labels = rows[data.target or "y"].astype(str).tolist()
    classes = sorted({*labels, *(str(name) for model in models.values() for name in model.classes)})
    found = {name: contenders.measure(model, rows, labels) for name, model in models.items()}
    lacking = {name: _lacking(model, classes) for name, model in models.items()}
    shares = contenders.prior(fresh.facts["class_counts"], fresh.facts["classes"])
    return Contenders(
        np.array([classes.index(name) for name in labels], dtype=np.int64),
        classes,
        {name: measured[0] for name, measured in found.items()},
        {name: measured[1] for name, measured in found.items()},
        contenders.blocks(rows[str(data.time)], span(rule.block) if rule.block else timedelta(days=1)),
        contenders.slices(rows, rule.slices or ()),
        {name: absent for name, absent in lacking.items() if absent},
        [shares.get(name, 0.0) for name in classes],
    )


def _lacking(model: Classifier, classes: Sequence[str]) -> list[str]:
    """Classes that occur in the data or are known to others, and that this model cannot predict."""
    return [name for name in classes if name not in {str(known) for known in model.classes}]


def _rule(rule: GateRule) -> Rule:
    given: dict[str, Any] = {name: getattr(rule, name) for name in GIVEN}
    return Rule(**given, first_max_loss=rule.first.max_loss, first_min_accuracy=rule.first.min_accuracy)
