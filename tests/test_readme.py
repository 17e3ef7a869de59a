"""README and CONTRIBUTING say what is true: their commands run, their spec loads, their examples keep the contracts."""

from __future__ import annotations

import math
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from models import config, optimizers
from models.config import Config
from models.training import Slots, train
from tests.conftest import COMMAND, Home
from tests.networks import arrays
from tuner.search.domain import Domain, DomainError
from tuner.search.domains import DOMAINS
from tuner.search.space import Axis, LogUniform, Space
from tuner.spec import Spec, parse

torch.set_num_threads(1)

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()

SMALLER = "--set search.trials=4 --set stopping.asha.max_epochs=3 --set objective.confirm=1"
INSTEAD = {  # of what would take minutes, serve forever or run these very tests
    "make demo": "make --dry-run demo",
    "make test": "make --dry-run test",
    "caviar run digits.yaml": f"caviar run digits.yaml {SMALLER}",
    "caviar ui": "caviar ui --help",
}


def blocks(text: str, kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def commands(text: str) -> list[str]:
    """What stands behind the prompts, without the comments."""
    lines = [line for block in blocks(text, "console") for line in block.splitlines() if line.startswith("$ ")]
    return [shlex.join(shlex.split(line[2:], comments=True)) for line in lines]


def rows(text: str, heading: str) -> list[list[str]]:
    """The cells of the table whose first heading is `heading`."""
    table = re.search(rf"^\| {heading} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", text, re.MULTILINE)
    assert table, f"no table {heading}"
    return [[cell.strip() for cell in line.strip("| \n").split("|")] for line in table[1].splitlines()]


@pytest.fixture(scope="module")
def newcomer(home: Home) -> Home:
    """A clone of the repository in which somebody follows the README, with what is installed on PATH."""
    for name in ("examples", "Makefile", "pyproject.toml", "constraints.txt"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, home.folder / name)
    (home.folder / "digits.yaml").write_text(blocks(README, "yaml")[0])
    home.env["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return home


@pytest.fixture(scope="module")
def said(newcomer: Home) -> dict[str, str]:
    """What each command of the README printed, run in their order."""
    printed = {}
    for command in commands(README):
        done = subprocess.run(
            ["bash", "-c", INSTEAD.get(command, command)],
            check=False,
            cwd=newcomer.folder,
            env=newcomer.env,
            capture_output=True,
            text=True,
            timeout=200,
        )
        assert done.returncode == 0, f"{command}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        printed[command] = done.stdout
    return printed


@pytest.mark.ray
def test_the_commands_of_the_readme_do_what_it_says(said: dict[str, str], newcomer: Home) -> None:
    assert set(INSTEAD) <= set(said)
    assert "caviar run examples/flights/demo.yaml" in said["make demo"]
    assert "pytest" in said["make test"]
    assert "1079" in said["caviar check digits.yaml"]
    assert said["caviar list"].count("finished") == 1
    assert "equal to the last bit" in said["caviar reproduce digits.yaml"]
    assert len((newcomer.folder / "predictions.csv").read_text().splitlines()) == 1 + 1797


@pytest.mark.ray
def test_a_sweep_prints_what_the_readme_shows(said: dict[str, str]) -> None:
    shown = blocks(README, "text")[0]
    printed = " ".join(said["caviar run digits.yaml"].split())
    for part in ("leaderboard", "rank trial val loss", "% right; on 3 fresh seeds"):
        assert part in " ".join(shown.split())
        assert part in printed
    sentence = r"On the holdout the winner's loss of [\d.]+ is [\d.]+ nats (better|worse) than the class prior"
    assert re.search(sentence, " ".join(shown.split()))
    assert re.search(sentence, printed)


@pytest.mark.ray
def test_the_python_of_the_readme_runs(newcomer: Home, said: dict[str, str]) -> None:
    shown = blocks(README, "python")[0]
    code = shown.replace(
        '"search.trials=8"', ", ".join(map(repr, [*SMALLER.split()[1::2], "objective.baseline=false"]))
    )
    assert code != shown
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, cwd=newcomer.folder, env=newcomer.env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "than the class prior" in done.stdout
    assert "t0003" in done.stdout


def test_the_spec_of_the_readme_is_complete_and_short() -> None:
    text = blocks(README, "yaml")[0]
    assert len(text.splitlines()) <= 10
    assert parse(text).search.trials == 32


def test_the_tables_name_every_command_section_field_and_domain() -> None:
    told = subprocess.run([COMMAND, "--help"], check=True, capture_output=True, text=True).stdout
    listed = {row[0].strip("`").split()[1] for row in rows(README, "command")}
    assert listed == set(re.findall(r"^  (\w+) ", told.split("Commands:")[1], re.MULTILINE))
    described = {row[0].strip("`"): set(re.findall(r"`(\w+)`", row[1])) for row in rows(README, "section")}
    sections: dict[str, Any] = {name: field.annotation for name, field in Spec.model_fields.items() if name != "name"}
    keys = {
        name: {field.alias or key for key, field in section.model_fields.items()} for name, section in sections.items()
    }
    assert described == keys
    assert set(re.findall(r"`(\w+)`", README.split("\nDomains:")[1].split(". A ")[0])) == set(DOMAINS)


@pytest.mark.parametrize("text", [README, CONTRIBUTING], ids=["README", "CONTRIBUTING"])
def test_what_is_named_is_there(text: str) -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", text):
        assert link.startswith("https://") or (ROOT / link).exists(), link
    for place, what in [row[:2] for row in rows(CONTRIBUTING, "room")]:
        rooms = [ROOT / room for room in re.findall(r"`([\w./]+)`", place)]
        assert all(room.exists() for room in rooms), place
        for file in re.findall(r"`(\w+\.py)`", what):
            assert any((room / file).exists() for room in rooms), f"{place}: {file}"
    for file in re.findall(r"`((?:tuner|models|tests|examples|cluster)/[\w./]*)`", text):
        assert (ROOT / file).exists() or f"# {file}\n" in text, file


def test_the_tests_that_the_contributing_page_runs_are_there() -> None:
    chosen = re.findall(r"pytest (tests/\w+\.py) -k (\w+)", "\n".join(commands(CONTRIBUTING)))
    assert chosen
    for file, word in chosen:
        assert re.search(rf"def test_\w*{word}", (ROOT / file).read_text()), (file, word)


def example(path: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The names that the example for file `path` defines, on top of those that the file has already."""
    code = next(block for block in blocks(CONTRIBUTING, "python") if block.startswith(f"# {path}\n"))
    module = ModuleType("example")  # dataclasses look themselves up among the modules
    monkeypatch.setitem(sys.modules, "example", module)
    if (ROOT / path).exists():
        vars(module).update({name: value for name, value in vars(optimizers).items() if not name.startswith("__")})
    exec(code, vars(module))  # noqa: S102  # it is ours
    return vars(module)


def test_the_domain_of_the_contributing_page_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    domain: Domain = example("tuner/search/powers.py", monkeypatch)["PowerOfTwo"](4, 9)
    assert domain.kind not in DOMAINS
    assert [domain.from_unit(u) for u in (0, 0.5, 1)] == [16, 128, 512]
    assert domain.grid(3) == [16, 64, 512]
    for value in domain.grid(6):
        assert domain.from_unit(domain.to_unit(value)) == value
    for wrong in (8, 48, 0, "64"):
        with pytest.raises(DomainError):
            domain.to_unit(wrong)
    with pytest.raises(DomainError):
        type(domain)(9, 4)  # type: ignore[call-arg]


def test_the_sampler_of_the_contributing_page_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    make = example("tuner/search/halton.py", monkeypatch)["HaltonSampler"]
    space = Space((Axis("learning_rate", LogUniform(1e-4, 1)), Axis("momentum", LogUniform(0.5, 0.9))))
    sampler = make(space, 7)
    forward = [sampler.ask(number) for number in range(20)]
    assert [sampler.ask(number) for number in reversed(range(20))] == forward[::-1]
    assert make(space, 8).ask(3) != forward[3]
    assert len({draw.point for draw in forward}) == 20
    assert all(space.decode(draw.point) and draw.reason for draw in forward)


def test_the_optimizer_of_the_contributing_page_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optimizers, "RULES", dict(optimizers.RULES))
    rules = example("models/optimizers.py", monkeypatch)["RULES"]
    monkeypatch.setattr("models.slots.RULES", rules)
    names = (*config.CHOICES["optimizer"], "sign")
    monkeypatch.setitem(config.CHOICES, "optimizer", names)
    configs = [Config(seed, (20,), optimizer="sign", learning_rate=0.01, batch_size=50) for seed in (1, 2)]
    data = arrays(rows=523)
    both = Slots.start(["a", "b"], configs, 11, 5, torch.float32)
    losses = [evaluations[0].train_loss for evaluations in train(both, data, order_seed=4, to_epoch=5)]
    assert losses[-1] < losses[0] < math.inf
    alone = Slots.start(["a"], configs[:1], 11, 5, torch.float32)
    assert [one.train_loss for (one,) in train(alone, data, order_seed=4, to_epoch=5)] == losses
