"""SIGTERM at a place from which Python lets no exception out, as there are in the imports of C extensions.

As a program: the command `caviar` with its arguments, which gets the signal while its driver imports Ray.
"""

from __future__ import annotations

import signal
import sys

from tuner.cli import main


class _Place:
    def __del__(self) -> None:
        signal.raise_signal(signal.SIGTERM)


def lose() -> None:
    """The signal comes, and what its handler raises is printed and dropped."""
    before, sys.unraisablehook = sys.unraisablehook, sys.__unraisablehook__  # for pytest's it would be an error
    _Place()
    sys.unraisablehook = before


class _WhileRayIsImported:
    def find_spec(self, name: str, *_: object) -> None:
        if name == "ray.tune":
            lose()


if __name__ == "__main__":
    sys.meta_path.insert(0, _WhileRayIsImported())  # type: ignore[arg-type]
    main()
