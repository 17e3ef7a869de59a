"""`python -m cluster.probe HOST:PORT [NODE]`: asks a head with the token of the environment, in a process of its own.

Ray keeps the token and the mode that it read first, and logs what goes wrong, so this is not done where people read.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping

ANSWERED, OTHER, REFUSED, ABSENT = range(4)
SECONDS = 30
CONNECT_SECONDS = 10.0


class RefusedError(OSError):
    """The head answers, and does not take the token."""


def has_node(address: str, env: Mapping[str, str], node: str, seconds: float = SECONDS) -> bool:
    """Whether the head at `address` has a living node of that name by now; no, while it is too busy to answer."""
    try:
        return ask(address, env, node, seconds)
    except RefusedError:
        raise
    except OSError:
        return False


def ask(address: str, env: Mapping[str, str], node: str | None = None, seconds: float = SECONDS) -> bool:
    """Whether the head at `address` has a living node of that name (None: any). OSError if it does not answer."""
    command = [sys.executable, "-m", "cluster.probe", address, *([node] if node else [])]
    try:
        done = subprocess.run(  # noqa: S603  # a list, no shell
            command, check=False, env=dict(env), capture_output=True, text=True, timeout=seconds
        )
    except subprocess.TimeoutExpired:
        raise OSError(
            f"what listens at {address} did not answer within {seconds:g} seconds: is it a Ray head?"
        ) from None
    if done.returncode == REFUSED:
        raise RefusedError(f"the head at {address} refuses the token")
    if done.returncode == OTHER:
        raise OSError(f"the head at {address} did not answer: {done.stdout.strip() or done.stderr[-500:]}")
    return done.returncode == ANSWERED


def main(address: str, node: str | None = None) -> int:
    """How the head at `address` answers, as the exit code of a process of its own; with `node`, whether that lives."""
    from ray._raylet import GcsClient  # type: ignore[attr-defined]
    from ray.exceptions import AuthenticationError

    try:
        nodes = GcsClient(address=address).get_all_node_info(timeout=SECONDS / 3).values()
    except AuthenticationError:
        return REFUSED
    except Exception as error:
        print(" ".join(str(error).split())[:300])
        return OTHER
    alive = [one.node_name for one in nodes if one.state == 0]
    return ANSWERED if node in (None, *alive) else ABSENT


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
