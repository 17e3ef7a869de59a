"""Which hyperparameters mattered, and what a grid of as many trials would have seen of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tuner.engine.account import Account
from tuner.review import scales
from tuner.review.axes import ordered
from tuner.review.fates import searched
from tuner.review.measure import counted, number
from tuner.review.parts import Picture, Section
from tuner.review.style import BLUE, GREY, VERMILION, dressed, label
from tuner.search.space import Axis
from tuner.trial import Value

AXES = 4  # of which the values tried are drawn
MARKS = 400  # values of an axis that are drawn
Known = Mapping[str, Any]


def evidence(account: Account) -> Section | None:
    """What the search has shown about its hyperparameters; None where it has none, or no trial."""
    known = account.figures.get("importance")
    if not known or not searched(account):
        return None
    told = [f"{words[0].upper()}{words[1:]}.".replace("_", " ") for words in known["words"]]
    pictures = [_importance(known)] if any("drop" in row for row in known["axes"]) else []
    # of values that are written out, a grid has all, too
    axes = [axis for axis in ordered(account) if not scales.values(axis)]
    pictures += [_beside_a_grid(axes, account, known)] if axes else []
    return Section("What mattered", told, pictures=pictures)


def _importance(known: Known) -> Picture:
    from plotly.graph_objects import Bar, Figure

    rows: Sequence[Known] = known["axes"]
    names = [_named(row["name"]) for row in rows]
    colours = [BLUE if row["mattered"] else GREY for row in rows]
    bars = {"type": "data", "array": [round(row["spread"], 4) for row in rows], "color": GREY, "thickness": 1.5}
    drops = [round(row["drop"], 4) for row in rows]
    look = {"orientation": "h", "marker": {"color": colours}, "hovertemplate": "%{y}: %{x:.2f}<extra></extra>"}
    figure = Figure(Bar(x=drops, y=names, error_x=bars, **look))
    figure.update_xaxes(title="share of the ranking lost")
    figure.update_yaxes(autorange="reversed")
    lead = "How much of the trials' ranking a random forest no longer foretells when one hyperparameter's values are"
    text = f"{lead} shuffled (permutation importance; bars: standard deviation over folds). "
    mattered = [row["name"].replace("_", " ") for row in rows if row["mattered"]]
    text += f"Mattered, in blue: {', '.join(mattered)}." if mattered else "None stands out from chance."
    table = [
        (name, f"{row['drop']:.3f}", f"{row['spread']:.3f}", f"{row['share']:.0%}", "yes" if row["mattered"] else "")
        for name, row in zip(names, rows, strict=True)
    ]
    drawn = dressed(figure, 90 + 34 * len(rows), legend=False, top=10)
    return Picture("Importance", text, drawn, ("hyperparameter", "loss", "deviation", "share", "mattered"), table)


def _beside_a_grid(axes: Sequence[Axis], account: Account, known: Known) -> Picture:
    """The values tried along the most important axes, and those of a grid (Bergstra & Bengio, 2012)."""
    from plotly.graph_objects import Figure

    shown, figure = axes[:AXES], Figure()
    tried = {axis: _tried(axis, account) for axis in shown}
    grid = {axis: axis.domain.grid(known["grid"]["points"]) for axis in shown}
    figure.add_trace(_marks(tried, "tried", BLUE))
    figure.add_trace(_marks(grid, "in a grid", VERMILION))
    order = [f"{_named(axis.name)}, {row}" for axis in shown for row in ("tried", "in a grid")]
    figure.update_yaxes(categoryorder="array", categoryarray=order, autorange="reversed", type="category")
    figure.update_xaxes(title="along its own scale", showticklabels=False, range=[-0.03, 1.03])
    rows = [(axis.name.replace("_", " "), f"{len(tried[axis]):,}", f"{len(grid[axis]):,}") for axis in shown]
    size = known["grid"]["trials"]
    whole = f"a grid of {counted(size, 'trial')}" if size else "a grid of over a million trials"
    text = f"Of {rows[0][0]} {counted(len(tried[shown[0]]), 'value')} were tried, and {whole} over the same axes has"
    text += f" {len(grid[shown[0]])}: a grid spends its trials on axes that may not matter."
    drawn = dressed(figure, 110 + 56 * len(shown), legend=False, top=10)
    return Picture("Values tried, and a grid's", text, drawn, ("hyperparameter", "values tried", "in a grid"), rows)


def _tried(axis: Axis, account: Account) -> list[Value]:
    """Its distinct values, in order."""
    found = [told.trial.params[axis.name] for told in searched(account) if axis.name in told.trial.params]
    return sorted(dict.fromkeys(found), key=axis.domain.to_unit)


def _marks(values: Mapping[Axis, Sequence[Value]], row: str, colour: str) -> Any:
    from plotly.graph_objects import Scatter

    x, y, text = list[float](), list[str](), list[str]()
    for axis, found in values.items():
        some = found[:: max(1, len(found) // MARKS)]
        x += [scales.place(axis, value) for value in some]
        y += [f"{_named(axis.name)}, {row}"] * len(some)
        text += [label(number(value)) for value in some]
    mark = {"symbol": "line-ns", "size": 16, "line": {"width": 1.5, "color": colour}}
    return Scatter(x=x, y=y, text=text, mode="markers", marker=mark, hovertemplate="%{y}: %{text}<extra></extra>")


def _named(name: str) -> str:
    return label(name.replace("_", " "), 18)
