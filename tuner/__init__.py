"""Caviar: distributed hyperparameter tuning. `tuner.run(spec)` does what `caviar run SPEC` does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tuner.api import SweepResult, resume, run

__all__ = ["SweepResult", "resume", "run"]


def __getattr__(name: str) -> Any:
    """Imports the API on first use, so that `import tuner` stays light."""
    if name in __all__:
        from tuner import api

        return getattr(api, name)
    raise AttributeError(f"module 'tuner' has no attribute {name!r}")
