"""From a file to a spec, or to everything that is wrong with it at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from tuner.spec.problems import Problem, SpecError, shown
from tuner.spec.reading import LARGEST, Document, ReadingError, read
from tuner.spec.reading import Path as Key
from tuner.spec.section import Section
from tuner.spec.spec import Spec
from tuner.spec.wording import problems_in

S = TypeVar("S", bound=Section)


def load(path: Path | str, overrides: Sequence[str] = ()) -> Spec:
    """The spec in the file at `path`; `overrides` such as `train.learning_rate=0.1` win over the file.

    Raises SpecError, which names every problem, also if the file cannot be read.
    """
    return load_section(Spec, path, overrides)


def load_section(root: type[S], path: Path | str, overrides: Sequence[str] = ()) -> S:
    """The `root` in the file at `path`: a spec, or another file that is written and checked like one."""
    path = Path(path)
    try:
        size = path.stat().st_size
        if path.is_file() and size > LARGEST:
            raise SpecError(str(path), [Problem("", f"has {size:,} bytes; a spec has at most {LARGEST:,}")])
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise SpecError(str(path), [Problem("", f"cannot be read: {error.strerror}")]) from None
    except UnicodeDecodeError as error:
        raise SpecError(str(path), [Problem("", f"is not UTF-8 text (byte {error.start})")]) from None
    return _parsed(root, text, overrides, str(path))


def parse(text: str, overrides: Sequence[str] = (), name: str = "spec") -> Spec:
    """The spec in `text`, as `load` reads it; `name` is what errors call it."""
    return _parsed(Spec, text, overrides, name)


def from_mapping(data: Mapping[str, Any], overrides: Sequence[str] = (), name: str = "spec") -> Spec:
    """The spec in plain data, as `load` reads it."""
    return _validated(Spec, Document(deepcopy(dict(data))), overrides, name)


def _parsed(root: type[S], text: str, overrides: Sequence[str], name: str) -> S:
    try:
        document = read(text)
    except ReadingError as error:
        raise SpecError(name, [error.problem]) from None
    return _validated(root, document, overrides, name)


def _validated(root: type[S], document: Document, overrides: Sequence[str], name: str) -> S:
    problems = list(document.problems)
    if document.data is None:
        document.data = {}
    if not isinstance(document.data, dict):
        first = " and ".join(list(root.model_fields)[:2])
        text = f"must be a mapping that begins with {first}, got {shown(document.data)}"
        raise SpecError(name, [*problems, Problem("", text, 1)])
    set_by: dict[Key, str] = {}
    for override in overrides:
        problems += _override(document, override, set_by)
    try:
        made = root.model_validate(document.data)
    except ValidationError as error:
        problems += [_placed(key, problem, document, set_by) for key, problem in problems_in(error, root)]
    if problems:
        raise SpecError(name, problems)
    return made


def _override(document: Document, override: str, set_by: dict[Key, str]) -> list[Problem]:
    """Sets one field of `document` in place; returns what is wrong with the override itself."""
    dotted, equals, text = override.partition("=")
    keys = tuple(dotted.strip().split("."))
    if not equals or not all(keys):
        return [Problem("", "must be KEY=VALUE, such as train.learning_rate=0.1", override=override)]
    try:
        value = read(text)
    except ReadingError as error:
        return [Problem(dotted, error.problem.text, override=override)]
    data = document.data
    for i, key in enumerate(keys[:-1], start=1):
        if data.get(key) is None:
            data[key] = {}
            set_by[keys[:i]] = override
        inner = data[key]
        if not isinstance(inner, dict):
            text = f"{'.'.join(keys[:i])} is {shown(inner)}, which has no fields"
            return [Problem(dotted, text, override=override)]
        data = inner
    data[keys[-1]] = value.data
    set_by[keys] = override
    document.lines = {key: line for key, line in document.lines.items() if key[: len(keys)] != keys}
    return [replace(problem, line=None, override=override) for problem in value.problems]


def _placed(key: Key, problem: Problem, document: Document, set_by: Mapping[Key, str]) -> Problem:
    """`problem` with its place: the override or the line of `key`, else of its nearest parent."""
    for end in range(len(key), -1, -1):
        if key[:end] in document.lines:
            return replace(problem, line=document.lines[key[:end]])
        if key[:end] in set_by:
            return replace(problem, override=set_by[key[:end]])
    return problem
