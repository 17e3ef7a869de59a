"""What a spec's data and space are, and what a sweep found, in words and tables for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tuner.review.terminal import duration, table, text
from tuner.search.space import Space, written
from tuner.trial import Draw

FAILURES = 3  # of the commonest reasons
SHOWN = 10  # rows of the leaderboard
COLUMNS = 30
AXES = 6  # searched hyperparameters in it, the most important ones
LEAD = ("rank", "trial", "val_loss", "confirmed_val_loss", "val_accuracy", "confirmed_val_accuracy", "epoch")


def describe_data(about: Mapping[str, Any]) -> RenderableType:
    """The snapshot: rows and classes of each split, its time ranges, the columns, and what to be wary of."""
    counts: Mapping[str, Sequence[int]] = about["class_counts"]
    splits = [
        {
            "split": part,
            "rows": sum(counts[part]),
            **_range(about["ranges"].get(part)),
            **dict(zip(about["classes"], counts[part], strict=True)),
        }
        for part in ("train", "validation", "holdout")
    ]
    lines: list[RenderableType] = [
        Text.assemble(("data ", "bold"), f"{about['source']['data']}  (snapshot {about['digest'][:12]})"),
        table(splits),
        Text(f"{_count(len(about['features']), 'column')}: {_some(list(about['features']))}"),
    ]
    lines += [Text(f"warning: {warning}", style="yellow") for warning in about["warnings"]]
    return Group(*lines)


def describe_space(space: Space, trials: int) -> RenderableType:
    """The axes in order of importance, then what is fixed."""
    axes = [{"searched": axis.name, "domain": _domain(written(axis.domain))} for axis in space.axes]
    fixed = ", ".join(f"{name} = {text(value)}" for name, value in space.fixed.items())
    over = "1 axis" if len(axes) == 1 else f"{len(axes)} axes"
    lead = Text.assemble(("\nspace ", "bold"), f"{_count(trials, 'trial')} over {over}, the most important first")
    return Group(lead, table(axes), Text(f"fixed: {fixed or 'nothing'}"))


def describe_start(space: Space, starts: Sequence[Draw], around: str) -> RenderableType:
    """The configurations that are tried first, as this space has them, and where the trials after them are drawn."""
    rows = [space.decode(start.point) for start in starts]
    lead = Text.assemble(("\nstart ", "bold"), f"with these, then {around}")
    notes = [Text(start.reason, style="yellow") for start in starts if ";" in start.reason]
    return Group(lead, table(rows, columns=[axis.name for axis in space.axes]), *notes)


def describe_result(
    figures: Mapping[str, Any], leaderboard: Sequence[Mapping[str, Any]], unsent: str | None
) -> RenderableType:
    """What a finished sweep found, and where its model is."""
    places = [place for place in (_registered(figures), figures["model_path"]) if place]
    facts = _facts()
    facts.add_row("model", "\n".join(places) or "none")
    if unsent:
        rest = f"`caviar resume {figures['sweep']}` sends the rest"
        facts.add_row("MLflow", Text(f"has not got everything yet; {rest}. {unsent}", style="yellow"))
    return Group(describe_best(figures, leaderboard, f", {duration(figures['seconds'])}"), "", facts)


def _registered(figures: Mapping[str, Any]) -> str | None:
    uri, alias = figures["model_uri"], figures["model_alias"]
    if not alias:
        return str(uri) if uri else None
    others = f"; until that alias is moved, {uri.rpartition('/')[0]}@champion is an older one"
    return f"{uri}, now @{alias}{others if alias == 'challenger' else ''}"


def describe_best(
    figures: Mapping[str, Any], leaderboard: Sequence[Mapping[str, Any]], took: str = ""
) -> RenderableType:
    """Leaderboard, winner, and the honest comparison on the holdout, as far as there are any yet."""
    lead = Text.assemble(("\nleaderboard  ", "bold"), figures["spent"], took)
    facts = _facts()
    if figures["best"]:
        facts.add_row("winner", f"{_winner(figures)}\n")
        if figures["holdout"]["winner"]:
            facts.add_row("holdout", f"{figures['verdict']}\n")
        facts.add_row("", table(figures["comparison"]))
        for place, words in enumerate((figures.get("compared") or {}).get("words", ())):
            facts.add_row("" if place else "\ncompared", words if place else f"\n{words}")
    else:
        states = ", ".join(f"{number} {state}" for state, number in figures["states"].items())
        facts.add_row("winner", f"none yet: no trial has a finite loss ({states or 'none was begun'})")
    told = (figures.get("importance") or {}).get("words", ()) if figures["best"] else ()
    for line, words in enumerate(told):
        facts.add_row("" if line else "mattered", words)
    if figures["halted"]:
        facts.add_row("early end", Text(f"{figures['halted']}; the trials left out were not drawn at random", "yellow"))
    for one in figures["failures"][:FAILURES]:
        facts.add_row("failed", Text(f"{_count(one['trials'], 'trial')}: {one['reason']}", style="yellow"))
    more = figures["trials"] - len(leaderboard[:SHOWN])
    others = f"    …  {_count(more, 'more trial')}, in MLflow\n" if leaderboard and more else ""
    return Group(lead, _leaderboard(leaderboard), others, facts)


def _winner(figures: Mapping[str, Any]) -> str:
    best, again = figures["best"], figures["confirmed"]
    line = f"{best['trial']}: validation loss {best['val_loss']:.4f}, {best['val_accuracy']:.1%} right"
    if again:
        line += f"; on {_count(again['seeds'], 'fresh seed')} {figures['comparison'][0]['on fresh seeds']}"
        line += f", diverged on {again['diverged_seeds']} more" if again["diverged_seeds"] else ""
    params = ", ".join(f"{name} {text(value)}" for name, value in best["params"].items())
    return "\n".join(filter(None, (line, figures.get("luck"), params)))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _facts() -> Table:
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="bold", no_wrap=True)
    facts.add_column()
    return facts


def _leaderboard(rows: Sequence[Mapping[str, Any]]) -> Table:
    searched = [name for name in rows[0] if name not in (*LEAD, "epochs", "state")] if rows else []
    return table(rows[:SHOWN], columns=[*LEAD, *searched[:AXES]])


def _some(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= COLUMNS else f"{', '.join(names[:COLUMNS])}, …"


def _range(between: Sequence[str] | None) -> dict[str, str]:
    return {"from": between[0], "to": between[1]} if between else {}


def _domain(domain: object) -> str:
    if isinstance(domain, Mapping):
        return "  ".join(f"{kind} {', '.join(map(text, value))}" for kind, value in domain.items())
    return str(domain)
