"""The command's frame: options that all commands share, exit codes, and where answers are printed."""

from __future__ import annotations

import json
import math
import os
import sys
import traceback
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console

if TYPE_CHECKING:
    from tuner.engine.place import Place

app = typer.Typer(
    name="caviar",
    help="Distributed hyperparameter tuning: submit a sweep, review it in MLflow, tune again on fresh data.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

WIDTH = 140  # of lines that go to a file or a pipe
BAD_INPUT, FAILED, REFUSED, INTERRUPTED = 2, 3, 4, 130

Json = Annotated[bool, typer.Option("--json", help="One JSON object as the last line of stdout; all else on stderr.")]
Sets = Annotated[
    list[str] | None, typer.Option("--set", help="Override a field, e.g. train.learning_rate=0.1.", metavar="KEY=VALUE")
]
StorageUri = Annotated[
    str | None,
    typer.Option(
        "--storage",
        envvar="CAVIAR_STORAGE",
        help="Folder or URI of sweeps and snapshots. [default: $CAVIAR_HOME/storage]",
        show_default=False,
        show_envvar=False,
    ),
]
TrackingUri = Annotated[
    str | None,
    typer.Option(
        "--tracking",
        help="Where MLflow is. [default: the sweep's, else $MLFLOW_TRACKING_URI, else the embedded one]",
        metavar="URI",
        show_default=False,
    ),
]
SpecPath = Annotated[Path, typer.Argument(help="The spec, a YAML file.", metavar="SPEC")]
SweepName = Annotated[
    str, typer.Argument(help="A sweep's id, its beginning, or a spec (its newest sweep).", metavar="SWEEP")
]


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"caviar {version('caviar')}")
        raise typer.Exit


@app.callback()
def frame(
    _: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """What stands before the command's name."""


def main() -> None:
    """Runs the command; known errors become one message and an exit code."""
    # imported in the order in which --help shows them
    from tuner.cli import run, init, plan, panda, panda_asking, submit, control  # noqa: F401, I001
    from tuner.cli import look, report, model, retune, schedule, cluster, serve  # noqa: F401
    from tuner.engine import interrupts

    with interrupts.raised():
        _run()


def _run() -> None:
    from tuner.cli.secret_files import read_into_environment

    try:
        read_into_environment()
        use_the_cluster_that_is_up()
        app()
    except KeyboardInterrupt:
        fail("interrupted", INTERRUPTED)
    except (ValueError, FileNotFoundError) as error:  # specs, data, names: what the user gave
        fail(str(error), BAD_INPUT)
    except OSError as error:  # storage, journal, network
        fail(str(error), FAILED)
    except Exception:  # ours or a library's fault: whoever mends it needs to know where
        traceback.print_exc()
        sys.exit(FAILED)


def own_home() -> Path:
    """CAVIAR_HOME, absolute."""
    return Path(os.environ.get("CAVIAR_HOME", ".caviar")).absolute()


def home_is_named() -> bool:
    """Whether the user says which home is meant: one in the current folder may have come with a stranger's files."""
    return bool(os.environ.get("CAVIAR_HOME"))


def use_the_cluster_that_is_up() -> None:
    """Makes what `caviar up` started the default of all commands; what the user set wins.

    Who names another Ray, or none (RAY_ADDRESS=""), gets nothing of ours for Ray: our token is for our head.
    """
    from cluster.current import environment

    found = environment(own_home(), shared=home_is_named())
    elsewhere = {"RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"} & set(os.environ)
    for name, value in found.items():
        if not (elsewhere and name.startswith("RAY_")):
            os.environ.setdefault(name, value)


def fail(message: str, code: int) -> NoReturn:
    """Prints the message, without any password in it, on stderr and exits."""
    from tuner.spec import masked

    print(masked(message), file=sys.stderr, flush=True)
    if code == INTERRUPTED:  # threads of Ray that were stopped halfway have crashed an orderly exit
        sys.stdout.flush()
        os._exit(code)
    sys.exit(code)


def console(json_wanted: bool = False) -> Console:
    """Where people read: stdout, or stderr when stdout is for JSON."""
    shown = Console(stderr=json_wanted)
    return shown if shown.is_terminal else Console(stderr=json_wanted, width=WIDTH)


def answer(value: Any) -> None:
    """Prints `value` as one line of JSON on stdout; JSON has no NaN and no infinity, so they become null."""
    print(json.dumps(_finite(value), default=str, allow_nan=False))


def _finite(value: Any) -> Any:
    match value:
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {key: _finite(item) for key, item in value.items()}
        case list() | tuple():
            return [_finite(item) for item in value]
    return value


def place(storage: str | None = None) -> Place:
    """Where this user's sweeps live, from the options and the environment."""
    from tuner.engine.place import place as of_user

    return of_user(storage)
