"""Where trials fell at each rung, and what each rung has cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial

from tuner.engine.account import Account, Told, Work
from tuner.review.fates import diverged, drawn, fate, jitter, left_out, scatter, searched
from tuner.review.measure import Measure, counted, measure_of, span_of
from tuner.review.parts import Picture, Section
from tuner.review.style import BLUE, VERMILION, dressed, label
from tuner.review.terminal import duration
from tuner.trial import Stage

STAGES = {
    Stage.BASELINE: "softmax regression, to compare",
    Stage.CONFIRM: "the best on fresh seeds",
    Stage.REFIT: "refits on all rows",
}


def rungs(account: Account) -> Section | None:
    """Who went on and who did not, rung by rung; None before any trial has come to one."""
    reached = [epochs for epochs in account.rungs if any(epochs in told.after for told in searched(account))]
    made = [_fell(account, reached)] if reached else []
    made += [_spent(account)] if account.work else []
    return Section("From rung to rung", pictures=made) if made else None


def _fell(account: Account, reached: Sequence[int]) -> Picture:
    from plotly.graph_objects import Figure

    trials, measure = searched(account), measure_of(account)
    span = span_of((told.after[epochs] for told in trials for epochs in reached if epochs in told.after), measure)
    figure, shown = Figure(), set[str]()
    for place, epochs in enumerate(reached):
        across = partial(_beside, place)
        for trace in scatter(
            drawn(trials), epochs, account, span, across=across, said=lambda told: label(told.reason, 90)
        ):
            trace.showlegend = trace.name not in shown
            shown.add(trace.name)
            figure.add_trace(trace)
    names = [f"epoch {epochs}" for epochs in reached]
    figure.update_xaxes(tickvals=list(range(len(reached))), ticktext=names, range=[-0.5, len(reached) - 0.5])
    figure.update_yaxes(**span.axis)
    rows = [_row(trials, epochs, account, measure) for epochs in reached]
    head = (
        "after epoch",
        "trials",
        "went on",
        "stopped",
        "waiting",
        "diverged",
        "best",
        "median",
        "worst that went on",
    )
    return Picture(
        "Where trials fell",
        _text(trials, reached, account) + left_out(trials),
        dressed(figure, 440, top=70),
        head,
        rows,
    )


def _beside(place: int, told: Told) -> float:
    return place + jitter(told, 0.6)


def _row(trials: Sequence[Told], epochs: int, account: Account, measure: Measure) -> tuple[str, ...]:
    there = [told for told in trials if epochs in told.after]
    fates = Counter(_plain(told, epochs, account) for told in there)
    scores = sorted(told.after[epochs] for told in there)
    ahead = [told.after[epochs] for told in there if _plain(told, epochs, account) == "went on"]
    counts = (str(fates[name]) for name in ("went on", "stopped", "waiting", "diverged"))
    middle = scores[(len(scores) - 1) // 2]
    worst = measure.text(max(ahead)) if ahead else ""
    return (str(epochs), f"{len(there):,}", *counts, measure.text(scores[0]), measure.text(middle), worst)


def _plain(told: Told, epochs: int, account: Account) -> str:
    """The fate, of the winner too."""
    found = fate(told, epochs, account)
    if found != "winner":
        return found
    return "went on" if told.rows[-1].epoch > epochs else "fully trained" if epochs == account.rungs[-1] else "stopped"


def _text(trials: Sequence[Told], reached: Sequence[int], account: Account) -> str:
    there = [sum(epochs in told.after for told in trials) for epochs in reached]
    told = f"Each mark is a trial at the end of a rung. {counted(there[0], 'trial')} came to epoch {reached[0]}"
    told += "".join(f", {count:,} to {epochs}" for count, epochs in zip(there[1:], reached[1:], strict=True))
    lost = sum(diverged(trials, epochs) for epochs in reached)
    told += f"; {lost} diverged, which are drawn at the edge." if lost else "; none diverged."
    return told if len(account.rungs) > 1 else f"{told} There is one rung only: no trial was stopped early."


def _spent(account: Account) -> Picture:
    """Epochs and workers' time by rung, and by what followed the search."""
    from plotly.graph_objects import Bar, Figure

    names = list(_names(account))
    epochs, seconds = sum(one.epochs for one in account.work), sum(one.seconds for one in account.work)
    figure = Figure()
    bars: list[tuple[str, str, str, list[float], float]] = [
        ("epochs", BLUE, "", [one.epochs for one in account.work], epochs)
    ]
    bars += [("workers' time", VERMILION, "/", [one.seconds for one in account.work], seconds)] if seconds else []
    for title, colour, pattern, amounts, total in bars:
        shares = [round(amount / max(total, 1e-9), 4) for amount in amounts]
        fill = {
            "color": colour,
            "pattern": {"shape": pattern, "fgcolor": "#ffffff", "fillmode": "overlay", "fgopacity": 0.5},
        }
        hover = f"%{{y}}: %{{x:.1%}} of the {title}<extra></extra>"
        figure.add_trace(Bar(x=shares, y=names, orientation="h", name=title, marker=fill, hovertemplate=hover))
    figure.update_xaxes(tickformat=".0%", title="share of all", nticks=5)
    figure.update_yaxes(autorange="reversed")
    figure.update_layout(barmode="group", bargap=0.3)
    rows = [
        (name, f"{one.epochs:,}", _share(one.epochs, epochs), duration(one.seconds), _share(one.seconds, seconds))
        for name, one in zip(names, account.work, strict=True)
    ]
    head = ("", "epochs", "", "workers' time", "")
    text = _told(account.work, names, epochs, seconds)
    return Picture("Time and epochs spent", text, dressed(figure, 120 + 44 * len(names)), head, rows)


def _names(account: Account) -> Iterator[str]:
    for one in account.work:
        if one.stage is not Stage.SEARCH:
            yield STAGES[one.stage]
            continue
        before = account.rungs[one.rung - 1] if one.rung else 0
        last = account.rungs[one.rung]
        yield f"search, epoch {last}" if last - before == 1 else f"search, epochs {before + 1}-{last}"


def _told(work: Sequence[Work], names: Sequence[str], epochs: int, seconds: float) -> str:
    most = max(range(len(work)), key=lambda place: work[place].epochs)
    told = f"{epochs:,} epochs, trained in {duration(seconds)} of workers' time." if seconds else f"{epochs:,} epochs."
    share = _share(work[most].epochs, epochs)
    return f"{told} The largest part, {share} of the epochs, went into: {names[most]}."


def _share(amount: float, total: float) -> str:
    return f"{amount / total:.0%}" if total else ""
