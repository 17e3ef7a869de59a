"""The house's import rules: every room imports downwards only, and each outside system has one room."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OWN = ("tuner", "models", "cluster")

# A room is a module or package prefix; the longest that fits a file decides. What a room may import of our own code:
ROOMS: dict[str, tuple[str, ...]] = {
    "models": ("models",),
    "cluster": ("cluster",),
    "tuner.trial": (),
    "tuner.search": ("tuner.search", "tuner.trial"),
    "tuner.spec": ("tuner.spec", "tuner.trial", "tuner.search.space"),
    "tuner.data": ("tuner.data", "tuner.trial", "models.features", "models.columns", "models.errors"),
    "tuner.engine": ("tuner.engine", "tuner.data", "tuner.spec", "tuner.search", "tuner.trial", "models"),
    "tuner.retune": (
        *("tuner.retune", "tuner.engine", "tuner.data", "tuner.spec", "tuner.search", "tuner.trial", "models"),
        *("tuner.review", "cluster.schedule"),
    ),
    "tuner.review": (
        *("tuner.review", "tuner.trial", "tuner.spec", "tuner.search", "tuner.engine.tracking"),
        "tuner.engine.account",  # what the engine tells of a sweep: plain values
    ),
    "tuner.api": ("tuner", "models"),
    "tuner.cli": ("tuner", "models", "cluster"),
    "tuner": ("tuner.api",),
}

# What a room may import from outside; None is anything that is not guarded below.
OUTSIDE: dict[str, set[str]] = {
    "models": {"numpy", "pandas", "torch", "safetensors"},
    "tuner.trial": set(),
    "tuner.search": {"numpy", "scipy", "optuna"},
    "tuner.spec": {"pydantic", "pydantic_core", "yaml"},
}

# Outside systems that only these modules may import.
GUARDED: dict[str, tuple[str, ...]] = {
    "ray.tune": ("tuner.engine.driver", "tuner.engine.searcher", "tuner.engine.turns", "tuner.engine.pack"),
    "ray": (
        *("tuner.engine.driver", "tuner.engine.searcher", "tuner.engine.turns", "tuner.engine.pack"),
        *("tuner.engine.connect", "tuner.engine.presence", "tuner.engine.delivery", "tuner.engine.probing"),
        "cluster",
    ),
    "mlflow": ("tuner.engine.tracking",),
    "torch": ("models", "tuner.engine"),
    "pickle": (),
    "cloudpickle": (),
    "joblib": (),
}


def modules() -> list[tuple[str, Path]]:
    files = [file for folder in OWN for file in sorted((ROOT / folder).rglob("*.py"))]
    return [(".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"), file) for file in files]


def imports(file: Path) -> set[str]:
    """Full names of what a file imports, also inside functions."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{file}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def within(name: str, prefixes: tuple[str, ...] | set[str]) -> bool:
    return any(name == prefix or name.startswith(prefix + ".") for prefix in prefixes)


def room_of(module: str) -> str:
    return max((room for room in ROOMS if within(module, (room,))), key=len)


@pytest.mark.parametrize(("module", "file"), modules(), ids=lambda value: value if isinstance(value, str) else "")
def test_imports_go_one_way(module: str, file: Path) -> None:
    room = room_of(module)
    for name in imports(file):
        top = name.split(".")[0]
        if top in OWN:
            assert within(name, ROOMS[room]), f"{module} is in {room}, which may not import {name}"
        elif top not in sys.stdlib_module_names and room in OUTSIDE:
            assert top in OUTSIDE[room], f"{module} is in {room}, which may not import {top}"
        for guarded, allowed in GUARDED.items():
            if within(name, (guarded,)):
                assert within(module, allowed), f"only {allowed or 'nobody'} may import {guarded}, not {module}"


@pytest.mark.parametrize("words", ["--help", "list", "status none", "stop none"])
def test_what_trains_nothing_is_light(words: str, tmp_path: Path) -> None:
    """Nobody who only looks waits for the heavy libraries."""
    code = (
        "import sys\n"
        "from tuner.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'ray', 'torch', 'mlflow', 'pandas', 'scipy', 'sklearn', 'sqlalchemy'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    command, env = [sys.executable, "-c", code, *words.split()], {**os.environ, "CAVIAR_HOME": str(tmp_path)}
    done = subprocess.run(command, check=False, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
