"""A year of re-tuning: flights of 2013, tuned again on the first day of each month from February to December.

Three rules decide which model predicts the month that follows: the January model stays for good (frozen), each month's
challenger replaces the one before (always), or Caviar's gate decides. All three choose among the same models, and are
measured on the flights of that month, which nobody had seen. Beside each period's sweep, which starts warm, the same
sweep starts cold: after how many of the cold one's epochs has the warm one reached its best validation loss?
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pandas as pd
import yaml
from rich.console import Console

from benchmarks import flights_vs_peers
from benchmarks.harness import Result, goal, main, middle
from models.classifier import Classifier
from tuner import api
from tuner.cli.period import opened
from tuner.engine import sweep
from tuner.engine.connect import ray_cluster
from tuner.engine.place import Place
from tuner.retune import contenders, machine, specs
from tuner.retune.setting import Setting
from tuner.retune.states import Period
from tuner.trial import Stage

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "examples/flights/policy.yaml"
MONTHS = range(2, 13)
RULES = ("frozen", "always", "caviar")


def run(quick: bool = False) -> Result:
    """Two months with few trials, or the whole year of the example."""
    flights_vs_peers.build()
    with tempfile.TemporaryDirectory(prefix="caviar-year-") as name:
        folder = Path(name)
        os.environ.update(CAVIAR_HOME=str(folder / "home"), RAY_AUTH_MODE="token")
        os.chdir(ROOT)  # the example's data are named from here
        with ray_cluster(folder / "home"):
            return measure(_policy(folder, trials=6) if quick else EXAMPLE, MONTHS[:2] if quick else MONTHS, _flights)


def measure(policy: Path, months: range, delivered: Callable[[int], pd.DataFrame]) -> Result:
    """A record for each month, and the goals; `delivered` gives the rows of a month of 2013."""
    found = list[Result]()
    with opened(policy, Console(stderr=True, quiet=True), True) as setting:
        frozen = ""
        for month in months:
            period = machine.tick(setting, f"2013-{month:02}-01", _beginning(setting, month))
            champion = setting.champions.version(setting.policy.model, "champion")
            now = champion.number if champion else ""
            frozen = frozen or now
            challenger = period.data.get("candidate", {}).get("version", now)
            used = dict(zip(RULES, (frozen, challenger, now), strict=True))
            losses = {rule: _loss(setting, number, delivered(month)) for rule, number in used.items()}
            record = {"month": period.period, "state": period.state.value, "reason": period.reason, "losses": losses}
            found.append({**record, "used": used, **_start(setting, period)})
            print(json.dumps(found[-1]), file=sys.stderr, flush=True)
    return {"months": found, "goals": goals(found)}


def _flights(month: int) -> pd.DataFrame:
    return pd.read_parquet(ROOT / f"data/flights/2013-{month:02}.parquet")


def _loss(setting: Setting, number: str, rows: pd.DataFrame) -> float:
    """The version's mean loss on the rows, in nats."""
    model: Classifier = setting.champions.load(setting.policy.model, number)
    losses, _, _ = contenders.measure(model, rows, rows[str(setting.spec.data.target)].astype(str).tolist())
    return float(losses.mean())


def _start(setting: Setting, period: Period) -> Result:
    """The epochs and the best validation loss of both searches, and when either came to the cold one's best."""
    tuned = period.data.get("tuning")
    if not tuned or not tuned["start"]:
        return {}
    name = f"cold-{period.period}"
    api.run(specs.challenger(setting.spec, period, [], None), sweep_id=name)
    cold, warm = (_curve(setting.place, one) for one in (name, tuned["sweep"]))
    best = min(cold)
    there = {"cold_epochs_to_it": _epochs_to(best, cold), "warm_epochs_to_it": _epochs_to(best, warm)}
    return {"cold_best": best, "warm_best": min(warm), "cold_epochs": len(cold), "warm_epochs": len(warm), **there}


def _curve(place: Place, name: str) -> list[float]:
    """The validation losses of the search's evaluations, one an epoch, as they came."""
    _, ledger, _ = sweep.load(place.sweep(name))
    rows = [row for trial, rows in ledger.rows.items() if ledger.trials[trial].stage is Stage.SEARCH for row in rows]
    return [row.val_loss for row in sorted(rows, key=lambda row: row.time)]


def _epochs_to(loss: float, curve: list[float]) -> int | None:
    return next((place for place, value in enumerate(curve, 1) if value <= loss), None)


def _beginning(setting: Setting, month: int) -> datetime:
    return datetime(2013, month, 1, tzinfo=ZoneInfo(setting.policy.schedule.timezone)).astimezone(UTC)


def _policy(folder: Path, trials: int) -> Path:
    """The example's policy, with a small sweep."""
    policy = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    spec = yaml.safe_load((EXAMPLE.parent / policy["spec"]).read_text(encoding="utf-8"))
    spec |= {"search": {"trials": trials}, "stopping": {"asha": {"max_epochs": 2, "reduction": 2}}}
    spec["objective"] = {"confirm": 0, "baseline": False}
    policy["gate"] |= {"first": {"max_loss": 10.0}}  # so that there is a champion whatever comes out
    (folder / policy["spec"]).write_text(yaml.safe_dump(spec), encoding="utf-8")
    (folder / "policy.yaml").write_text(yaml.safe_dump(policy), encoding="utf-8")
    return folder / "policy.yaml"


def totals(months: list[Result]) -> dict[str, float]:
    """The sum over the months of each rule's mean loss, in nats."""
    return {rule: sum(one["losses"][rule] for one in months) for rule in RULES}


def promotions(months: list[Result]) -> dict[str, int]:
    """How often each rule changed the model after the first month."""
    used = {rule: [one["used"][rule] for one in months] for rule in RULES}
    return {rule: sum(a != b for a, b in pairwise(one)) for rule, one in used.items()}


def ratio(months: list[Result]) -> float | None:
    """The median share of a cold search's epochs after which the warm one has its best loss; never counts as all."""
    found = [
        (one["warm_epochs_to_it"] or one["warm_epochs"]) / one["cold_epochs"] for one in months if "cold_epochs" in one
    ]
    return middle(found) if found else None


def goals(months: list[Result]) -> list[Result]:
    """What was asked, and what came of it."""
    total, moved, epochs = totals(months), promotions(months), ratio(months)
    told = partial("{:.4f} against {:.4f} nats".format)
    made = [
        goal(
            "loss of the year at most that of always promoting",
            told(total["caviar"], total["always"]),
            total["caviar"] <= total["always"],
        ),
        goal(
            "clearly below the frozen model's",
            told(total["caviar"], total["frozen"]),
            total["caviar"] < 0.99 * total["frozen"],
        ),
        goal("fewer promotions", f"{moved['caviar']} against {moved['always']}", moved["caviar"] < moved["always"]),
    ]
    if epochs is not None:
        made.append(
            goal("warm start: half the cold start's epochs to its best loss", f"{epochs:.2f} of them", epochs <= 0.5)
        )
    return made


def sentence(result: Result) -> str:
    """The result in words."""
    months = result["months"]
    total, moved, epochs = totals(months), promotions(months), ratio(months)
    caviar, always, frozen = (f"{total[rule] / len(months):.4f}" for rule in ("caviar", "always", "frozen"))
    told = f"over {len(months)} months the loss was {caviar} nats with {moved['caviar']} promotions"
    told += f", {always} with {moved['always']} when always promoting, {frozen} with the first model"
    return f"{told}; a warm start took {epochs:.2f} of a cold one's epochs." if epochs is not None else f"{told}."


def table(result: Result) -> list[Result]:
    """The months."""
    return [
        {
            "month": one["month"],
            "verdict": one["state"],
            **{rule: f"{one['losses'][rule]:.4f}" for rule in RULES},
            "epochs to the cold start's best": _told(one),
        }
        for one in result["months"]
    ]


def _told(one: Mapping[str, object]) -> str:
    if "cold_epochs" not in one:
        return ""
    return f"{one['warm_epochs_to_it'] or 'not reached'}; cold {one['cold_epochs_to_it']} of {one['cold_epochs']}"


if __name__ == "__main__":
    main(run, sentence)
