"""What can be wrong with a spec, said so that the reader knows where to look and what to write instead."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from tuner.spec.secrets import masked


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to correct: its dotted `key` ("" = the whole file), its place and what to do about it."""

    key: str
    text: str
    line: int | None = None
    override: str | None = None

    def __str__(self) -> str:
        if self.override is not None:
            key = "" if self.override.startswith(f"{self.key}=") else self.key
            return ": ".join(part for part in (f"--set {masked(self.override)}", key, self.text) if part)
        place = f"line {self.line}" if self.line else ""
        return ": ".join(part for part in (place, self.key, self.text) if part)


class SpecError(ValueError):
    """A spec that cannot be run; `problems` holds all of them, in the order of the file."""

    def __init__(self, name: str, problems: Iterable[Problem]) -> None:
        self.name = name
        self.problems = tuple(sorted(problems, key=lambda p: (p.override is not None, p.line or 0)))
        count = "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        super().__init__("\n".join([f"{name}: {count}", *(f"  {problem}" for problem in self.problems)]))


class ConflictError(ValueError):
    """Fields of one section that do not go together: pairs of a key within that section and a text."""

    def __init__(self, pairs: Sequence[tuple[str, str]]) -> None:
        self.pairs = tuple(pairs)
        super().__init__("; ".join(f"{key}: {text}" for key, text in pairs))


def shown(value: object) -> str:
    """`value` as a reader of YAML knows it, shortened, without passwords."""
    match value:
        case None:
            text = "nothing"
        case bool():
            text = str(value).lower()
        case str():
            text = repr(masked(value))  # before it is shortened: half a URL is not known as one
        case dict():
            text = "{" + ", ".join(f"{key}: {shown(item)}" for key, item in list(value.items())[:9]) + "}"
        case list() | tuple():
            text = "[" + ", ".join(shown(item) for item in value[:9]) + "]"
        case _:
            text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` if a known name is near, else the empty string."""
    close = get_close_matches(name.lower(), list(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""
