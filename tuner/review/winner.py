"""The winner, and how sure we are of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
        yield _sure(account, best, seeds, measure)
    elif account.status == "finished":
        yield "It was not trained again on fresh seeds (objective.confirm): it has the luck of the best of many."
    if account.figures["holdout"]["winner"]:
        yield account.figures["verdict"]


def _sure(account: Account, best: Mapping[str, Any], seeds: Sequence[float], measure: Measure) -> str:
    """The search score beside that of fresh seeds: the best of many scores owes some of it to luck."""
    mean, searched = fmean(seeds), next(one.score for one in account.trials if one.trial.id == best["trial"])
    spread = stdev(seeds) if len(seeds) > 1 else 0.0
    size, amount = abs(measure.value(spread)), measure.difference(mean - searched)
    shown = f"{size:.4f}" if measure.name == "val_loss" else f"{size:.1%}"
    told = f"On {counted(len(seeds), 'fresh seed')} the same configuration comes to {measure.text(mean)} ± {shown}"
    if mean > searched:
        told += f": {amount} worse than its search score. So much of that score was luck."
    else:
        told += f": {amount} better than its search score: that was no luck."
    again = account.figures.get("confirmed") or {}
    diverged = again.get("diverged_seeds", 0)
    return told + (f" It diverged on {counted(diverged, 'more seed')}." if diverged else "")


def _confirmations(account: Account, measure: Measure) -> Picture | None:
    """The trials that were trained again: search score, fresh seeds, and their mean with its deviation."""
    if not account.confirmations:
        return None
    scores = {told.trial.id: told.score for told in searched(account)}
    names, rows = list(account.confirmations), []
    for name in names:
        seeds = account.confirmations[name]
        spread = stdev(seeds) if len(seeds) > 1 else 0.0
        mean = fmean(seeds)
        shrinks = ("+" if mean > scores[name] else "-") + measure.difference(mean - scores[name])
        told = ", ".join(measure.text(seed) for seed in seeds)
        deviation = f"{spread:.4f}" if measure.name == "val_loss" else f"{spread:.1%}"
        rows.append((name, measure.text(scores[name]), measure.text(mean), deviation, told, shrinks))
    lead = f"{counted(len(names), 'configuration')} of the search on fresh seeds, the best mean first: {names[0]}"
    text = (
        f"{lead} with {rows[0][2]} ± {rows[0][3]}, after {rows[0][1]} in the search. Bars are one standard deviation."
    )
    head = ("trial", "search", "mean", "deviation", "on each seed", "worse by")
    return Picture("Search score and fresh seeds", text, _seeds(account, scores, measure), head, rows)


def _seeds(account: Account, scores: Mapping[str, float], measure: Measure) -> Figure:
    from plotly.graph_objects import Figure, Scatter

    names, found = list(account.confirmations), account.confirmations
    means = [measure.value(fmean(found[name])) for name in names]
    spreads = [stdev(found[name]) if len(found[name]) > 1 else 0.0 for name in names]
    each = [(name, measure.value(seed)) for name in names for seed in found[name]]
    hover = f"%{{y}}: %{{x:{measure.digits}}}<extra>%{{fullData.name}}</extra>"
    figure = Figure()
    figure.add_trace(
        Scatter(
            x=[short(mean) for mean in means], y=names, mode="markers", name="mean on fresh seeds", hovertemplate=hover,
            marker={"color": VERMILION, "size": 12, "symbol": "diamond"},
            error_x={"type": "data", "array": [short(one) for one in spreads], "color": VERMILION, "width": 8},
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
    figure.update_xaxes(title=measure.axis, tickformat="" if measure.name == "val_loss" else ".0%")
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
