"""The stopping section: which rule says who is trained on, and its rungs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import Field, model_validator

from tuner.spec.section import Section


class Halving(Section):
    """Rungs at min_epochs, min_epochs * reduction, ... up to max_epochs; 1 in `reduction` goes on at each."""

    min_epochs: int = Field(default=1, ge=1, description="Epochs of the first rung.")
    max_epochs: int = Field(default=27, ge=1, description="Epochs of the last rung.")
    reduction: int = Field(default=3, ge=2, description="One in this many goes on, with that many times the epochs.")

    def conflicts(self) -> Iterator[tuple[str, str]]:
        if self.max_epochs < self.min_epochs:
            yield "max_epochs", f"must be at least min_epochs ({self.min_epochs}), got {self.max_epochs}"


class Full(Section):
    """Every trial is trained to the end."""

    max_epochs: int = Field(default=27, ge=1, description="Epochs of every trial.")


class Stopping(Section):
    """Which trials are trained on. Exactly one of asha, successive_halving, hyperband, pasha, top_k_after and none."""

    alternatives = ("asha", "successive_halving", "hyperband", "pasha", "top_k_after", "none")
    companions = ("keep", "max_epochs")  # of top_k_after
    asha: Halving | None = Field(default=None, description="Promote the best as results come in; workers never wait.")
    successive_halving: Halving | None = Field(
        default=None,
        description="Wait for whole rungs: a seed has one winner, however many the workers.",
    )
    hyperband: Halving | None = Field(
        default=None,
        description="Several ashas side by side, each with the next rung as its first: a hedge against first epochs "
        "that mislead.",
    )
    pasha: Halving | None = Field(
        default=None,
        description="asha with two rungs at first; the next is opened when the ranking of trials changed between the "
        "last two by more than noise. In the end the best trial alone is trained to max_epochs.",
    )
    top_k_after: int | None = Field(
        default=None, ge=1, description="Train all trials for this many epochs, then the best `keep` to the end."
    )
    keep: int | None = Field(default=None, ge=1, description="top_k_after only: how many go on; default: 8.")
    max_epochs: int | None = Field(
        default=None, ge=1, description="top_k_after only: epochs of those that go on; default: 27."
    )
    none: Full | None = Field(default=None, description="Train every trial to the end.")

    @model_validator(mode="before")
    @classmethod
    def _shorthand(cls, raw: Any) -> Any:
        """`none` is short for `{none: {}}`, and so is `{none: null}`; `top_k_after` alone is after one epoch."""
        if isinstance(raw, str) and raw in cls.alternatives:
            raw = {raw: None}
        if isinstance(raw, dict) and len(raw) == 1:
            empty = {"top_k_after": 1}
            return {name: empty.get(name, {}) if value is None else value for name, value in raw.items()}
        return raw

    @classmethod
    def completed(cls, raw: dict[str, Any]) -> dict[str, Any]:
        if raw.get("top_k_after") is not None:
            given = {name: value for name, value in raw.items() if value is not None}
            raw = {"keep": 8, "max_epochs": Full().max_epochs, **given}
        return raw

    def conflicts(self) -> Iterator[tuple[str, str]]:
        yield from super().conflicts()
        given = any(getattr(self, name) is not None for name in self.alternatives)
        if given and self.top_k_after is None:
            for name in self.companions:
                if getattr(self, name) is not None:
                    fitting = f"write it into {self.kind}" if hasattr(self.rungs, name) else "leave it out"
                    yield name, f"belongs to top_k_after, which is not given: {fitting}"
        elif self.top_k_after is not None and self.max_epochs is not None and self.max_epochs <= self.top_k_after:
            yield "max_epochs", f"must be above top_k_after ({self.top_k_after}), got {self.max_epochs}"

    @property
    def kind(self) -> str:
        """Which of the alternatives is given."""
        return next((name for name in self.alternatives if getattr(self, name) is not None), "none")

    @property
    def rungs(self) -> Halving | Full:
        """The first and last rungs, and the reduction where there is one."""
        return self.asha or self.successive_halving or self.hyperband or self.pasha or self.none or Full()

    @property
    def first(self) -> int:
        """Epochs after which trials are first compared; where there are brackets, in the first of them."""
        rungs = self.rungs
        return self.top_k_after or (rungs.min_epochs if isinstance(rungs, Halving) else rungs.max_epochs)

    @property
    def last(self) -> int:
        """Epochs of the longest training."""
        return self.max_epochs or self.rungs.max_epochs
