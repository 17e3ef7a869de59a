"""deploy/compose.yaml as Compose reads it: variables filled in, merges done."""

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


def load(variables: Mapping[str, str]) -> dict[str, Any]:
    """The file with `variables` in place; KeyError where one is required and not there."""
    found = _filled(yaml.safe_load((DEPLOY / "compose.yaml").read_text()), variables)
    assert isinstance(found, dict)
    return found


def image_environment() -> dict[str, str]:
    """The variables of the image: ENV of the Dockerfile's last stage."""
    stage = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ").rpartition("\nFROM ")[2]
    lines = [line.removeprefix("ENV ") for line in stage.splitlines() if line.startswith("ENV ")]
    return dict(pair.split("=", 1) for line in lines for pair in line.split())


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
