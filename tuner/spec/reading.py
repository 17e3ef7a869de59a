"""YAML text to plain data with the line of every key. Safe on hostile text, and YAML 1.2 where it matters:

`1e-4` is a number; `no`, `on`, `012` and `2013-01-01` are not turned into something else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from tuner.spec.problems import Problem

LARGEST = 1 << 20
DEEPEST = 20
Path = tuple[str | int, ...]

_TAG = "tag:yaml.org,2002:"
_CORE = {  # the core schema of YAML 1.2, section 10.3.2
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    "int": (r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    "float": (
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
}


class ReadingError(ValueError):
    """Text that is no YAML, or YAML that a spec may not use."""

    def __init__(self, text: str, line: int | None = None) -> None:
        self.problem = Problem("", text, line)
        super().__init__(text)


@dataclass(slots=True)
class Document:
    """Plain data, the 1-based line of every path in it, and what was wrong with its keys."""

    data: Any
    lines: dict[Path, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - the rules of YAML 1.1 are not inherited
    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise ReadingError("anchors (&) and aliases (*) have no place in a spec: write the value out", _line(event))
        self.depth += 1
        if self.depth > DEEPEST:
            raise ReadingError(f"nested more than {DEEPEST} levels deep", _line(event))
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


class _Dumper(yaml.SafeDumper):
    """Quotes whatever either YAML 1.1 or 1.2 would take for something other than a string."""


for _name, (_pattern, _first) in _CORE.items():
    for _class in (_Loader, _Dumper):
        _class.add_implicit_resolver(_TAG + _name, re.compile(f"^(?:{_pattern})$"), _first)


def read(text: str) -> Document:
    """The document in `text`. Raises ReadingError if there is none to speak of."""
    if len(text) > LARGEST:
        raise ReadingError(f"has {len(text):,} characters; a spec has at most {LARGEST:,}")
    loader = None
    try:
        loader = _Loader(text)
        node: Any = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise ReadingError(f"not YAML: {error.problem or error.context}", mark.line + 1 if mark else None) from None
    except yaml.YAMLError as error:
        raise ReadingError(f"not YAML: {str(error).splitlines()[0]}") from None
    except RecursionError:
        raise ReadingError(f"nested more than {DEEPEST} levels deep") from None
    document = Document(None)
    if node is not None:
        document.data = _plain(node, (), document)
    return document


def write(data: Any) -> str:
    """`data` as YAML that `read` gives back."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, default_flow_style=None, allow_unicode=True, width=110)


def _plain(node: Any, path: Path, document: Document) -> Any:
    document.lines.setdefault(path, _line(node))
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, (*path, i), document) for i, item in enumerate(node.value)]
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, document)
    return _scalar(node)


def _mapping(node: Any, path: Path, document: Document) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = _scalar(key_node) if isinstance(key_node, yaml.ScalarNode) else None
        line = _line(key_node)
        dotted = ".".join(map(str, (*path, key)))
        if not isinstance(key, str):
            document.problems.append(Problem(".".join(map(str, path)), "keys must be names", line))
        elif key in plain:
            first = document.lines[(*path, key)]
            text = f"given twice, first on line {first}: keep one"
            document.problems.append(Problem(dotted, text, line))
        else:
            document.lines[(*path, key)] = line
            plain[key] = _plain(value_node, (*path, key), document)
    return plain


def _scalar(node: Any) -> object:
    text = node.value
    try:
        match node.tag.removeprefix(_TAG):
            case "null":
                return None
            case "bool":
                return {"true": True, "false": False}[text.lower()]
            case "int":
                return int(text, 0 if text[:2] in ("0o", "0x") else 10)
            case "float":
                return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
            case "str":
                return text
    except (KeyError, ValueError):
        raise ReadingError(f"{text[:40]!r} is no {node.tag.removeprefix(_TAG)}", _line(node)) from None
    raise ReadingError(f"the tag {node.tag!r} has no place in a spec: write a plain value", _line(node))


def _line(thing: Any) -> int:
    return int(thing.start_mark.line) + 1
