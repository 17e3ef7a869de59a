"""A spec to begin with, as commented YAML: what was found in the data, and every default to be changed. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from tuner.spec.loading import parse
from tuner.spec.section import Section
from tuner.spec.spec import Spec

SHOWN = 6  # classes in a comment
COLUMN = 46  # where comments begin
BATCHES = 4  # an epoch has at least so many
LONGEST = 90  # characters of what a field means


def starter(
    name: str,
    source: str,
    *,
    rows: int,
    target: tuple[str, str],
    classes: Sequence[tuple[str, int]],
    time: tuple[str | None, str],
    features: Sequence[str] | None,
    left_out: Mapping[str, str],
    remarks: Sequence[str] = (),
) -> str:
    """The YAML text. `target` and `time` are (column, why it); `features` None means all but these two.
    `remarks` are sentences, to be read before the first sweep.

    What is left to its default stands behind a #, with the default.
    """
    lines = [
        f"# {_one_line(source)}: {rows:,} rows. `caviar check` says what this will do, `caviar run` does it.",
        "# What stands behind a # is so already; take the # away to change it.",
        f"name: {_flow(name)}",
        "",
        "# Where the rows come from, what they foretell, and which of them the search must not see.",
        "data:",
        *(f"  # Note: {_one_line(remark)}" for remark in remarks),
        f"  source: {_flow(source)}",
        _commented(f"  target: {_flow(target[0])}", f"{shares(classes)}; {target[1]}"),
        *_time(*time),
        *_columns(features, left_out),
        *_splits(time[0] is not None),
    ]
    written = "\n".join(lines)
    defaults = parse(written).model_dump()
    small = _batches(rows, parse(written))
    for section in ("model", "train"):
        lines += ["", f"# {Spec.model_fields[section].description}", f"{section}:"]
        lines += _fields(Spec.model_fields[section].annotation, defaults[section], small if section == "train" else {})
    return "\n".join([*lines, *_rest(name, defaults)]) + "\n"


def file_name(source: str) -> str:
    """A sweep's name from that of its file, or of the folder of many: letters, digits, '.', '_' and '-'."""
    parts = [part for part in source.rstrip("/").split("/") if part and not set(part) & set("*?[")]
    stem = re.sub(r"(\.(csv|parquet|feather|npz|gz))+$", "", parts[-1] if parts else "", flags=re.IGNORECASE)
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._")[:64] or "sweep"


def _time(name: str | None, reason: str) -> Iterator[str]:
    if name is None:
        yield _commented("  # time:", f"the column that says when a row was made; {reason}")
    else:
        yield _commented(f"  time: {_flow(name)}", f"{reason}; rows are split by it")


def _columns(features: Sequence[str] | None, left_out: Mapping[str, str]) -> Iterator[str]:
    if left_out:
        yield "  # What is left out is so because it is not listed under features: list it there to have it back."
    for name, reason in left_out.items():
        yield f"  # left out: {_flow(name)}, {_one_line(reason)}"
    if features is None:
        yield _commented("  # features: [...]", "all but target and time")
    else:
        yield "  features:"
        yield from (f"    - {_flow(name)}" for name in features)


def _splits(by_time: bool) -> Iterator[str]:
    which = "the newest rows before the holdout" if by_time else "random rows of every class"
    yield _commented("  validation: {fraction: 0.15}", f"what trials are compared on: {which}")
    which = "the newest rows" if by_time else "random rows"
    also = "; or {last: 14 days}" if by_time else ""
    yield _commented("  holdout: {fraction: 0.15}", f"what no search sees: {which}, for the final figures{also}")


def _batches(rows: int, spec: Spec) -> dict[str, tuple[Any, str]]:
    """Smaller batches than the default ones, where an epoch would have too few of these to learn from."""
    training = rows * (1 - (spec.data.validation.fraction or 0) - (spec.data.holdout.fraction or 0))
    largest = max(2, 1 << max(int(training / BATCHES).bit_length() - 1, 1))
    if largest >= 256:
        return {}
    choice = [size for size in (largest // 4, largest // 2, largest) if size >= 2]
    return {"batch_size": ({"choice": choice}, f"few rows: an epoch has {BATCHES} batches or more")}


def _fields(section: Any, defaults: Mapping[str, Any], given: Mapping[str, tuple[Any, str]]) -> Iterator[str]:
    """Each field of a section in a line: those `given` as they are, the others behind a # with their defaults."""
    fields: Mapping[str, Any] = section.model_fields if issubclass(section, Section) else {}
    for name, field in fields.items():
        if name in given:
            value, why = given[name]
            yield _commented(f"  {name}: {_flow(value)}", why)
        else:
            yield _commented(f"  # {name}: {_flow(defaults[name])}", _about(field.description))


def _rest(name: str, defaults: Mapping[str, Any]) -> Iterator[str]:
    yield from ("", "# How many trials, how they are drawn, and who goes on: at each rung one in `reduction`.")
    search = {key: defaults["search"][key] for key in ("sampler", "trials", "seed")}
    yield _commented(f"search: {_flow(search)}", "random, grid, sobol, coarse_to_fine or tpe")
    yield f"stopping: {_flow(defaults['stopping'])}"
    yield from ("", "# What is best, and how sure to be of it: the best are trained again on fresh seeds.")
    objective = {key: defaults["objective"][key] for key in ("metric", "confirm", "seeds")}
    yield _commented(f"# objective: {_flow(objective)}", "or val_accuracy")
    yield from (
        "",
        "# Examples of what else can be asked for; `caviar schema` has every field with its rule and meaning.",
    )
    yield _commented("# budget: {hours: 2}", "else no limit; then the best so far are confirmed")
    yield _commented("# resources: {cpus_per_worker: 1}", "and gpus_per_worker, max_workers")
    yield _commented(f"# tracking: {{register: {_flow(name)}}}", "the winner becomes a registered model of MLflow")


def shares(classes: Sequence[tuple[str, int]]) -> str:
    """The classes (name, rows) in words: how many, and the first of them."""
    told = ", ".join(f"{name} ({count:,})" for name, count in classes[:SHOWN])
    return f"{len(classes)} classes: {told}{', ...' if len(classes) > SHOWN else ''}"


def _about(description: str | None) -> str:
    """What a field means, as far as it goes on one line: its first sentence, of a long one the beginning."""
    text = re.split(r"(?<=[a-z)0-9])\. ", _one_line(description or ""))[0].rstrip(".")
    for end in ("; ", ", "):
        while len(text) > LONGEST and end in text:
            text = text.rpartition(end)[0]
    return text


def _commented(line: str, comment: str) -> str:
    return f"{line:<{COLUMN}} # {_one_line(comment)}"


def _one_line(text: str) -> str:
    """A line break in the name of a column or class would end the comment."""
    return " ".join(text.split())


def _flow(value: Any) -> str:
    """A value as YAML on one line."""
    if isinstance(value, str) and not value.isprintable():
        return json.dumps(value)  # else a line break would stay one
    text = yaml.safe_dump(value, default_flow_style=True, width=float("inf"), allow_unicode=True, sort_keys=False)
    return text.removesuffix("\n").removesuffix("\n...")
