"""Regret against epochs: what each sampler finds with each stopping rule, and in how many epochs of training.

All are measured by full-budget random search: 64 trials of 27 epochs each. The rules that stop early have a tenth of
its epochs, and in a second search a quarter, with as many trials as these should last for. Regret is the lowest
validation loss so far minus the lowest that any search ever saw on the problem; on the three made-up surfaces (see
`surfaces.py`) minus the best there is. Samplers and rules decide in the product's own ledger, for two workers; these
are simulated, so that nothing but the training is real.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks import regret_picture
from benchmarks.courses import Contest, Course, hold
from benchmarks.harness import Result, goal, main
from benchmarks.surfaces import KINDS
from tuner.search.samplers import SAMPLERS
from tuner.spec import from_mapping

ROOT = Path(__file__).parent.parent
PICTURE, KEPT = ROOT / "examples/pictures/regret.png", ROOT / "data/regret"
PROBLEMS = ("digits", "flights", *KINDS)
RULES = ("none", "asha", "successive_halving", "top_k_after")
FULL = Contest(PROBLEMS, SAMPLERS, RULES, shares=(0.1, 0.25), seeds=tuple(range(10)), trials=64)
QUICK = Contest(("digits", "noisy"), SAMPLERS, RULES, shares=(0.2,), seeds=(0,), trials=10)


def run(quick: bool = False) -> Result:
    """Ten seeds of everything, and the picture of it; or one seed of two problems."""
    if quick:
        with tempfile.TemporaryDirectory(prefix="caviar-regret-") as folder:
            return measure(QUICK, hold(QUICK, Path(folder)))
    courses = hold(FULL, KEPT)
    regret_picture.draw(FULL, courses, floors(courses), PICTURE)
    return measure(FULL, courses)


def measure(contest: Contest, courses: Sequence[Course]) -> Result:
    """`searches`: a record for each problem, sampler, rule and share, with quartiles over the seeds."""
    found = list[Result]()
    lowest = floors(courses)
    for name in contest.problems:
        there = [course for course in courses if course.problem == name]
        target = float(np.median([one.at(contest.full).loss for one in of(there, "random", "none", 1.0)]))
        found += [
            summary(of(there, sampler, rule, share), contest.full, lowest[name], target)
            for sampler in contest.samplers
            for rule in contest.rules
            for share in contest.sizes(rule)
        ]
    chosen = from_mapping({"name": "default", "data": {"source": "none.npz"}})
    default = {"sampler": chosen.search.sampler, "rule": chosen.stopping.kind}
    made = {"full": contest.full, "seeds": len(contest.seeds), "default": default, "searches": found}
    return {**made, "goals": goals(made)}


def floors(courses: Sequence[Course]) -> dict[str, float]:
    """What regret is measured from, by problem."""
    lowest: dict[str, float] = {}
    for course in courses:
        least = 0.0 if course.problem in KINDS else course.at(math.inf).loss
        lowest[course.problem] = min(least, lowest.get(course.problem, math.inf))
    return lowest


def of(courses: Sequence[Course], sampler: str, rule: str, share: float) -> list[Course]:
    """The courses of one kind of search."""
    return [one for one in courses if (one.sampler, one.rule, one.share) == (sampler, rule, share)]


def summary(courses: Sequence[Course], full: int, lowest: float, target: float) -> Result:
    """One kind of search over its seeds: regret and holdout loss at its share of the epochs, epochs to `target`."""
    first = courses[0]
    ends = [course.at(first.share * full) for course in courses]
    return {
        "problem": first.problem,
        "sampler": first.sampler,
        "rule": first.rule,
        "share": first.share,
        "trials": float(np.median([course.trials for course in courses])),
        "regret": quartiles([end.loss - lowest for end in ends]),
        "holdout": quartiles([end.holdout for end in ends]),
        "epochs_to_target": quartiles([course.epochs_to(target) for course in courses]),
    }


def quartiles(values: Sequence[float]) -> list[float | None]:
    """The three quartiles, each the value of a seed (the later one of two), so that "never" can be one: None."""
    ordered = np.quantile(values, (0.25, 0.5, 0.75), method="higher").tolist()
    return [float(f"{value:.4g}") if math.isfinite(value) else None for value in ordered]


def goals(result: Result) -> list[Result]:
    """What was asked of the default, and on which problems it came out."""
    sampler, rule, full = result["default"]["sampler"], result["default"]["rule"], result["full"]
    reached, epochs, better, regrets = [], [], [], []
    for name in dict.fromkeys(one["problem"] for one in result["searches"]):
        there = [one for one in result["searches"] if one["problem"] == name]
        ours = [one for one in there if (one["sampler"], one["rule"]) == (sampler, rule)]
        first = next(one for one in there if (one["sampler"], one["rule"]) == ("random", "top_k_after"))
        took = next((found for one in ours if (found := one["epochs_to_target"][1]) is not None), None)
        reached.append(took is not None and took <= full / 10)
        epochs.append(f"{name} {'never' if took is None else f'after {took:.0f}'}")
        mine, theirs = ours[0]["regret"][1], first["regret"][1]
        better.append(mine <= theirs)
        regrets.append(f"{name} {mine:.3f} against {theirs:.3f}")
    return [
        goal(
            f"the final loss of full-budget random search in at most a tenth of its {full:,} epochs",
            f"on {sum(reached)} of {len(reached)} problems: {', '.join(epochs)}",
            all(reached),
        ),
        goal(
            "no worse than one epoch for all, the best to the end, at equal epochs",
            f"on {sum(better)} of {len(better)} problems: {', '.join(regrets)}",
            all(better),
        ),
    ]


def table(result: Result) -> list[Result]:
    """A row for each sampler, rule and share: median regret and its quartiles, problem by problem."""
    rows: dict[tuple[str, str, float], Result] = {}
    for one in sorted(result["searches"], key=lambda one: (one["share"], RULES.index(one["rule"]))):
        key = one["sampler"], one["rule"], one["share"]
        begun = {"epochs": f"{one['share'] * result['full']:.0f}", "sampler": key[0], "stopping": key[1]}
        low, middle, high = one["regret"]
        rows.setdefault(key, begun)[one["problem"]] = f"{middle:.4f} ({low:.4f} to {high:.4f})"
    return list(rows.values())


def sentence(result: Result) -> str:
    """What the default did."""
    one, other = (told["measured"] for told in result["goals"])
    default = f"{result['default']['sampler']} with {result['default']['rule']}"
    return (
        f"Medians of {result['seeds']} seeds. The default, {default}, reaches the final loss of full-budget random "
        f"search within a tenth of its epochs {one}. It is no worse than the best of one epoch for all {other}."
    )


if __name__ == "__main__":
    main(run, sentence)
