"""Benchmarks, one module each: `python -m benchmarks.NAME [--quick]`, or all with `python -m benchmarks`."""

NAMES = (
    "sweep_vs_peers",
    "flights_vs_peers",
    "packing",
    "overhead",
    "mlflow_cost",
    "start",
    "scale_data",
)
