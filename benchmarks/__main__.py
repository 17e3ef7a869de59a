"""Runs benchmarks one after the other: `python -m benchmarks [--quick] [NAME ...]`, or --pages.

Writes benchmarks/results.json, and from it benchmarks/RESULTS.md and the table in README.md; benchmarks that were not
asked for keep their results there. Quick runs write nothing: they must not replace figures that mean something.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import BY_NAME, NAMES
from benchmarks.harness import Result, Tree, machine, versions
from benchmarks.report import into_readme, readme_table, results_page

HERE = Path(__file__).parent
RESULTS, PAGE, README = HERE / "results.json", HERE / "RESULTS.md", HERE.parent / "README.md"
LIMIT_SECONDS = 1200.0  # none may take longer; all together take less than half an hour
NAMED_LIMIT_SECONDS = 7200.0  # on a busy machine; most take minutes


def main() -> int:
    """The command line; 1 if a benchmark failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    usual, named = ", ".join(NAMES), ", ".join(BY_NAME)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"default: {usual}; {named} must be named")
    parser.add_argument("--quick", action="store_true", help="small sizes: whether all of it works")
    parser.add_argument("--pages", action="store_true", help="write the pages from results.json again; run nothing")
    given = parser.parse_args()
    unknown = sorted(set(given.names) - {*NAMES, *BY_NAME})
    if unknown:
        parser.error(f"no benchmark {unknown[0]!r}; there are {', '.join((*NAMES, *BY_NAME))}")
    if given.pages:
        if not RESULTS.exists():
            parser.error(f"there is no {RESULTS} yet: run `make bench`")
        save({})
        return 0
    results = run_all(given.names or NAMES, given.quick)
    if not given.quick:
        save(results)
    return 1 if any("failed" in result for result in results.values()) else 0


def run_all(names: Sequence[str], quick: bool) -> dict[str, Result]:
    """Runs the benchmarks and prints a sentence each; one that fails doesn't keep the others from running."""
    results: dict[str, Result] = {}
    for name in names:
        clock = time.perf_counter()
        began = {"date": f"{datetime.now(UTC):%Y-%m-%d}", "machine": machine(), "versions": versions()}
        try:
            results[name], told = run_one(name, quick)
            print(f"{name}: {told} ({time.perf_counter() - clock:.0f} s)", flush=True)
        except Exception as error:
            results[name] = {"failed": f"{type(error).__name__}: {error}"}
            print(f"{name} failed: {error}", file=sys.stderr, flush=True)
        results[name] |= {"seconds_in_all": round(time.perf_counter() - clock, 1), **began}
    return results


def run_one(name: str, quick: bool) -> tuple[Result, str]:
    """The result of one benchmark and its sentence; a process of its own, because Ray keeps settings for a process."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as told, tempfile.TemporaryFile("w+", encoding="utf-8") as bad:
        command = [sys.executable, "-m", f"benchmarks.{name}", *(["--quick"] if quick else [])]
        process = subprocess.Popen(command, cwd=HERE.parent, stdout=told, stderr=bad)
        try:
            process.wait(LIMIT_SECONDS if name in NAMES else NAMED_LIMIT_SECONDS)
        except BaseException:
            Tree(process.pid).end()
            raise
        for stream in (told, bad):
            stream.seek(0)
        if process.returncode:
            raise RuntimeError(bad.read()[-3000:])
        result, sentence = told.read().splitlines()[-2:]
    return json.loads(result), sentence


def save(results: Mapping[str, Result]) -> None:
    """Writes what was found beside what other runs found before."""
    before = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    merged = {**before, **results}
    ordered = {name: merged[name] for name in (*NAMES, *BY_NAME) if name in merged}
    RESULTS.write_text(json.dumps(ordered, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(results_page(ordered), encoding="utf-8")
    into_readme(README, readme_table(ordered))


if __name__ == "__main__":
    sys.exit(main())
