"""Ray and nothing else: its import and start, then two actors that import torch. Prints when each was there."""

from __future__ import annotations

import json
import logging
import time
from typing import Any

import ray


class Worker:
    """What every worker must do before it can train."""

    def ready(self) -> str:
        import torch

        return str(torch.__version__)


def main() -> None:
    """Starts Ray as Caviar does, without a dashboard; seconds since 1970 as JSON."""
    ray.init(
        address="local",
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        _node_ip_address="127.0.0.1",
    )
    started = time.time()
    remote: Any = ray.remote(num_cpus=0)(Worker)
    ray.get([actor.ready.remote() for actor in [remote.remote(), remote.remote()]])
    print(json.dumps({"started": started, "workers": time.time()}))


if __name__ == "__main__":
    main()
