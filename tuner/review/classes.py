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

    Counts = NDArray[np.int64]

SHOWN = 25  # classes in a picture, those with most rows; all others go together
WRITTEN = 12  # classes up to which counts are written into a picture, and pictures stand beside each other
LISTED = 20  # mistakes in the table
OTHERS = "all others"


def classes(account: Account) -> Section | None:
    """Confusions, calibration and figures of each class; a sentence where the model was not examined."""
    found = account.examined
    if found is None:
        return Section("The model, class by class", [account.unexamined]) if account.unexamined else None
    every = [str(name) for name in account.data["classes"]]
    confusion, names = _confusion(found, every)
    pictures = [
        _confusions(confusion, names),
        calibration(found.labels, found.probabilities, small=len(names) <= WRITTEN),
        _each(confusion, names),
    ]
    rest = f"Of {len(every)} classes, the {len(names) - 1} with most rows are shown by themselves."
    told = [which(found), rest] if len(names) < len(every) else [which(found)]
    return Section("The model, class by class", told, pictures=pictures)


def which(found: Examined) -> str:
    """Which rows these are, and whether the model has seen them."""
    used = len(found.labels)
    some = f"{used:,} of the {found.rows:,} rows" if used < found.rows else f"the {found.rows:,} rows"
    if found.part == "holdout":
        return f"On {some} of the holdout, which neither the search nor the exported model has seen."
    seen = "The exported model was refitted on these rows, too: it will do worse on new ones."
    return f"On {some} of validation, for there is no holdout. {seen}"


def _confusion(found: Examined, names: Sequence[str]) -> tuple[Counts, list[str]]:
    """Rows by what they are and what the model says [shown, shown]; the rarest classes as one where there are many."""
    places = np.arange(len(names))
    if len(names) > SHOWN:
        most = np.argsort(-np.bincount(found.labels, minlength=len(names)), kind="stable")[: SHOWN - 1]
        places = np.full(len(names), SHOWN - 1)
        places[np.sort(most)] = np.arange(SHOWN - 1)
        names = [*(names[place] for place in np.sort(most)), OTHERS]
    confusion = np.zeros((len(names), len(names)), np.int64)
    np.add.at(confusion, (places[found.labels], places[found.probabilities.argmax(axis=1)]), 1)
    return confusion, list(names)


def _confusions(confusion: Counts, names: Sequence[str]) -> Picture:
    from plotly.graph_objects import Figure, Heatmap

    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    told, every = [label(name, 18) for name in names], range(len(names))
    hover = [
        [f"{told[a]} taken for {told[b]}: {confusion[a, b]:,} rows, {shares[a, b]:.1%}" for b in every] for a in every
    ]
    figure = Figure(
        Heatmap(
            z=[[short(value) for value in row] for row in shares.tolist()],
            text=[[f"{count:,}" if count else "" for count in row] for row in confusion.tolist()],
            texttemplate="%{text}" if len(names) <= WRITTEN else None,
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
    ticks = {"tickvals": list(every), "ticktext": told, "showgrid": False}
    figure.update_xaxes(title="what the model says", tickangle=-45 if max(map(len, told)) > 3 else 0, **ticks)
    figure.update_yaxes(title="what it is", autorange="reversed", **ticks)
    wrong = sorted((-int(confusion[a, b]), a, b) for a in every for b in every if a != b and confusion[a, b])
    right, total = int(np.trace(confusion)), int(confusion.sum())
    text = f"{right:,} of {total:,} rows are right ({right / max(total, 1):.1%})."
    if wrong:
        count, a, b = wrong[0]
        text += f" The commonest mistake: {names[a]} taken for {names[b]}, {counted(-count, 'time')}."
    text += " Colour: the share of a class's rows."
    table = [(names[a], names[b], f"{-count:,}", f"{shares[a, b]:.1%}") for count, a, b in wrong[:LISTED]]
    drawn = dressed(figure, max(340, 130 + 26 * len(names)), legend=False, top=10)
    head = ("is", "said", "rows", "of its rows")
    return Picture("Which class is taken for which", text, drawn, head, table, small=len(names) <= WRITTEN)


def _each(confusion: Counts, names: Sequence[str]) -> Picture:
    """Precision and recall of each class."""
    from plotly.graph_objects import Figure, Scatter

    hits, rows, said = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    recall, precision = hits / np.maximum(rows, 1), hits / np.maximum(said, 1)
    f1 = 2 * hits / np.maximum(rows + said, 1)
    told = [label(name, 18) for name in names]
    figure = Figure()
    looks = (("recall", recall, rows, BLUE, "circle"), ("precision", precision, said, VERMILION, "diamond-open"))
    for name, values, base, colour, symbol in looks:
        known = [short(float(value)) if count else None for value, count in zip(values, base, strict=True)]
        mark = {"color": colour, "symbol": symbol, "size": 11, "line": {"width": 2, "color": colour}}
        hover = f"%{{y}}: {name} %{{x:.1%}}<extra></extra>"
        figure.add_trace(Scatter(x=known, y=told, mode="markers", marker=mark, name=name, hovertemplate=hover))
    lowest = min([1.0, *recall[rows > 0].tolist(), *precision[said > 0].tolist()])
    figure.update_xaxes(tickformat=".0%", range=[lowest - 0.08 * (1.05 - lowest), 1 + 0.04 * (1.05 - lowest)])
    figure.update_yaxes(autorange="reversed", type="category")
    worst = int(np.argmin(np.where(rows > 0, f1, np.inf)))
    text = "Recall: of a class's rows, the share that the model finds. Precision: of the rows that it says so of, the"
    text += f" share that are. Hardest is {names[worst]}: recall {recall[worst]:.1%}, precision {precision[worst]:.1%}."
    table = [
        (
            name,
            f"{rows[at]:,}",
            f"{recall[at]:.1%}",
            f"{precision[at]:.1%}" if said[at] else "never said",
            f"{f1[at]:.3f}",
        )
        for at, name in enumerate(names)
    ]
    drawn = dressed(figure, 110 + 26 * len(names))
    head = ("class", "rows", "recall", "precision", "F1")
    return Picture("Each class", text, drawn, head, table, small=len(names) <= WRITTEN)
