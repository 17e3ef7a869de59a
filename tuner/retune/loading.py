"""From a file to a policy and its spec, or to everything that is wrong with them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tuner.retune.policy import Policy
from tuner.spec import Spec, SpecError, load
from tuner.spec.data import Split, Window
from tuner.spec.loading import load_section
from tuner.spec.problems import Problem, shown


def load_policy(path: Path | str, overrides: Sequence[str] = ()) -> tuple[Policy, Spec]:
    """The policy at `path` and its spec with the policy's window and holdout. SpecError names every problem."""
    policy = load_section(Policy, path, overrides)
    told = [
        f"data.{name}={_flow(part)}" for name, part in (("window", policy.window), ("holdout", policy.holdout)) if part
    ]
    try:
        spec = load(Path(path).parent / policy.spec, [*told, "tracking.register=null"])
    except SpecError as error:
        raise SpecError(error.name, map(_as_told, error.problems)) from None
    if spec.data.time is None:
        raise ValueError(
            f"{policy.spec}: data.time must name the column that says when a row was made: a period's rows are those "
            "before its beginning, and its holdout the newest of them"
        )
    if spec.data.holdout.by == "random":
        raise ValueError(f"{policy.spec}: data.holdout must be the newest rows, not random ones: leave `by` out")
    if unread := [name for name in policy.gate.slices or () if name not in _read(spec, name)]:
        raise ValueError(
            f"{path}: gate.slices names {shown(unread)}, which data.features of {policy.spec} leaves out: "
            "nothing else of the data is read; add it there, or leave it out here"
        )
    return policy, spec


def _read(spec: Spec, name: str) -> tuple[str, ...]:
    """The columns that a sweep reads; all that there are, `name` among them, where the spec names no features."""
    data = spec.data
    return (name,) if data.features is None else (*data.features, data.target or "y", str(data.time))


def _as_told(problem: Problem) -> Problem:
    """`problem` of a part that comes from the policy, not from a --set: nobody has written one."""
    if problem.override is None:
        return problem
    part = problem.override.partition("=")[0].removeprefix("data.")
    return Problem("", f"with the policy's {part}: {problem.text}")


def _flow(part: Window | Split) -> str:
    """A section as one line of YAML."""
    given = part.model_dump(exclude_none=True)
    return "{" + ", ".join(f"{key}: {value}" for key, value in given.items()) + "}"
