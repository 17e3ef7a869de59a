"""The winner, and how sure we are of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

from tuner.engine.account import Account
from tuner.review.fates import searched
from tuner.review.measure import Measure, counted, measure_of, number, short
from tuner.review.parts import Picture, Section
from tuner.review.style import BLUE, GREEN, GREY, VERMILION, dressed

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

HOLDOUT = {
    "winner": ("the winner", VERMILION, "star"),
    "softmax_regression": ("plain softmax regression", GREEN, "diamond"),
    "class_prior": ("class frequencies alone", GREY, "circle"),
}


def winner(account: Account) -> Section:
    """Who won, by how much, what fresh seeds say of it, and what rows say that the search never saw."""
    best, measure = account.figures.get("best"), measure_of(account)
    done = account.status in ("finished", "failed")
    if not best:
        return Section("No winner" if done else "No winner yet", [_no_winner(account)])
    title = "The winner, and how sure we are" if done else "The best so far"
    pictures = [picture for picture in (_confirmations(account, measure), _holdout(account)) if picture]
    searched_for = [axis.name for axis in account.space.axes if axis.name in best["params"]]
    rows = [(name.replace("_", " "), number(best["params"][name])) for name in searched_for]
    return Section(title, list(_told(account, best, measure)), ("hyperparameter", "value"), rows, pictures=pictures)


def _no_winner(account: Account) -> str:
    states = ", ".join(f"{count} {state}" for state, count in account.figures["states"].items())
    return f"No trial has a finite loss ({states or 'none was begun'})."


def _told(account: Account, best: Mapping[str, Any], measure: Measure) -> Iterator[str]:
    right = f"{best['val_accuracy']:.1%} right on the validation rows with a loss of {best['val_loss']:.4f}"
    yield f"{best['trial']}, {right}, after epoch {best['epoch']}."
    seeds = account.confirmations.get(best["trial"], ())
    if seeds:
        again = f"On {counted(len(seeds), 'fresh seed')} the same configuration comes to {measure.spread(seeds)}."
        yield f"{again} {account.figures['luck']}"
        if diverged := (account.figures.get("confirmed") or {}).get("diverged_seeds"):
            yield f"It diverged on {counted(diverged, 'more seed')}."
    elif account.status == "finished":
        yield "It was not trained again on fresh seeds (objective.confirm): it has the luck of the best of many."
    if account.figures["holdout"]["winner"]:
        yield account.figures["verdict"]


def _confirmations(account: Account, measure: Measure) -> Picture | None:
    """The trials that were trained again: search score, fresh seeds, and their mean with its deviation."""
    if not account.confirmations:
        return None
    scores = {told.trial.id: told.score for told in searched(account)}
    names, rows = list(account.confirmations), []
    for name in names:
        seeds = account.confirmations[name]
        mean = fmean(seeds)
        shrinks = ("+" if mean > scores[name] else "-") + measure.difference(mean - scores[name])
        told = ", ".join(measure.text(seed) for seed in seeds)
        rows.append((name, measure.text(scores[name]), measure.text(mean), measure.deviation(seeds), told, shrinks))
    lead = f"{counted(len(names), 'configuration')} of the search on fresh seeds, the best mean first: {names[0]}"
    text = f"{lead} with {measure.spread(account.confirmations[names[0]])}, after {rows[0][1]} in the search."
    text += " Bars are one standard deviation." if any(row[3] for row in rows) else ""
    head = ("trial", "search", "mean", "deviation", "on each seed", "worse by")
    return Picture("Search score and fresh seeds", text, _seeds(account, scores, measure), head, rows)


def _seeds(account: Account, scores: Mapping[str, float], measure: Measure) -> Figure:
    from plotly.graph_objects import Figure, Scatter

    names, found = list(account.confirmations), account.confirmations
    means = [measure.value(fmean(found[name])) for name in names]
    # Plotly draws a bar without a length as its caps alone: they are narrower than the mark, which hides them
    spreads = [short(stdev(found[name])) if len(found[name]) > 1 else None for name in names]
    each = [(name, measure.value(seed)) for name in names for seed in found[name]]
    hover = f"%{{y}}: %{{x:{measure.digits}}}<extra>%{{fullData.name}}</extra>"
    figure = Figure()
    figure.add_trace(
        Scatter(
            x=[short(mean) for mean in means], y=names, mode="markers", name="mean on fresh seeds", hovertemplate=hover,
            marker={"color": VERMILION, "size": 12, "symbol": "diamond"},
            error_x={"type": "data", "array": spreads, "color": VERMILION, "width": 5},
        )
    )  # fmt: skip
    figure.add_trace(
        Scatter(
            x=[short(value) for _, value in each], y=[name for name, _ in each], mode="markers", name="one seed",
            marker={"color": BLUE, "size": 8, "opacity": 0.7}, hovertemplate=hover,
        )
    )  # fmt: skip
    figure.add_trace(
        Scatter(
            x=[short(measure.value(scores[name])) for name in names], y=names, mode="markers", name="in the search",
            marker={"color": GREY, "size": 12, "symbol": "circle-open", "line": {"width": 2}}, hovertemplate=hover,
        )
    )  # fmt: skip
    figure.update_xaxes(title=measure.axis, tickformat=measure.ticks)
    figure.update_yaxes(autorange="reversed", type="category")
    return dressed(figure, 130 + 44 * len(names))


def _holdout(account: Account) -> Picture | None:
    """What rows that the search never saw say, beside the models that it must beat."""
    from plotly.graph_objects import Figure, Scatter

    found = {name: one for name, one in account.figures["holdout"].items() if one}
    if "winner" not in found:
        return None
    figure = Figure()
    for name, (title, colour, symbol) in HOLDOUT.items():
        if name in found:
            marker = {"color": colour, "size": 15, "symbol": symbol}
            hover = "%{y}: %{x:.4f}<extra></extra>"
            figure.add_trace(
                Scatter(x=[short(found[name]["loss"])], y=[title], mode="markers", marker=marker, hovertemplate=hover)
            )
    figure.update_layout(xaxis_title="holdout loss in nats")
    figure.update_yaxes(autorange="reversed")
    rows = [(HOLDOUT[name][0], f"{one['loss']:.4f}", f"{one['accuracy']:.1%}") for name, one in found.items()]
    held = sum(account.data["class_counts"]["holdout"])
    text = (
        f"Loss on the {held:,} rows of the holdout, less is better: "
        + ", ".join(f"{name} {loss}" for name, loss, _ in rows)
        + "."
    )
    picture = dressed(figure, 90 + 40 * len(found), legend=False, top=10)
    return Picture("On rows that the search never saw", text, picture, ("", "loss", "accuracy"), rows)
