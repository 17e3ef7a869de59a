"""deploy/compose.yaml and what is laid over it, as Compose reads them: variables filled in, merges done."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
VARIABLE = re.compile(r"\$(?:(\$)|\{(\w+)(?:(:[-?])([^}]*))?\})")
CASTS: dict[str, Callable[[Any], Any]] = {"replicas": int}  # fields that are no texts, also where a variable gives them


class Loader(yaml.SafeLoader):
    """Knows Compose's tag for what a later file takes away."""


class Reset:
    """Where a later file has this, the earlier ones' value is gone."""


Loader.add_constructor("!reset", lambda _loader, _node: Reset())


def load(variables: Mapping[str, str]) -> dict[str, Any]:
    """The files that COMPOSE_FILE names, laid one over the other, with `variables` in place.

    KeyError where one is required and not there.
    """
    found: dict[str, Any] = {}
    for name in variables.get("COMPOSE_FILE", "compose.yaml").split(":"):
        # the loader is a safe one
        found = _merged(found, _filled(yaml.load((DEPLOY / name).read_text(), Loader), variables))  # noqa: S506
    return found


def variables(folder: Path) -> dict[str, str]:
    """What the file .env of a copy of deploy/ sets."""
    lines = (folder / ".env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def image_environment() -> dict[str, str]:
    """The variables of the image: ENV of the Dockerfile's last stage."""
    stage = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ").rpartition("\nFROM ")[2]
    lines = [line.removeprefix("ENV ") for line in stage.splitlines() if line.startswith("ENV ")]
    return dict(pair.split("=", 1) for line in lines for pair in line.split())


def _merged(before: Any, after: Any) -> Any:
    """Compose's rules for what these files have: mappings are merged key by key, and of texts the later counts."""
    match before, after:
        case dict(), dict():
            both = {**before, **{name: _merged(before.get(name), value) for name, value in after.items()}}
            return {name: value for name, value in both.items() if not isinstance(value, Reset)}
        case (None, _) | (str() | bool() | int(), str() | bool() | int() | Reset()):
            return after
        case dict(), Reset():
            return after
    raise NotImplementedError(f"{after} over {before}")


def _filled(value: Any, variables: Mapping[str, str]) -> Any:
    match value:
        case str():
            return VARIABLE.sub(lambda found: _value(found, variables), value)
        case list():
            return [_filled(item, variables) for item in value]
        case dict():
            return {name: CASTS.get(name, _same)(_filled(item, variables)) for name, item in value.items()}
    return value


def _same(value: Any) -> Any:
    return value


def _value(found: re.Match[str], variables: Mapping[str, str]) -> str:
    dollar, name, how, default = found.groups()
    if dollar:
        return "$"
    if variables.get(name):
        return variables[name]
    if how == ":?":
        raise KeyError(f"{name}: {default}")
    return default or ""
