"""Benchmarks, one module each: `python -m benchmarks.NAME [--quick]`, or those of NAMES: `python -m benchmarks`.

A benchmark has `run(quick) -> dict` (plain JSON values; `goals` in it is a list of `harness.goal`) and
`sentence(result) -> str`; where it has `table(result)`, a list of records, that is shown in RESULTS.md.
"""

NAMES = (
    "sweep_vs_peers",
    "flights_vs_peers",
    "packing",
    "overhead",
    "mlflow_cost",
    "start",
    "scale_data",
)
BY_NAME = ("faults", "sharing", "retune_year", "plan", "regret")  # run only when named: each takes minutes, one root
