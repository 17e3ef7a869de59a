"""Runs benchmarks one after the other: `python -m benchmarks [--quick] [NAME ...]`, or --readme.

Writes benchmarks/results.json and benchmarks/RESULTS.md; benchmarks that were not asked for keep their results there.
Quick runs write nothing: they must not replace figures that mean something.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

from benchmarks import NAMES
from benchmarks.harness import Result, machine, versions
from benchmarks.report import into_readme, readme_table, results_page

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"


def main() -> int:
    """The command line; 1 if a benchmark failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"default: all of {', '.join(NAMES)}")
    parser.add_argument("--quick", action="store_true", help="small sizes: whether all of it works")
    parser.add_argument("--readme", action="store_true", help="put the table of figures into README.md; run nothing")
    given = parser.parse_args()
    unknown = sorted(set(given.names) - set(NAMES))
    if unknown:
        parser.error(f"no benchmark {unknown[0]!r}; there are {', '.join(NAMES)}")
    if given.readme:
        into_readme(HERE.parent / "README.md", readme_table(json.loads(RESULTS.read_text(encoding="utf-8"))))
        return 0
    results = run_all(given.names or NAMES, given.quick)
    if not given.quick:
        save(results)
    return 1 if any("failed" in result for result in results.values()) else 0


def run_all(names: Sequence[str], quick: bool) -> dict[str, Result]:
    """Runs the benchmarks and prints a sentence each; one that fails doesn't keep the others from running."""
    results: dict[str, Result] = {}
    for name in names:
        module, clock = import_module(f"benchmarks.{name}"), time.perf_counter()
        began = {"date": f"{datetime.now(UTC):%Y-%m-%d}", "machine": machine(), "versions": versions()}
        try:
            results[name] = module.run(quick)
            print(f"{name}: {module.sentence(results[name])}", flush=True)
        except Exception as error:
            results[name] = {"failed": f"{type(error).__name__}: {error}"}
            print(f"{name} failed: {error}", file=sys.stderr, flush=True)
        results[name] |= {"seconds_in_all": round(time.perf_counter() - clock, 1), **began}
    return results


def save(results: Mapping[str, Result]) -> None:
    """Writes what was found beside what other runs found before."""
    before = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    merged = {**before, **results}
    ordered = {name: merged[name] for name in NAMES if name in merged}
    RESULTS.write_text(json.dumps(ordered, indent=1) + "\n", encoding="utf-8")
    (HERE / "RESULTS.md").write_text(results_page(ordered), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
