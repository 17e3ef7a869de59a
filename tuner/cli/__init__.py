"""The `caviar` command: the composition root, one short function a command."""

from tuner.cli.app import main

__all__ = ["main"]
