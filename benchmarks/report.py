"""Results as Markdown: RESULTS.md, and the table of figures in the README."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path

from benchmarks.harness import Result

BEGIN, END = "<!-- benchmarks: begin -->", "<!-- benchmarks: end -->"
FAILED = {"goal": "to run at all", "measured": "it failed", "met": False}
PAGE = "[benchmarks/RESULTS.md](benchmarks/RESULTS.md)"


def results_page(results: Mapping[str, Result]) -> str:
    """All benchmarks of results.json: what was done, in words and figures, and the goals."""
    parts = ["# Benchmarks", "", "Made by `make bench`; the same in numbers, and every single run: `results.json`.", ""]
    for name, result in results.items():
        module = import_module(f"benchmarks.{name}")
        parts += [f"## {name}", "", str(module.__doc__).strip(), ""]
        if "failed" in result:
            parts += [f"**Failed:** {result['failed']}", ""]
            continue
        parts += [module.sentence(result), ""]
        parts += [*markdown(module.table(result)), ""] if hasattr(module, "table") else []
        parts += [*markdown([told(one) for one in result.get("goals", [])]), "", measured_on(result), ""]
    return "\n".join(parts).replace("\n\n\n", "\n\n")


def readme_table(results: Mapping[str, Result]) -> str:
    """The goals of all benchmarks, what was measured, on what and when."""
    rows = [
        {"benchmark": f"`{name}`", **told(one)}
        for name, result in results.items()
        for one in result.get("goals", [FAILED])
    ]
    where = dict.fromkeys(f"{machine_of(result)} ({result['date']})" for result in results.values())
    return "\n".join([*markdown(rows), "", f"Measured on {'; and on '.join(where)}. More: {PAGE}."])


def measured_on(result: Result) -> str:
    """Machine, versions, date and duration in two sentences."""
    packages = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    return (
        f"Measured on {machine_of(result)}, {result['date']}, in {result['seconds_in_all']:.0f} s; "
        f"load average before it {result['machine']['load']:g}. With {packages}."
    )


def machine_of(result: Result) -> str:
    """The machine in a few words."""
    machine = result["machine"]
    return f"{machine['cores']} cores of {machine['cpu']}, {machine['memory_gib']} GiB, {machine['system']}"


def told(one: Mapping[str, object]) -> dict[str, str]:
    """A goal in words."""
    return {"goal": str(one["goal"]), "measured": str(one["measured"]), "": "met" if one["met"] else "**missed**"}


def markdown(records: Sequence[Mapping[str, object]]) -> list[str]:
    """The lines of a table whose columns are the keys of the first record; none for no records."""
    if not records:
        return []
    columns = list(records[0])
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    return lines + [f"| {' | '.join(str(record[name]) for name in columns)} |" for record in records]


def into_readme(path: Path, table: str) -> None:
    """Puts `table` between the two markers in the file. ValueError if it does not have both."""
    text = path.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{path} must have the lines {BEGIN} and {END} where the table of figures belongs: add them")
    path.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", encoding="utf-8")
