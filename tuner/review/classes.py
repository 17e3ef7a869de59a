"""The exported model on rows: which classes it takes for which, and the figures of each class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tuner.engine.account import Account, Examined
from tuner.review.calibration import calibration
from tuner.review.measure import counted, short
from tuner.review.parts import Picture, Section
from tuner.review.style import BLUE, VERMILION, dressed, label

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from plotly.graph_objects import Figure

    Counts = NDArray[np.int64]
    Floats = NDArray[np.float64]

SHOWN = 25  # classes in a picture, those with most rows; all others go together
WRITTEN = 12  # classes up to which counts are written into a picture, and pictures stand beside each other
LISTED = 20  # mistakes in the table
OTHERS = "all others"


def classes(account: Account) -> Section | None:
    """Confusions, calibration and figures of each class; a sentence where the model was not examined."""
    found = account.examined
    if found is None:
        return Section("The model, class by class", [account.unexamined]) if account.unexamined else None
    names = [str(name) for name in account.data["classes"]]
    confusion = np.zeros((len(names), len(names)), np.int64)
    np.add.at(confusion, (found.labels, found.probabilities.argmax(axis=1)), 1)
    shown = _most_frequent(confusion)
    pictures = [
        _confusions(confusion, shown, names),
        calibration(found.labels, found.probabilities, small=len(names) <= WRITTEN),
        _each(confusion, shown, names),
    ]
    rest = f"Of {len(names)} classes, the {len(shown)} with most rows are shown by themselves."
    told = [which(found), rest] if len(shown) < len(names) else [which(found)]
    return Section("The model, class by class", told, pictures=pictures)


def which(found: Examined) -> str:
    """Which rows these are, and whether the model has seen them."""
    used = len(found.labels)
    some = f"{used:,} of the {found.rows:,} rows" if used < found.rows else f"the {found.rows:,} rows"
    if found.part == "holdout":
        return f"On {some} of the holdout, which neither the search nor the exported model has seen."
    seen = "The exported model was refitted on these rows, too: it will do worse on new ones."
    return f"On {some} of validation, for there is no holdout. {seen}"


def _most_frequent(confusion: Counts) -> Counts:
    """The classes that are shown by themselves, in their order: all, or those with most rows."""
    if len(confusion) <= SHOWN:
        return np.arange(len(confusion))
    return np.sort(np.argsort(-confusion.sum(axis=1), kind="stable")[: SHOWN - 1])


def _merged(confusion: Counts, shown: Counts) -> Counts:
    """The confusions of the classes `shown`, and of all others as if they were one."""
    if len(shown) == len(confusion):
        return confusion
    places = np.full(len(confusion), len(shown))
    places[shown] = np.arange(len(shown))
    made = np.zeros((len(shown) + 1, len(shown) + 1), np.int64)
    np.add.at(made, (places[:, None], places[None, :]), confusion)
    return made


def _confusions(confusion: Counts, shown: Counts, names: Sequence[str]) -> Picture:
    every, small = range(len(names)), len(names) <= WRITTEN
    rows = np.maximum(confusion.sum(axis=1), 1)
    wrong = sorted((-int(confusion[a, b]), a, b) for a in every for b in every if a != b and confusion[a, b])
    right, total = int(np.trace(confusion)), int(confusion.sum())
    text = f"{right:,} of {total:,} rows are right ({right / max(total, 1):.1%})."
    if wrong:
        count, a, b = wrong[0]
        text += f" The commonest mistake: {names[a]} taken for {names[b]}, {counted(-count, 'time')}."
    text += " Colour: the share of a class's rows."
    table = [(names[a], names[b], f"{-count:,}", f"{-count / rows[a]:.1%}") for count, a, b in wrong[:LISTED]]
    told = [*(label(names[place], 18) for place in shown), *([OTHERS] if len(shown) < len(names) else [])]
    drawn, head = _matrix(_merged(confusion, shown), told, small), ("is", "said", "rows", "of its rows")
    return Picture("Which class is taken for which", text, drawn, head, table, small=small)


def _matrix(confusion: Counts, names: Sequence[str], written: bool) -> Figure:
    from plotly.graph_objects import Figure, Heatmap

    shares, every = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1), range(len(names))
    hover = [
        [f"{names[a]} taken for {names[b]}: {confusion[a, b]:,} rows, {shares[a, b]:.1%}" for b in every] for a in every
    ]
    figure = Figure(
        Heatmap(
            z=[[short(value) for value in row] for row in shares.tolist()],
            text=[[f"{count:,}" if count else "" for count in row] for row in confusion.tolist()],
            texttemplate="%{text}" if written else None,
            customdata=hover,
            hovertemplate="%{customdata}<extra></extra>",
            colorscale=[[0, "rgba(15,127,196,0.05)"], [1, "rgba(15,127,196,0.75)"]],
            zmin=0,
            zmax=1,
            showscale=False,
            xgap=1,
            ygap=1,
        )
    )
    ticks = {"tickvals": list(every), "ticktext": list(names), "showgrid": False}
    figure.update_xaxes(title="what the model says", tickangle=-45 if max(map(len, names)) > 3 else 0, **ticks)
    figure.update_yaxes(title="what it is", autorange="reversed", **ticks)
    return dressed(figure, max(340, 130 + 26 * len(names)), legend=False, top=10)


def _each(confusion: Counts, shown: Counts, names: Sequence[str]) -> Picture:
    """Precision and recall of each class that is shown."""
    hits, rows, said = (one[shown] for one in (np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)))
    recall, precision = hits / np.maximum(rows, 1), hits / np.maximum(said, 1)
    f1 = 2 * hits / np.maximum(rows + said, 1)
    found = [names[place] for place in shown]
    worst = int(np.argmin(np.where(rows > 0, f1, np.inf)))
    text = "Recall: of a class's rows, the share that the model finds. Precision: of the rows that it says so of, the"
    text += f" share that are. Hardest is {found[worst]}: recall {recall[worst]:.1%}, precision {precision[worst]:.1%}."
    table = [
        (
            name,
            f"{rows[at]:,}",
            f"{recall[at]:.1%}",
            f"{precision[at]:.1%}" if said[at] else "never said",
            f"{f1[at]:.3f}",
        )
        for at, name in enumerate(found)
    ]
    looks = (("recall", recall, rows, BLUE, "circle"), ("precision", precision, said, VERMILION, "diamond-open"))
    drawn, head = _dots(looks, [label(name, 18) for name in found]), ("class", "rows", "recall", "precision", "F1")
    return Picture("Each class", text, drawn, head, table, small=len(names) <= WRITTEN)


def _dots(looks: Sequence[tuple[str, Floats, Counts, str, str]], names: Sequence[str]) -> Figure:
    """Each measure of each class, where the class has rows."""
    from plotly.graph_objects import Figure, Scatter

    figure, lowest = Figure(), 1.0
    for name, values, base, colour, symbol in looks:
        known = [short(float(value)) if count else None for value, count in zip(values, base, strict=True)]
        lowest = min([lowest, *(value for value in known if value is not None)])
        mark = {"color": colour, "symbol": symbol, "size": 11, "line": {"width": 2, "color": colour}}
        hover = f"%{{y}}: {name} %{{x:.1%}}<extra></extra>"
        figure.add_trace(Scatter(x=known, y=names, mode="markers", marker=mark, name=name, hovertemplate=hover))
    figure.update_xaxes(tickformat=".0%", range=[lowest - 0.08 * (1.05 - lowest), 1 + 0.05 * (1.05 - lowest)])
    figure.update_yaxes(autorange="reversed", type="category")
    return dressed(figure, 110 + 26 * len(names))
