"""The process beside a driver: publishes one sweep until it ends."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading

from tuner.engine.tracking.publisher import DRAIN_SECONDS, publish


def main() -> int:
    """Publishes one sweep; 0 if all of it is in MLflow in the end, else 1."""
    parser = argparse.ArgumentParser(
        description="Publishes a sweep's journal to the MLflow in MLFLOW_TRACKING_URI until the sweep ends."
    )
    parser.add_argument("sweep", help="the sweep's folder, a path or a URI")
    parser.add_argument("--once", action="store_true", help="send what there is; don't follow a running sweep")
    parser.add_argument("--drain-seconds", type=float, default=DRAIN_SECONDS)
    given = parser.parse_args()
    uri = os.environ["MLFLOW_TRACKING_URI"]  # sqlite:///… or http…
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the driver, which then writes how it ended
    os.nice(5)
    closed = None if given.once else _watch_stdin()
    return 0 if publish(given.sweep, uri, closed=closed, drain_seconds=given.drain_seconds) else 1


def _watch_stdin() -> threading.Event:
    """An event that is set when standard input ends, that is, when the driver has left in whatever way."""
    closed = threading.Event()

    def watch() -> None:
        while os.read(0, 4096):  # unlike sys.stdin, it holds no lock that Python wants at its exit
            pass
        closed.set()

    threading.Thread(target=watch, daemon=True).start()
    return closed


if __name__ == "__main__":
    sys.exit(main())
