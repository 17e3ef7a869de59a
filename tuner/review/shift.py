"""What rows of another kind cost: losses where the search looked and on the holdout, for each value of a choice. Pure.

Meant for a hyperparameter that a spec names in `objective.compare`, such as batch norm, and a holdout that is not like
the training rows (covariate shift).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

from tuner.engine.account import Account
from tuner.review.parts import Picture, Section
from tuner.review.style import DASHES, PALETTE, SYMBOLS, dressed, label

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

PLACES = ("validation", "holdout")
HEAD = ("trial", "seeds", "validation loss", "holdout loss", "shift costs")
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Variant:
    """One value of the hyperparameter: its best trial, and (validation, holdout) losses of that, one pair a fresh seed.

    A trial without confirmation has the one pair of its own.
    """

    value: str
    trial: str
    losses: Sequence[tuple[float, float]]

    @property
    def means(self) -> tuple[float, float]:
        return fmean(pair[0] for pair in self.losses), fmean(pair[1] for pair in self.losses)


def compared(account: Account) -> Section | None:
    """The section of a sweep's report."""
    return of_result(account.figures)


def of_result(result: Mapping[str, Any]) -> Section | None:
    """The section that a result makes; None where nothing was compared, or not on a holdout."""
    found = result.get("compared") or {"values": ()}
    variants = [
        Variant(str(one["value"]).lower(), one["trial"], [(low, high) for low, high in one["losses"]])
        for one in found["values"]
        if one.get("losses")
    ]
    return shift(str(found["name"]), variants) if len(variants) > 1 else None


def shift(name: str, variants: Sequence[Variant]) -> Section:
    """The section on the hyperparameter `name`; `variants` are two or more, each with a pair of losses or more."""
    named = name.replace("_", " ")
    best, *others = sorted(variants, key=lambda variant: variant.means[1])
    sentences = [_costs(named, variant) for variant in variants]
    sentences += [_judged(named, best, other) for other in others]
    text = "Each thin line is a fresh seed, each thick one their mean: the steeper, the more the holdout's rows cost."
    picture = Picture("From validation to holdout", text, _figure(named, variants), (named, *HEAD), _rows(variants))
    told = [*sentences, "Nothing was chosen by the holdout: these figures are for people."]
    return Section(f"What the holdout's rows cost, by {named}", told, pictures=[picture])


def _costs(named: str, variant: Variant) -> str:
    low, high = variant.means
    moved = "rises" if high > low else "falls"
    return (
        f"With {named} {variant.value} the loss {moved} from {low:.3f} on validation rows to {high:.3f} nats on the "
        f"holdout ({_seeds(variant)})."
    )


def _judged(named: str, best: Variant, other: Variant) -> str:
    """Whether the seeds tell the two apart on the holdout: Welch's interval of the difference of the means."""
    gap, half = other.means[1] - best.means[1], _half_width(best, other)
    lead = f"On the holdout {named} {best.value} is {gap:.3f} nats better than {other.value}"
    if half is None:
        return f"{lead}, on one seed each: that may be chance."
    interval = f"{CONFIDENCE:.0%} interval over seeds: {gap - half:+.3f} to {gap + half:+.3f}"
    return f"{lead} ({interval})." if gap > half else f"{lead}, which may be chance ({interval})."


def _half_width(one: Variant, two: Variant) -> float | None:
    """Half of Welch's interval (1947); None where a variant has one seed."""
    from scipy import stats

    if min(len(one.losses), len(two.losses)) < 2:
        return None
    parts = [stdev(pair[1] for pair in variant.losses) ** 2 / len(variant.losses) for variant in (one, two)]
    if not sum(parts):
        return 0.0
    weights = [part**2 / (len(variant.losses) - 1) for part, variant in zip(parts, (one, two), strict=True)]
    freedom = sum(parts) ** 2 / sum(weights)  # Welch and Satterthwaite's
    quantile = float(stats.t.ppf(0.5 + CONFIDENCE / 2, freedom))
    return quantile * math.sqrt(sum(parts))


def _figure(named: str, variants: Sequence[Variant]) -> Figure:
    """A line a seed from validation to holdout, thin, and the mean's, thick; the scale of the loss is logarithmic."""
    from plotly.graph_objects import Figure, Scatter

    figure = Figure()
    for place, variant in enumerate(variants):
        colour, symbol, dash = (looks[place % len(looks)] for looks in (PALETTE, SYMBOLS, DASHES))
        group = {"x": list(PLACES), "legendgroup": variant.value}
        for pair in variant.losses:
            line = {"color": colour, "width": 1, "dash": dash}
            figure.add_trace(Scatter(y=list(pair), line=line, opacity=0.4, mode="lines", showlegend=False, **group))
        figure.add_trace(
            Scatter(
                y=list(variant.means),
                name=label(f"{named} {variant.value}"),
                mode="lines+markers",
                line={"color": colour, "width": 3, "dash": dash},
                marker={"color": colour, "symbol": symbol, "size": 11},
                hovertemplate="%{y:.4f} nats on %{x} rows<extra>%{fullData.name}, mean</extra>",
                **group,
            )
        )
    ticks = [digit * 10.0**power for power in range(-4, 4) for digit in (1, 2, 5)]
    texts = [f"{tick:g}" for tick in ticks]
    figure.update_yaxes(type="log", title="loss in nats (less is better)", tickvals=ticks, ticktext=texts)
    figure.update_xaxes(range=[-0.2, 1.2], ticktext=["validation rows", "holdout rows"], tickvals=list(PLACES))
    return dressed(figure, 380)


def _rows(variants: Sequence[Variant]) -> list[tuple[str, ...]]:
    rows = []
    for variant in variants:
        low, high = variant.means
        shown = [_spread([pair[place] for pair in variant.losses]) for place in (0, 1)]
        rows.append((variant.value, variant.trial, str(len(variant.losses)), *shown, f"{high - low:+.4f}"))
    return rows


def _spread(losses: Sequence[float]) -> str:
    return f"{fmean(losses):.4f}" + (f" ± {stdev(losses):.4f}" if len(losses) > 1 else "")


def _seeds(variant: Variant) -> str:
    number = len(variant.losses)
    return f"mean of {number} seeds" if number > 1 else "one seed"
