"""The spec as a whole: one sweep, described completely."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from pydantic import Field

from tuner.search.space import LARGEST_GRID, Space
from tuner.spec.axes import deepest, rule_of, space_of, whole_space
from tuner.spec.data import Data
from tuner.spec.expansion import Bounds, bounds, expandable, expanded
from tuner.spec.hyperparameter import PerLayer, Rule
from tuner.spec.names import NAME, NAME_RULE
from tuner.spec.reading import write
from tuner.spec.schema import Budget, Model, Objective, Resources, Tracking, Train
from tuner.spec.search import Search
from tuner.spec.secrets import holds_secret
from tuner.spec.section import Section
from tuner.spec.stopping import Halving, Stopping


class Spec(Section):
    """One sweep. All but name and data may be left out."""

    name: str = Field(
        pattern=NAME,
        description=f"Names the experiment in MLflow: {NAME_RULE}.",
    )
    data: Data = Field(description="Where the rows come from and how they are split.")
    model: Model = Field(default_factory=Model, description="The network. A plain value is fixed, a domain searched.")
    train: Train = Field(default_factory=Train, description="The training. A plain value is fixed, a domain searched.")
    search: Search = Field(default_factory=Search, description="What is tried, and in which order.")
    stopping: Stopping = Field(default_factory=lambda: Stopping(asha=Halving()), description="Which trials go on.")
    objective: Objective = Field(default_factory=Objective, description="What is best, and how sure to be of it.")
    budget: Budget = Field(default_factory=Budget, description="When to stop starting more.")
    resources: Resources = Field(default_factory=Resources, description="What each worker needs.")
    tracking: Tracking = Field(default_factory=Tracking, description="Where results are written.")

    def space(self) -> Space:
        """What the search may draw; axes by falling importance. With search.expand, these are longer than named."""
        named = space_of(self.model, self.train)
        return expanded(named, self._rules(named)) if self.search.expand else named

    def bounds(self) -> dict[str, Bounds]:
        """The part of an axis of `space`, which is [0, 1], that the spec names; axes named in full are left out."""
        return bounds(space_of(self.model, self.train), self.space())

    def to_yaml(self) -> str:
        """This spec with every default written out; loads to an equal spec, also when defaults have changed."""
        return write(self.model_dump())

    def conflicts(self) -> Iterator[tuple[str, str]]:
        units, depth = self.model.hidden_units, deepest(self.model.hidden_layers)
        if isinstance(units, PerLayer) and isinstance(units.layers, tuple) and len(units.layers) < depth:
            text = f"hidden_layers goes up to {depth}, and per_layer has only {len(units.layers)}: add the rest"
            yield "model.hidden_units", text
            return
        points = self.search.points or 2
        combinations = self.space().combinations(points) if self.search.sampler == "grid" else 0
        if combinations > LARGEST_GRID:
            text = f"{points} points per axis make {combinations:,} combinations, more than {LARGEST_GRID:,}"
            yield "search.points", f"{text}: fix some hyperparameters, set fewer points, or use sobol"
        if self.search.earlier and not self.space().axes:
            yield "search.from", "nothing is searched, so there is nothing to learn from them: leave it out"
        yield from self._boxless()
        yield from self._incomparable()
        if self.search.expand and not expandable(self.space()):
            kinds = "uniform, log_uniform and one_minus_log_uniform"
            yield "search.expand", f"has nothing to expand: only {kinds} can grow, and none is searched"

    def _boxless(self) -> Iterator[tuple[str, str]]:
        searched = [axis.name for axis in self.space().axes]
        for name in self.search.focus.widths if self.search.focus else ():
            if name not in searched:
                told = ", ".join(searched) or "nothing"
                yield f"search.focus.widths.{name}", f"is not searched, so it has no box; searched: {told}"

    def _incomparable(self) -> Iterator[tuple[str, str]]:
        name, choices = (
            self.objective.compare,
            [axis.name for axis in self.space().axes if axis.domain.kind == "choice"],
        )
        if name and name not in choices:
            told = ", ".join(choices) or "none is"
            yield (
                "objective.compare",
                f"must be a hyperparameter that is searched as a choice ({told}), got {name!r}",
            )
        elif name and not self.objective.confirm:
            yield "objective.compare", "needs objective.confirm: what is compared is trained on fresh seeds"

    def _rules(self, space: Space) -> dict[str, Rule]:
        """What the hyperparameters of `space` may be, with what others of this spec make of it."""
        rules = {axis.name: rule for axis in space.axes if (rule := rule_of(axis.name))}
        if "decay_rate" in rules and self.train.learning_rate_decay.multiplies:
            rules["decay_rate"] = replace(rules["decay_rate"], most=1)
        return rules

    def warnings(self) -> list[str]:
        """What is legal but probably not meant, one sentence each."""
        return list(self._doubts())

    def _doubts(self) -> Iterator[str]:
        for name in ("validation", "holdout"):
            if self.data.time is not None and getattr(self.data, name).by == "random":
                yield (
                    f"data.{name}: random rows of data that has a time column; on data that changes over time this "
                    "flatters every model and may prefer the wrong one: leave `by` out to take the newest rows"
                )
        yield from self._passwords()
        starts = len(self.search.start or ())
        if starts > self.search.trials:
            told = f"of {starts} configurations only the first {self.search.trials} will be tried"
            yield f"search.start: {told}: set search.trials to more"
        space = self.space()
        searched = [axis.name for axis in space.axes]
        idle = [axis.name for axis in whole_space(self.model, self.train).axes if axis.name not in searched]
        idle = [name for name in idle if self._was_given(name)]
        if idle:
            yield f"never active, so not searched: {', '.join(idle)}"
        if not space.axes:
            yield "nothing is searched: the trials differ in their seeds only"

    def _passwords(self) -> Iterator[str]:
        named = "write ${NAME} and set it in the environment"
        for key, text, instead in (
            ("data.sql.url", self.data.sql.url if self.data.sql else "", named),
            ("data.source", " ".join(self.data.source or ()), named),
            ("search.from", " ".join(self.search.earlier or ()), "keep it in the environment"),
            ("tracking.uri", self.tracking.uri or "", "leave it out and set MLFLOW_TRACKING_URI"),
        ):
            if holds_secret(text):
                yield f"{key}: holds a password, which is stored with the sweep: {instead}"

    def _was_given(self, name: str) -> bool:
        decay = self.train.learning_rate_decay.model_fields_set
        given = self.model.model_fields_set | self.train.model_fields_set | {f"decay_{field}" for field in decay}
        return re.sub(r"(?<=hidden_units)_\d+$", "", name) in given


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a spec, for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Spec.model_json_schema()}
